"""The Merkle log's rows: appending leaves, and the hashes that roots and proofs are made of.

What belongs here: SQL. How hashes are made is in `policy/merkle.py`, when to append in `learning/ledger_log.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.policy.ledger_log import entry_hash
from player_server.policy.merkle import Node, Span, complete_root, nodes_of, span_hash
from player_server.storage.ledger_log_tables import ledger_checkpoint, ledger_leaf, ledger_node
from player_server.storage.tables import ledger_entry
from player_server.storage.upsert import insert

#: Nodes are kept at every so many levels: 2^8 = 256 to a row of the next kept level.
STEP = 8
TILE = 1 << STEP
_ADVISORY_LOCK = 0x78756C67  # "xulg"


async def take_log(conn: AsyncConnection) -> bool:
    """Be the only one who appends, until the end of this transaction; False if somebody else is at it."""
    if conn.dialect.name == "sqlite":
        return True  # A write transaction is alone there.
    return bool(await conn.scalar(text(f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})")))


async def log_size(conn: AsyncConnection) -> int:
    """How many entries the log has."""
    newest = await conn.scalar(select(func.max(ledger_leaf.c.position)))
    return 0 if newest is None else int(newest) + 1


async def unlogged_entries(conn: AsyncConnection, *, limit: int, reach: int | None) -> Sequence[Any]:
    """Entries without a leaf, by id. `reach`: how far before the newest logged id to look; None: everywhere."""
    query = (
        select(ledger_entry)
        .outerjoin_from(ledger_entry, ledger_leaf, ledger_leaf.c.entry_id == ledger_entry.c.id)
        .where(ledger_leaf.c.position.is_(None))
        .order_by(ledger_entry.c.id)
        .limit(limit)
    )
    if reach is not None:
        newest = await conn.scalar(select(ledger_leaf.c.entry_id).order_by(ledger_leaf.c.position.desc()).limit(1))
        query = query.where(ledger_entry.c.id > (newest or 0) - reach)
    return (await conn.execute(query)).all()


async def append(conn: AsyncConnection, entries: Sequence[Any], now_ms: int) -> None:
    """Give these entries the next positions. The caller holds `take_log`."""
    first = await log_size(conn)
    rows = [
        {
            "position": first + number,
            "entry_id": entry.id,
            "hash": entry_hash(entry._asdict()).hex(),
            "logged_at": now_ms,
        }
        for number, entry in enumerate(entries)
    ]
    await conn.execute(ledger_leaf.insert(), rows)
    level, begin, end = 0, first, first + len(rows)
    while end // TILE > begin // TILE:
        level, begin, end = level + STEP, begin // TILE, end // TILE
        below = [await _row(conn, level - STEP, number) for number in range(begin, end)]
        await conn.execute(
            ledger_node.insert(),
            [
                {"level": level, "number": begin + number, "hash": complete_root(hashes).hex()}
                for number, hashes in enumerate(below)
            ],
        )


async def _row(conn: AsyncConnection, level: int, number: int) -> list[bytes]:
    """The kept nodes of `level` below node `number` of the next kept level; fewer than TILE at the log's end."""
    begin, end = number * TILE, (number + 1) * TILE
    if level == 0:
        leaf = ledger_leaf.c
        query = select(leaf.hash).where(leaf.position >= begin, leaf.position < end).order_by(leaf.position)
    else:
        node = ledger_node.c
        query = (
            select(node.hash)
            .where(node.level == level, node.number >= begin, node.number < end)
            .order_by(node.number)
        )
    return [bytes.fromhex(each) for each in (await conn.scalars(query)).all()]


class LogHashes:
    """Hashes of the log as this transaction sees it; each row of nodes is read once."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn
        self._rows: dict[Node, list[bytes]] = {}
        self._nodes: dict[Node, bytes] = {}

    async def span(self, span: Span) -> bytes:
        """The hash of these leaves. Raises LookupError if the log does not have them all."""
        return span_hash(span, {node: await self._node(node) for node in nodes_of(span)})

    async def spans(self, spans: Iterable[Span]) -> list[bytes]:
        return [await self.span(span) for span in spans]

    async def root(self, size: int) -> bytes:
        """The root of the log when it was this long."""
        return await self.span(Span(0, size))

    async def _node(self, node: Node) -> bytes:
        found = self._nodes.get(node)
        if found is None:
            kept = node.level - node.level % STEP
            count = 1 << (node.level - kept)
            first = node.number * count
            row = await self._kept(kept, first // TILE)
            hashes = row[first % TILE : first % TILE + count]
            if len(hashes) != count:
                raise LookupError(f"the log has no node {node.number} of level {node.level}")
            found = self._nodes[node] = complete_root(hashes)
        return found

    async def _kept(self, level: int, number: int) -> list[bytes]:
        key = Node(level + STEP, number)
        if key not in self._rows:
            self._rows[key] = await _row(self._conn, level, number)
        return self._rows[key]


async def positions_of(conn: AsyncConnection, entry_ids: Collection[int]) -> dict[int, tuple[int, str]]:
    """Position and leaf hash of those of these entries that are in the log."""
    leaf = ledger_leaf.c
    query = select(leaf.entry_id, leaf.position, leaf.hash).where(leaf.entry_id.in_(entry_ids))
    return {row.entry_id: (row.position, row.hash) for row in await conn.execute(query)}


async def add_checkpoint(conn: AsyncConnection, *, size: int, root: str, note: str, now_ms: int) -> None:
    """Have this checkpoint served. One of the same size stays as it is."""
    row = insert(conn, ledger_checkpoint).values(size=size, root=root, note=note, created_at=now_ms)
    await conn.execute(row.on_conflict_do_nothing())


async def newest_checkpoint(conn: AsyncConnection) -> Any | None:
    """The largest one, or None: size, root, note, created_at."""
    query = select(ledger_checkpoint).order_by(ledger_checkpoint.c.size.desc()).limit(1)
    return (await conn.execute(query)).one_or_none()
