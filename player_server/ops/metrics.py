"""GET /metrics: what the processes counted themselves, and the lengths of the queues, looked up at that moment.

The counted ones stand in `player_server/observe.py`. Here belongs only what is the same whoever is asked, because
it stands in the database; nothing of it is measured on the way of a beat.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from player_server.learning.services import Services
from player_server.observe import METRICS_FOLDER, log
from player_server.storage.tables import challenge, outbox, playback, watch_progress
from player_server.web.keys import SERVICES


class Queue(NamedTuple):
    """One figure that a query answers. `now_ms` is the store's clock."""

    name: str
    meaning: str
    query: Select[Any]


def queues(now_ms: int) -> tuple[Queue, ...]:
    """Every queue and how long it is."""
    undelivered = outbox.c.delivered_at.is_(None)
    open_challenge = challenge.c.outcome.is_(None)
    return (
        Queue("xueshi_outbox_waiting", "Notices to other services that are not delivered", _count(undelivered)),
        Queue(
            "xueshi_outbox_oldest_seconds",
            "Age of the oldest notice that is not delivered",
            select(func.max(now_ms - outbox.c.created_at) / 1000).where(undelivered),
        ),
        Queue("xueshi_challenges_open", "Challenges that wait for their answer", _count(open_challenge)),
        Queue(
            "xueshi_challenges_overdue",
            "Challenges whose window has passed and that the worker has not closed yet",
            _count(open_challenge, challenge.c.deadline < now_ms),
        ),
        Queue(
            "xueshi_players_held",
            "Players that wait for a challenge",
            _count(playback.c.held_challenge_id.is_not(None), playback.c.ended_reason.is_(None)),
        ),
        Queue(
            "xueshi_watched_not_credited",
            "Videos watched to their end whose hours are not credited (most wait for the exercise)",
            _count(watch_progress.c.watched_at.is_not(None), watch_progress.c.credited_at.is_(None)),
        ),
    )


def _count(*where: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).where(*where)


async def metrics_page(request: web.Request) -> web.StreamResponse:
    """GET /metrics in Prometheus' text format. Keep it from the public at the proxy."""
    body = _counted() + await _looked_up(request.app[SERVICES])
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _counted() -> bytes:
    if not os.environ.get(METRICS_FOLDER):
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # The library's.
    return generate_latest(registry)


async def _looked_up(services: Services) -> bytes:
    registry = CollectorRegistry()
    try:
        async with services.db.read() as conn:
            now = await services.clock.read(conn)
            for queue in queues(now.ms):
                length = await conn.scalar(queue.query)
                Gauge(queue.name, queue.meaning, registry=registry).set(float(length or 0))
    except (SQLAlchemyError, OSError) as error:
        # The counted ones are what an operator needs most while the database is away.
        log.warning("queues_not_counted", error=type(error).__name__)
    return generate_latest(registry)
