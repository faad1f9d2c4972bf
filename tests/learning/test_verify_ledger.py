"""`verify-ledger` on copies: untouched ones are good, and each way of tampering is found with its place."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text

from player_server.__main__ import main
from player_server.learning.ledger_log import ledger_key, log_entries, sign_checkpoint
from player_server.learning.services import Services
from player_server.learning.verify_ledger import Verdict, verify_ledger
from player_server.policy.ledger_log import entry_hash
from player_server.policy.signed_note import Checkpoint, Signer, sign
from player_server.storage.checkpoint_files import checkpoint_files
from player_server.storage.ledger_copy import CopyError
from player_server.storage.tables import ledger_entry
from tests.support import school
from tests.support.postgres import PostgresServer
from tests.support.services import close_services, make_services

HOUR_MS = 3_600_000


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """A school whose six entries were logged, signed after the first three and after all."""
    made = await make_services(database_url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.000001})
    at = await school.add_institution(made, "示例")
    learner_id = (await school.add_learner(made, at)).learner_id
    for _ in range(2):
        async with made.db.write() as conn:
            for number in range(3):
                values = {
                    "learner_id": learner_id,
                    "institution_id": at,
                    "kind": "offline",
                    "subject": "public",
                    "hours": 100 + number,
                    "round": 1,
                    "entry_type": "credit",
                    "rule_version": "test",
                    "occurred_at": 5,
                    "evidence": '{"\\\\":"台账\\t1"}',
                }
                await conn.execute(insert(ledger_entry).values(**values))
        await log_entries(made)
        await sign_checkpoint(made)
    yield made
    await close_services(made)


async def verify(services: Services, source: str | Path | None = None, *more: Path) -> Verdict:
    points = more or (services.settings.checkpoints_folder,)
    return await verify_ledger(str(source or services.db.url), points, ledger_key(services).verifier())


async def test_an_untouched_copy_is_good_and_says_what_waits(services: Services) -> None:
    verdict = await verify(services)
    assert verdict.good and (verdict.audit.size, verdict.audit.checked) == (6, 2)
    async with services.db.write() as conn:
        row = (await conn.execute(select(ledger_entry).limit(1))).one()._asdict()
        await conn.execute(insert(ledger_entry).values(**(row | {"id": 7})))
    verdict = await verify(services)
    assert verdict.good and verdict.audit.waiting == (7,)


COLUMNS = "learner_id, institution_id, kind, subject, hours, round, entry_type, rule_version, occurred_at, evidence"
#: Sets one more entry beside the first one, word for word but for its id.
INSERT = f"INSERT INTO ledger_entry (id, {COLUMNS}) SELECT %d, {COLUMNS} FROM ledger_entry WHERE id = 1;"
#: What was done with a copy, the position that must be named first, and what is said of it.
TAMPERINGS = (
    ("UPDATE ledger_entry SET hours = 999 WHERE id = 5", 4, "entry 5 is not the one"),
    ("DELETE FROM ledger_entry WHERE id = 2", 1, "entry 2 was removed"),
    ("DELETE FROM ledger_leaf WHERE position = 2", 2, "position 2 is missing"),
    ("DELETE FROM ledger_leaf WHERE position >= 4", 4, "the end of the log is missing"),
    ("DELETE FROM ledger_entry; DELETE FROM ledger_leaf", 0, "the end of the log is missing"),
    # Two entries change places, first without, then with their hashes.
    (
        "UPDATE ledger_leaf SET entry_id = 0 WHERE position = 3; UPDATE ledger_leaf SET entry_id = 4 "
        "WHERE position = 4; UPDATE ledger_leaf SET entry_id = 5 WHERE position = 3",
        3,
        "entry 5 is not the one",
    ),
    (
        "UPDATE ledger_leaf SET position = -1 WHERE position = 3; UPDATE ledger_leaf SET position = 3 "
        "WHERE position = 4; UPDATE ledger_leaf SET position = 4 WHERE position = -1",
        3,
        "between positions 3 and 5",
    ),
    # One is put in between.
    (
        INSERT % 50 + "UPDATE ledger_leaf SET position = -position WHERE position >= 1;"
        "UPDATE ledger_leaf SET position = 1 - position WHERE position < 0;"
        "INSERT INTO ledger_leaf VALUES (1, 50, hash_of(50), 5)",
        0,
        "between positions 0 and 2",
    ),
    # An entry is changed together with its hash.
    (
        "UPDATE ledger_entry SET hours = 999 WHERE id = 5;"
        "UPDATE ledger_leaf SET hash = hash_of(5) WHERE position = 4",
        3,
        "between positions 3 and 5",
    ),
    # One is put in without the log, in a gap of the numbers, hours after its neighbours.
    (
        "UPDATE ledger_entry SET id = 61 WHERE id = 1;"
        f"UPDATE ledger_leaf SET entry_id = 61, hash = hash_of(61), logged_at = logged_at - {HOUR_MS + 1} "
        "WHERE position = 0;" + INSERT.replace("id = 1;", "id = 61;") % 60,
        6,
        "entry 60 is not in the log",
    ),
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_each_way_of_tampering_is_found_with_its_place(services: Services, tmp_path: Path) -> None:
    for number, (statements, position, said) in enumerate(TAMPERINGS):
        copy = tmp_path / f"copy{number}.db"
        async with services.db.engine.connect() as conn:
            raw = (await conn.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute(f"VACUUM INTO '{copy}'")
        points: list[Path] = []
        with closing(sqlite3.connect(copy)) as direct:
            direct.row_factory = sqlite3.Row

            def hash_of(entry_id: int, direct: sqlite3.Connection = direct) -> str:
                row = direct.execute("SELECT * FROM ledger_entry WHERE id = ?", (entry_id,)).fetchone()
                return entry_hash(dict(row)).hex()

            direct.create_function("hash_of", 1, hash_of)
            direct.executescript(statements)
        if "not in the log" in said:
            # There the log itself is whole: no checkpoint contradicts it.
            points.append(tmp_path / "none")
            points[0].mkdir()
        verdict = await verify(services, copy, *points)
        assert not verdict.good and verdict.audit.faults, statements
        first = verdict.audit.faults[0]
        assert first.position == position and said in first.text, (statements, first)


async def test_a_changed_entry_is_found_over_the_url_of_a_database(services: Services) -> None:
    async with services.db.write() as conn:
        await conn.execute(text("UPDATE ledger_entry SET evidence = '{}' WHERE id = 2"))
    (fault,) = (await verify(services)).audit.faults
    assert fault.position == 1


async def test_a_checkpoint_that_was_not_signed_with_the_key_is_named(services: Services, tmp_path: Path) -> None:
    newest = checkpoint_files([services.settings.checkpoints_folder])[-1]
    forged, foreign = tmp_path / "forged.checkpoint", tmp_path / "foreign.checkpoint"
    forged.write_text(newest.read_text().replace("\n6\n", "\n7\n"))
    signer = ledger_key(services)
    foreign.write_text(sign(Checkpoint(signer.name, 6, bytes(32)).text(), Signer(signer.name, bytes(32))))
    verdict = await verify(services, None, newest, forged, foreign, tmp_path / "absent")
    assert not verdict.good and not verdict.audit.faults
    assert [each.split(": ")[0].rsplit("/")[-1] for each in verdict.bad_files] == [
        "forged.checkpoint",
        "foreign.checkpoint",
        "absent",
    ]
    assert "signature" in verdict.bad_files[0] and "not signed by" in verdict.bad_files[1]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_dump_of_postgresql_is_read_without_the_server(
    services: Services, postgres: PostgresServer, tmp_path: Path
) -> None:
    dumped = postgres.dump(str(services.db.engine.url.database))
    dump = tmp_path / "dump.sql"
    dump.write_text(dumped)
    verdict = await verify(services, dump)
    assert verdict.good and verdict.audit.size == 6
    dump.write_text(dumped.replace("台账", "台帐", 1))
    assert (await verify(services, dump)).audit.faults[0].position == 0
    dump.write_text("nothing")
    with pytest.raises(CopyError, match="plain dump"):
        await verify(services, dump)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_command_says_it_in_a_line_and_by_its_exit_status(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "xueshi.db"
    key = tmp_path / "keys" / "ledger.pub"
    arguments = ["verify-ledger", str(copy), "--key", str(key), "--checkpoint", str(tmp_path / "checkpoints")]
    assert await asyncio.to_thread(main, arguments) == 0
    assert "The ledger is the one that was signed." in capsys.readouterr().out
    async with services.db.write() as conn:
        await conn.execute(text("UPDATE ledger_entry SET hours = 1 WHERE id = 4"))
    assert await asyncio.to_thread(main, arguments) == 1
    assert "WRONG  position 3: entry 4 is not the one that was logged" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["verify-ledger", str(tmp_path / "none"), "--key", str(key)]) > 1
    assert "No such file" in capsys.readouterr().err
