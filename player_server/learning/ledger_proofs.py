"""Proofs from the ledger's log, for who does not want to trust this server: inclusion, consistency, checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from player_server.learning.services import Services
from player_server.policy.ledger_log import entry_bytes
from player_server.policy.merkle import consistency_spans, inclusion_spans
from player_server.storage.ledger_log import LogHashes, newest_checkpoint, positions_of
from player_server.storage.ledger_log_tables import ledger_leaf
from player_server.storage.tables import ledger_entry


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an entry stands in the log which a checkpoint signed. Hashes in hexadecimal, the path lowest first.

    `checkpoint` is the signed note, word for word; `size` and `root` are what it says.
    """

    entry_id: int
    position: int
    leaf_hash: str
    path: tuple[str, ...]
    size: int
    root: str
    checkpoint: str
    signed_at: int  # UTC ms

    def as_json(self) -> dict[str, Any]:
        """What is served, and what a certificate may carry."""
        return {
            "entry": self.entry_id,
            "position": self.position,
            "leaf_hash": self.leaf_hash,
            "path": list(self.path),
            "checkpoint": {"size": self.size, "root": self.root, "note": self.checkpoint},
        }


async def newest_note(services: Services) -> str | None:
    """The newest checkpoint, signed; None before the first entry."""
    async with services.db.read() as conn:
        newest = await newest_checkpoint(conn)
    return None if newest is None else str(newest.note)


async def inclusion(services: Services, entry_ids: Collection[int]) -> dict[int, Inclusion]:
    """Proofs for these entries under the newest checkpoint, by entry id.

    Those that no checkpoint covers yet are left out: an entry is covered within about a minute. So are those whose
    proof needs leaves that are missing. The caller has checked whose entries they are.
    """
    async with services.db.read() as conn:
        newest = await newest_checkpoint(conn)
        if newest is None:
            return {}
        hashes = LogHashes(conn)
        found = {}
        for entry_id, (position, leaf) in (await positions_of(conn, entry_ids)).items():
            if position >= newest.size:
                continue
            try:
                path = await hashes.spans(inclusion_spans(position, newest.size))
            except LookupError:
                # Leaves are missing: nothing can be proved, and the worker's job calls people.
                continue
            found[entry_id] = Inclusion(
                entry_id=entry_id,
                position=position,
                leaf_hash=leaf,
                path=tuple(each.hex() for each in path),
                size=newest.size,
                root=newest.root,
                checkpoint=newest.note,
                signed_at=newest.created_at,
            )
    return found


async def entry_of_hash(services: Services, leaf: str) -> int | None:
    """The id of the entry with this leaf hash (hexadecimal); None if the log has none."""
    async with services.db.read() as conn:
        query = select(ledger_leaf.c.entry_id).where(ledger_leaf.c.hash == leaf)
        return (await conn.scalars(query.order_by(ledger_leaf.c.position).limit(1))).one_or_none()


async def own_entry(services: Services, learner_id: int, entry_id: int) -> str | None:
    """The bytes of a learner's entry as they are hashed; None if the learner has no such entry."""
    async with services.db.read() as conn:
        query = select(ledger_entry).where(ledger_entry.c.id == entry_id, ledger_entry.c.learner_id == learner_id)
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else entry_bytes(row._asdict()).decode()


async def consistency(services: Services, first: int, second: int) -> list[str] | None:
    """Hashes that show that the log of `second` entries begins with the one of `first`; None if it is not so long.

    Only what a checkpoint covers is proved, and nothing where leaves of the log are missing.
    """
    async with services.db.read() as conn:
        newest = await newest_checkpoint(conn)
        if newest is None or not 0 < first <= second <= newest.size:
            return None
        try:
            return [each.hex() for each in await LogHashes(conn).spans(consistency_spans(first, second))]
        except LookupError:
            return None  # Leaves are missing, as above.
