"""Health, for the operator's machines."""

from __future__ import annotations

from aiohttp import web
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from player_server.storage.tables import institution
from player_server.web.keys import SERVICES


async def healthz(request: web.Request) -> web.StreamResponse:
    """GET /healthz: this process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.StreamResponse:
    """GET /readyz: 200 if both stores answer, else 503 naming the one that does not."""
    services = request.app[SERVICES]
    parts = {"database": "ok", "redis": "ok"}
    try:
        async with services.db.read() as conn:
            await conn.execute(select(institution.c.id).limit(1))
    except (SQLAlchemyError, OSError):
        parts["database"] = "away"
    try:
        await services.redis.ping()
    except (RedisError, OSError):
        parts["redis"] = "away"
    ready = set(parts.values()) == {"ok"}
    return web.json_response({"status": "ok" if ready else "away", **parts}, status=200 if ready else 503)
