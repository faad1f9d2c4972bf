"""Tampering with copies of a database on SQLite and PostgreSQL: each is found offline, with the place it begins.

Where the hashes beside the entries are as they were, the place is a position. Where they were made anew, it is the
first interval between two checkpoints that fails. What `verify-ledger` reads and says is in test_verify_ledger.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from sqlalchemy import insert

from player_server.learning.ledger_check import log_standing
from player_server.learning.ledger_log import log_entries, sign_checkpoint
from player_server.learning.ledger_proofs import consistency, inclusion
from player_server.learning.services import Services
from player_server.policy.ledger_log import ENTRY_COLUMNS
from player_server.storage.tables import ledger_entry
from tests.support import school
from tests.support.ledger_copies import Copy, copy_of
from tests.support.postgres import PostgresServer
from tests.support.services import close_services, make_services

#: The log is signed when it has so many entries.
SIGNED = (3, 6, 8)
ALL = tuple(range(1, 9))
_COLUMNS = ", ".join(each for each in ENTRY_COLUMNS if each != "id")
_VALUES = _COLUMNS.replace("source_row", "'90'")
#: One more entry, 90, which is the first one but for its row of the list.
INSERT = f"INSERT INTO ledger_entry (id, {_COLUMNS}) SELECT 90, {_VALUES} FROM ledger_entry WHERE id = 1"


@dataclass
class Scene:
    """A school with eight logged entries, 1 to 8, and `yesterday`, its copy when there were three."""

    services: Services
    postgres: PostgresServer | None
    folder: Path
    yesterday: Copy
    copies: list[Copy]

    async def copy(self) -> Copy:
        made = await copy_of(self.services, self.postgres, self.folder / f"c{len(self.copies)}.db")
        self.copies.append(made)
        return made


@pytest_asyncio.fixture
async def scene(
    database_url: str, valkey_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    services = await make_services(database_url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.000001})
    postgres = request.getfixturevalue("postgres") if services.db.kind == "postgresql" else None
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    copies: list[Copy] = []
    done = 0
    try:
        for size in SIGNED:
            async with services.db.write() as conn:
                for number in range(done + 1, size + 1):
                    await conn.execute(
                        insert(ledger_entry).values(
                            learner_id=pupil.learner_id,
                            institution_id=at,
                            course_id=lessons.course_id,
                            kind="offline",
                            subject="public",
                            hours=100 + number,
                            round=1,
                            entry_type="credit",
                            rule_version="test",
                            occurred_at=number,
                            evidence=f'{{"行":{number}}}',
                            source="名单",
                            source_row=f"{number}",
                        )
                    )
            done = size
            await log_entries(services)
            assert await sign_checkpoint(services) == 1
            if not copies:
                copies.append(await copy_of(services, postgres, tmp_path / "yesterday.db"))
        yield Scene(services, postgres, tmp_path, copies[0], copies)
    finally:
        await close_services(services)
        for each in copies:
            with suppress(FileNotFoundError):
                each.remove()


async def expect(copy: Copy, position: int, until: int | None, what: object) -> None:
    verdict = await copy.verify()
    assert not verdict.good and verdict.audit.faults, what
    first = verdict.audit.faults[0]
    assert (first.position, first.until) == (position, until), (what, first)


async def test_a_change_of_any_column_is_found_at_its_position(scene: Scene) -> None:
    assert set(ENTRY_COLUMNS) == set(ledger_entry.c.keys()), "a column that is not hashed can be changed unseen"
    copy = await scene.copy()
    for column in ENTRY_COLUMNS:
        number = ledger_entry.c[column].type.python_type is int
        if column == "id":
            copy.execute("UPDATE ledger_entry SET id = 55 WHERE id = 5")
            back = "UPDATE ledger_entry SET id = 5 WHERE id = 55"
        else:
            # A number by one, a text by one sign at its end, what was empty by a value.
            changed = f"COALESCE({column}, 0) + 1" if number else f"{column} || ' '"
            copy.execute(
                "CREATE TABLE was AS SELECT * FROM ledger_entry WHERE id = 5",
                f"UPDATE ledger_entry SET {column} = {changed} WHERE id = 5",
            )
            back = f"UPDATE ledger_entry SET {column} = (SELECT {column} FROM was) WHERE id = 5; DROP TABLE was"
        await expect(copy, 4, None, column)
        copy.execute(back)
    assert (await copy.verify()).good


#: What is done where the hashes beside the entries stay as they were, and the position that is named.
INTACT: tuple[tuple[str, int], ...] = (
    ("DELETE FROM ledger_entry WHERE id = 2", 1),
    # Without its leaf as well.
    ("DELETE FROM ledger_leaf WHERE entry_id = 7; DELETE FROM ledger_entry WHERE id = 7", 6),
    # The end is cut off: of both tables, of the log alone, and all of it.
    ("DELETE FROM ledger_leaf WHERE position >= 7; DELETE FROM ledger_entry WHERE id >= 8", 7),
    ("DELETE FROM ledger_leaf WHERE position >= 4", 4),
    ("DELETE FROM ledger_leaf; DELETE FROM ledger_entry", 0),
    # Two entries change their contents, and two leaves their entries.
    ("UPDATE ledger_entry SET hours = 211 - hours WHERE id IN (5, 6)", 4),
    (
        "UPDATE ledger_leaf SET entry_id = 0 WHERE position = 4; UPDATE ledger_leaf SET entry_id = 5 WHERE "
        "position = 5; UPDATE ledger_leaf SET entry_id = 6 WHERE position = 4",
        4,
    ),
    # An entry is put in with a leaf that another one had.
    (f"{INSERT}; UPDATE ledger_leaf SET entry_id = 90 WHERE position = 2", 2),
    # A hash alone, with and without its entry; and one that is no hash at all.
    ("UPDATE ledger_leaf SET hash = REPLACE(hash, SUBSTR(hash, 1, 1), 'x') WHERE position = 3", 3),
    ("UPDATE ledger_leaf SET hash = 'none' WHERE position = 3; DELETE FROM ledger_entry WHERE id = 4", 3),
)


async def test_with_the_hashes_as_they_were_the_position_is_named(scene: Scene) -> None:
    for statements, position in INTACT:
        copy = await scene.copy()
        copy.execute(statements)
        await expect(copy, position, None, statements)


#: What is done before the whole log is made anew, in which order, and the checkpoints between which it is seen.
ANEW: tuple[tuple[str, Callable[[Sequence[int]], Sequence[int]], int, int], ...] = (
    ("UPDATE ledger_entry SET hours = 999 WHERE id = 5", list, 3, 5),
    ("UPDATE ledger_entry SET evidence = '{}' WHERE id = 8", list, 6, 7),
    ("DELETE FROM ledger_entry WHERE id = 2", lambda ids: [each for each in ids if each != 2], 0, 2),
    (INSERT, lambda ids: [*ids[:4], 90, *ids[4:]], 3, 5),
    ("SELECT 1", lambda ids: [*ids[:4], 6, 5, *ids[6:]], 3, 5),
    # Where it is put at the very end nothing that was signed has changed: it is as new as any other.
)


async def test_with_every_hash_made_anew_the_first_interval_that_fails_is_named(scene: Scene) -> None:
    for statements, order, position, until in ANEW:
        copy = await scene.copy()
        copy.execute(statements)
        await copy.recompute(order(ALL))
        await expect(copy, position, until, statements)
        # It is the checkpoints that tell: the copy by itself is without a fault.
        empty = scene.folder / "no checkpoints"
        empty.mkdir(exist_ok=True)
        assert (await copy.verify(empty)).good, statements


async def test_yesterdays_copy_is_found_where_it_ends_and_an_untouched_one_is_good(scene: Scene) -> None:
    await expect(scene.yesterday, SIGNED[0], None, "yesterday's copy")
    verdict = await (await scene.copy()).verify()
    assert verdict.good and (verdict.audit.size, verdict.audit.checked) == (8, 3), verdict
    copy = await scene.copy()
    await copy.recompute()
    assert (await copy.verify()).good, "the same log made anew is the same log"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_only_sqlite_lets_in_is_found_at_its_position_too(scene: Scene) -> None:
    for statements, position in (
        ("UPDATE ledger_entry SET evidence = CAST(evidence AS BLOB) WHERE id = 6", 5),
        ("UPDATE ledger_entry SET evidence = CAST(x'ff' AS TEXT) WHERE id = 6", 5),
        ("UPDATE ledger_entry SET hours = 'viele' WHERE id = 6", 5),
        ("UPDATE ledger_leaf SET hash = x'00' WHERE position = 3; DELETE FROM ledger_entry WHERE id = 4", 3),
        ("UPDATE ledger_leaf SET logged_at = 'spät' WHERE position = 3", 3),
        ("UPDATE ledger_leaf SET entry_id = 'vier' WHERE position = 3", 3),
        ("UPDATE ledger_leaf SET position = 'drei' WHERE position = 3", 3),
    ):
        copy = await scene.copy()
        copy.execute(statements)
        await expect(copy, position, None, statements)


async def test_the_server_signs_nothing_over_a_gap_and_its_page_says_so(scene: Scene) -> None:
    copy = await scene.copy()
    copy.execute("DELETE FROM ledger_leaf WHERE position = 4")
    # A node on the copy, with the keys and the checkpoints of the others.
    settings = {"ledger": {"checkpoint_every_s": 0.000001}}
    node = await make_services(copy.url, str(scene.services.settings.data.redis_url), scene.folder, **settings)
    try:
        before = forks()
        assert await sign_checkpoint(node) == 0
        assert forks() == before + 1
        assert not (await log_standing(node)).intact
        # And it proves nothing that needs the missing leaf, instead of breaking.
        assert await inclusion(node, [6]) == {}
        assert await consistency(node, 3, 8) is None
    finally:
        await close_services(node)


def forks() -> float:
    return REGISTRY.get_sample_value("xueshi_ledger_forked_total") or 0
