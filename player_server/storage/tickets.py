"""Single-use WebSocket tickets in Redis: they carry who may open the socket, so that no cookie is needed there."""

from __future__ import annotations

import secrets

import msgspec
from redis.asyncio import Redis

#: A ticket is asked for right before the socket is opened.
TICKET_SECONDS = 60


class Ticket(msgspec.Struct, frozen=True):
    """The learner whose log-in asked, and for which video."""

    person_id: int
    learner_id: int
    video_id: int
    login_hash: str


async def issue(redis: Redis, ticket: Ticket) -> str:
    """Store a ticket for TICKET_SECONDS and return its secret name."""
    name = secrets.token_urlsafe(32)
    await redis.set(f"xueshi:ticket:{name}", msgspec.json.encode(ticket), ex=TICKET_SECONDS)
    return name


async def redeem(redis: Redis, name: str) -> Ticket | None:
    """Take a ticket away; None if there is none. Exactly one caller gets it."""
    if not name or len(name) > 100:
        return None
    data = await redis.getdel(f"xueshi:ticket:{name}")
    return None if data is None else msgspec.json.decode(data, type=Ticket)
