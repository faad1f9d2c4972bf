"""The ledger's log: every entry once and in order with several workers; no signature under a rewritten one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import delete, func, insert, select, update

from player_server.learning.ledger_log import REACH, ledger_key, log_entries, log_stragglers, sign_checkpoint
from player_server.learning.ledger_proofs import consistency, entry_of_hash, inclusion, own_entry
from player_server.learning.services import Services
from player_server.policy.ledger_log import entry_hash
from player_server.policy.merkle import is_consistent, leaf_hash, root_by_inclusion, root_of
from player_server.policy.signed_note import Checkpoint, open_checkpoint
from player_server.storage.checkpoint_files import checkpoint_files
from player_server.storage.ledger_log import TILE, append, newest_checkpoint
from player_server.storage.ledger_log_tables import ledger_checkpoint, ledger_leaf
from player_server.storage.tables import ledger_entry
from tests.support import school
from tests.support.services import close_services, make_services


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Every call of `sign_checkpoint` may sign."""
    made = await make_services(database_url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.000001})
    yield made
    await close_services(made)


async def add_entries(services: Services, count: int) -> list[int]:
    """Offline hours of one learner; returns the entries' ids."""
    async with services.db.read() as conn:
        known = await conn.scalar(select(func.min(ledger_entry.c.learner_id)))
    at = 1
    if known is None:
        at = await school.add_institution(services, "示例")
        known = (await school.add_learner(services, at)).learner_id
    values = {
        "learner_id": known,
        "institution_id": at,
        "kind": "offline",
        "subject": "public",
        "hours": 100,
        "round": 1,
        "entry_type": "credit",
        "rule_version": "test",
        "occurred_at": 5,
        "evidence": '{"名":"表"}',
    }
    async with services.db.write() as conn:
        rows = await conn.scalars(insert(ledger_entry).returning(ledger_entry.c.id), [values] * count)
        return sorted(rows.all())


async def log_all(services: Services) -> int:
    total = 0
    while logged := await log_entries(services):
        total += logged
    return total


async def newest(services: Services) -> Checkpoint:
    async with services.db.read() as conn:
        row = await newest_checkpoint(conn)
    assert row is not None
    return open_checkpoint(row.note, ledger_key(services).verifier())


async def test_two_workers_log_every_entry_once_and_proofs_hold(services: Services) -> None:
    ids = await add_entries(services, 2 * TILE + 3)

    async def work() -> None:
        for _ in range(8):
            await log_entries(services)

    await asyncio.gather(work(), work())
    await log_all(services)
    assert await log_entries(services) == await log_stragglers(services) == 0
    async with services.db.read() as conn:
        leaves = (await conn.execute(select(ledger_leaf).order_by(ledger_leaf.c.position))).all()
        entries = {row.id: row for row in await conn.execute(select(ledger_entry))}
    assert [row.position for row in leaves] == list(range(len(ids)))
    assert sorted(row.entry_id for row in leaves) == ids
    hashes = [entry_hash(entries[row.entry_id]._asdict()) for row in leaves]
    assert [row.hash for row in leaves] == [each.hex() for each in hashes]
    assert await sign_checkpoint(services) == 1
    first = await newest(services)
    assert (first.size, first.root) == (len(ids), root_of(hashes))
    assert await sign_checkpoint(services) == 0
    for proof in (await inclusion(services, [ids[0], ids[TILE], ids[-1]])).values():
        path = [bytes.fromhex(each) for each in proof.path]
        assert root_by_inclusion(proof.position, proof.size, bytes.fromhex(proof.leaf_hash), path) == first.root
        text = await own_entry(services, entries[proof.entry_id].learner_id, proof.entry_id)
        assert text is not None and leaf_hash(text.encode()).hex() == proof.leaf_hash
        assert await own_entry(services, 999, proof.entry_id) is None
        assert await entry_of_hash(services, proof.leaf_hash) == proof.entry_id
    (late,) = await add_entries(services, 1)
    await log_all(services)
    assert await inclusion(services, [late]) == {}
    assert await sign_checkpoint(services) == 1
    second = await newest(services)
    steps = await consistency(services, first.size, second.size)
    assert steps is not None
    assert is_consistent(first.size, first.root, second.size, second.root, [bytes.fromhex(each) for each in steps])
    assert await consistency(services, first.size, second.size + 1) is None
    # Both are kept outside the database, word for word.
    kept = checkpoint_files([services.settings.checkpoints_folder])
    verifier = ledger_key(services).verifier()
    assert [open_checkpoint(path.read_text(), verifier) for path in kept] == [first, second]


async def test_an_entry_committed_late_is_found_by_the_long_look(services: Services) -> None:
    early, late = await add_entries(services, 2)
    async with services.db.write() as conn:
        # As if the first one had been under way while many thousands came and went.
        await conn.execute(update(ledger_entry).where(ledger_entry.c.id == late).values(id=late + REACH))
        await append(conn, (await conn.execute(select(ledger_entry).where(ledger_entry.c.id > late))).all(), 1)
    assert await log_entries(services) == 0
    assert await log_stragglers(services) == 1
    async with services.db.read() as conn:
        logged = (await conn.scalars(select(ledger_leaf.c.entry_id).order_by(ledger_leaf.c.position))).all()
    assert logged == [late + REACH, early]


async def test_nothing_is_signed_under_a_rewritten_or_a_shorter_log(services: Services) -> None:
    await add_entries(services, 5)
    await log_all(services)
    assert await sign_checkpoint(services) == 1
    good = await newest(services)
    # The database's keeper rewrites an entry together with its hash, and takes our own copy of the checkpoint away.
    async with services.db.write() as conn:
        await conn.execute(update(ledger_leaf).where(ledger_leaf.c.position == 2).values(hash="00" * 32))
        await conn.execute(delete(ledger_checkpoint))
    await add_entries(services, 1)
    await log_all(services)
    assert await sign_checkpoint(services) == 0
    async with services.db.write() as conn:
        assert await newest_checkpoint(conn) is None
        # Yesterday's copy, put back.
        await conn.execute(delete(ledger_leaf).where(ledger_leaf.c.position >= 3))
    assert await sign_checkpoint(services) == 0
    assert len(checkpoint_files([services.settings.checkpoints_folder])) == 1
    assert good.size == 5
