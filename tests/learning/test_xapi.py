"""The learning record store: every watched stretch arrives there once, in order, and is no event for others."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import insert, select, update

from player_server.learning.deliveries import place
from player_server.learning.events import events_after
from player_server.learning.services import Services
from player_server.learning.xapi import tell_record_store
from player_server.storage.clock import wall_ms
from player_server.storage.tables import outbox, watch_segment
from player_server.storage.webhook_tables import webhook_delivery, webhook_endpoint
from tests.support import school
from tests.support.processes import until
from tests.support.services import close_services, make_services
from tests.support.xapi_rules import check
from workers.deliver import deliver_for_ever


class Store:
    """A record store: takes statements with the right headers, each id once, and answers 409 to what it has."""

    def __init__(self) -> None:
        self.statements: list[dict[str, Any]] = []
        self.refused = 0
        self.away = False

    async def take(self, request: web.Request) -> web.Response:
        assert request.headers["X-Experience-API-Version"] == "1.0.3"
        assert b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"xueshi:s3cret"
        if self.away:
            return web.Response(status=503)
        sent = await request.json()
        for each in sent:
            check(each)
        if {each["id"] for each in sent} & {each["id"] for each in self.statements}:
            self.refused += 1
            return web.Response(status=409)
        self.statements += sent
        return web.json_response([each["id"] for each in sent])

    def verbs(self) -> list[str]:
        return [each["verb"]["display"]["en-US"] for each in self.statements]


@pytest_asyncio.fixture
async def store() -> AsyncIterator[tuple[Store, str]]:
    kept = Store()
    app = web.Application()
    app.router.add_post("/xapi/statements", kept.take)
    async with TestServer(app) as server:
        yield kept, str(server.make_url("/xapi"))


async def watch(services: Services, learner_id: int, video_id: int, number: int, from_ms: int, to_ms: int) -> None:
    row = {
        "session_id": "one",
        "number": number,
        "learner_id": learner_id,
        "video_id": video_id,
        "round": 1,
        "from_ms": from_ms,
        "to_ms": to_ms,
        "started_at": wall_ms() - 1_000_000 + from_ms,
        "ended_at": wall_ms() - 1_000_000 + to_ms,
        "reason": "pause",
    }
    async with services.db.write() as conn:
        await conn.execute(insert(watch_segment).values(**row))


async def test_every_stretch_arrives_once_and_in_order(
    store: tuple[Store, str], database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    kept, url = store
    settings = {"endpoint": url, "username": "xueshi", "password": "s3cret"}
    services = await make_services(database_url, valkey_url, tmp_path, xapi=settings)
    at = await school.add_institution(services, "示例")
    learner_id = (await school.add_learner(services, at)).learner_id
    video_id = (await school.add_course(services, at)).video_ids[0]
    await watch(services, learner_id, video_id, 1, 0, 5_000)
    assert await tell_record_store(services) == 0, "what lay before the store was known"
    await watch(services, learner_id, video_id, 2, 5_000, 20_000)
    await watch(services, learner_id, video_id, 3, 20_000, school.DURATION_MS)
    assert await tell_record_store(services) == 2 and await tell_record_store(services) == 0
    kept.away = True
    worker = asyncio.create_task(deliver_for_ever(services))
    await place(services)

    async def tried() -> bool:
        async with services.db.read() as conn:
            return 1 in (await conn.scalars(select(webhook_delivery.c.attempts))).all()

    await until(tried)
    kept.away = False
    async with services.db.write() as conn:
        await conn.execute(update(webhook_delivery).values(next_at=0))
    await until(lambda: "completed" in kept.verbs())
    assert kept.verbs() == ["played", "paused", "played", "paused", "completed"]
    # Sent again after a lost answer: the store has it, and that is as good as taken.
    async with services.db.write() as conn:
        await conn.execute(update(webhook_delivery).values(state="waiting", next_at=0))

    async def all_done() -> bool:
        async with services.db.read() as conn:
            return set((await conn.scalars(select(webhook_delivery.c.state))).all()) == {"delivered"}

    await until(all_done)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert kept.refused == 2 and len(kept.statements) == 5
    assert (await events_after(services, None, after=0, limit=9)).events == ()
    await close_services(services)
    # Without the setting nothing more is told, and what waited is dropped.
    silent = await make_services(database_url, valkey_url, tmp_path)
    await watch(silent, learner_id, video_id, 4, 0, 1_000)
    assert await tell_record_store(silent) == 0
    async with silent.db.read() as conn:
        row = (await conn.execute(select(webhook_endpoint))).one()
        assert (row.disabled_reason, len((await conn.execute(select(outbox))).all())) == ("settings", 2)
    await close_services(silent)
