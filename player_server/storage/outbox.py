"""What other systems are to be told: rows that a worker delivers, written in the transaction they tell about."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import outbox
from player_server.storage.upsert import insert


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
