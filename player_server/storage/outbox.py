"""What other systems are to be told: rows that a worker delivers, written in the transaction they tell about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.bulk import add_rows, take_ids
from player_server.storage.tables import outbox
from player_server.storage.upsert import insert

#: Databases take only so many values in one statement.
_SOURCES_AT_ONCE = 500


async def put(
    conn: AsyncConnection,
    topic: str,
    *,
    institution_id: int,
    learner_id: int,
    payload: dict[str, Any],
    source: str | None = None,
    now_ms: int,
) -> bool:
    """Leave a message. It is delivered at least once, and only if this transaction commits.

    False if there is one of the same `source` already.
    """
    text = msgspec.json.encode(payload, order="sorted").decode()
    row = insert(conn, outbox).values(
        topic=topic,
        institution_id=institution_id,
        learner_id=learner_id,
        payload=text,
        source=source,
        created_at=now_ms,
    )
    added = await conn.execute(row.on_conflict_do_nothing(index_elements=["source"]).returning(outbox.c.id))
    return added.one_or_none() is not None


async def put_many(
    conn: AsyncConnection, topic: str, messages: Sequence[tuple[int, int, dict[str, Any]]], now_ms: int
) -> None:
    """Leave many messages of one topic: (institution, learner, payload) each."""
    ids = await take_ids(conn, outbox, len(messages))
    rows = [
        (number, topic, institution_id, learner_id, msgspec.json.encode(payload, order="sorted").decode(), now_ms)
        for number, (institution_id, learner_id, payload) in zip(ids, messages, strict=True)
    ]
    await add_rows(conn, outbox, ("id", "topic", "institution_id", "learner_id", "payload", "created_at"), rows)


async def told_already(conn: AsyncConnection, sources: Collection[str]) -> set[str]:
    """Those of these sources that have a message."""
    known = list(sources)
    found: set[str] = set()
    for begin in range(0, len(known), _SOURCES_AT_ONCE):
        part = known[begin : begin + _SOURCES_AT_ONCE]
        found |= set((await conn.scalars(select(outbox.c.source).where(outbox.c.source.in_(part)))).all())
    return found
