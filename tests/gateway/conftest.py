"""A school with one pupil and a running node, with limits short enough to be waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from player_server.learning.services import Services
from player_server.storage.tables import playback
from tests.support.live import Node, live_node
from tests.support.processes import until
from tests.support.school import Lessons, Pupil, add_course, add_enrolment, add_institution, add_learner
from tests.support.services import close_services, make_services
from tests.support.watch_client import WatchClient, log_in, ticket_for

LIMITS: dict[str, Any] = {
    "beat_every_s": 0.5,
    "gap_grace_s": 1.5,
    "jitter_s": 0.4,
    "lock_ttl_s": 2.0,
    "busy_wait_s": 2.0,
}


@dataclass
class Stage:
    """One pupil, enrolled for `lessons`, in front of `node`."""

    services: Services
    node: Node
    pupil: Pupil
    lessons: Lessons
    login_hash: str
    clients: list[WatchClient] = field(default_factory=list)

    @property
    def video_id(self) -> int:
        return self.lessons.video_ids[0]

    async def page(self, *, node: Node | None = None, video_id: int | None = None) -> WatchClient:
        """A page of this pupil with an open socket that has not said hello yet."""
        video = video_id or self.video_id
        ticket = await ticket_for(self.services, self.pupil, video, self.login_hash)
        client = await WatchClient.open((node or self.node).url, ticket, video)
        self.clients.append(client)
        return client

    async def playing(self, **options: Any) -> WatchClient:
        """A page that was welcomed."""
        client = await self.page()
        answer = await client.hello(**options)
        assert answer["type"] == "welcome", answer
        return client

    async def ended(self, reason: str) -> None:
        """Wait until the player of this pupil is over for this reason."""

        async def over() -> bool:
            return bool((await self.row()).ended_reason == reason)

        await until(over)

    async def row(self) -> Any:
        """The pupil's playback row."""
        async with self.services.db.read() as conn:
            query = select(playback).where(playback.c.person_id == self.pupil.person_id)
            return (await conn.execute(query)).one()


@pytest.fixture
def parts() -> dict[str, Any]:
    """Settings over the defaults, by part; a test module may give its own."""
    return {}


@pytest_asyncio.fixture
async def stage(database_url: str, valkey_url: str, tmp_path: Path, parts: dict[str, Any]) -> AsyncIterator[Stage]:
    watch = LIMITS | parts.get("watch", {})
    services = await make_services(database_url, valkey_url, tmp_path, **(parts | {"watch": watch}))
    school = await add_institution(services, "学校")
    lessons = await add_course(services, school)
    pupil = await add_learner(services, school)
    await add_enrolment(services, pupil.learner_id, lessons.course_id)
    login_hash = await log_in(services, pupil)
    async with live_node(services) as node:
        stage = Stage(services, node, pupil, lessons, login_hash)
        yield stage
        for client in stage.clients:
            await client.socket.close()
    await close_services(services)
