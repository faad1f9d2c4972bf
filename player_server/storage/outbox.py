"""What other systems are to be told: rows that a worker delivers, written in the transaction they tell about."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import outbox


async def put(conn: AsyncConnection, topic: str, learner_id: int, payload: dict[str, Any], now_ms: int) -> None:
    """Leave a message. It is delivered at least once, and only if this transaction commits."""
    text = msgspec.json.encode(payload, order="sorted").decode()
    await conn.execute(insert(outbox).values(topic=topic, learner_id=learner_id, payload=text, created_at=now_ms))
