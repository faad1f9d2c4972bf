"""`kill -9` in the middle of playing: what was acknowledged stays, and the same page goes on.

Real processes on both databases, and a video that runs in real time whatever happens to the server: that is what a
browser's does. The waits here are that real time.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed, InvalidStatus

from player_server.standalone.valkey import Valkey, start_valkey
from player_server.storage.session_lock import lock_key
from player_server.storage.tables import finding, playback
from tests.support.course_folders import Clip, write_course
from tests.support.learner import Learner, learner
from tests.support.processes import until
from tests.support.product import Product, product
from tests.support.watch_client import WatchClient

#: Longer than a restart of the server takes, unless the machine is very busy; one test waits for it to pass.
GRACE_S = 4.0
SETTINGS: dict[str, Any] = {
    "watch": {"beat_every_s": 0.5, "gap_grace_s": GRACE_S, "jitter_s": 2, "lock_ttl_s": 6, "busy_wait_s": 5},
    "challenges": {"earliest_s": 3600, "latest_s": 3600},
}
KILLS = 12
#: A page that claims to be this much ahead is not rewound (`jitter_s`), and must never get any of it.
LEAD_S = 0.4
#: What one restart may cost beyond the rule: the time between a beat and its commit, and the hello's transaction.
PER_RESTART_S = 0.2


@dataclass
class Screen:
    """A page whose video started at `began` and runs on without its socket. Times in seconds, frontiers in ms."""

    page: WatchClient
    began: float = field(default_factory=time.monotonic)
    rewound: float = 0.0  # how far the video was set back since `began`
    rewinds: int = 0
    acked_ms: int = 0
    sent_ms: int = 0
    heard: float = 0.0  # when the newest acknowledged beat was sent
    _sent: dict[int, float] = field(default_factory=dict)
    _sending: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def missing(self) -> float:
        """How much of the time since `began` is not acknowledged as earned."""
        return time.monotonic() - self.began - self.acked_ms / 1000

    async def sends(self) -> None:
        """Wait until the next beat leaves."""
        self._sending.clear()
        await self._sending.wait()

    def on(self, page: WatchClient) -> None:
        """Beat and listen on this socket until it breaks."""
        self.page = page
        self._tasks = [asyncio.create_task(self._beats()), asyncio.create_task(self._listen())]

    @property
    def is_off(self) -> bool:
        """It listens no more: its socket broke, or something was wrong, which `off` raises."""
        return self._tasks[1].done()

    async def off(self) -> None:
        """Take in what still arrives after the socket broke."""
        beats, listening = self._tasks
        await listening
        beats.cancel()
        await asyncio.gather(beats, return_exceptions=True)

    async def _beats(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                position = time.monotonic() - self.began - self.rewound + LEAD_S
                self._sent[self.page.seq + 1] = time.monotonic()
                self.sent_ms = max(self.sent_ms, round(position * 1000))
                await self.page.beat(position)
                self._sending.set()
                await asyncio.sleep(0.03)

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self.page.receive(timeout=10)
                if message["type"] == "rewind":
                    assert message["reason"] == "gap", message
                    self.rewound = time.monotonic() - self.began - message["to"]
                    self.rewinds += 1
                elif message["type"] == "ack":
                    # Its beat is durable, and nothing was earned for which no time has passed.
                    frontier_ms = round(message["frontier"] * 1000)
                    assert self.acked_ms <= frontier_ms <= (time.monotonic() - self.began) * 1000
                    self.acked_ms = frontier_ms
                    self.heard = self._sent[message["seq"]]


@dataclass
class Scene:
    """A learner who may watch `video_id`."""

    who: Learner
    valkey: Valkey

    @property
    def product(self) -> Product:
        return self.who.product

    @property
    def video_id(self) -> int:
        return self.product.video_ids[0]

    async def row(self) -> Any:
        """The learner's playback row."""
        async with self.product.services.db.read() as conn:
            query = select(playback).where(playback.c.person_id == self.who.account.person_id)
            return (await conn.execute(query)).one()

    async def findings(self) -> list[str]:
        async with self.product.services.db.read() as conn:
            return list(await conn.scalars(select(finding.c.kind)))

    async def kill_server(self) -> None:
        assert self.product.server is not None
        self.product.server.kill()
        await self.product.server.wait()


@pytest_asyncio.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    course = write_course(tmp_path / "course", Clip("高处作业", 300))
    data = tmp_path / "data"
    data.mkdir()
    valkey = await start_valkey(tmp_path / "valkey")
    try:
        async with product(database_url, valkey.url, data, course, **SETTINGS) as running:
            account = await running.add_learner("欧阳小明", 1)
            async with learner(running, account) as who:
                await who.first_log_in()
                yield Scene(who, valkey)
    finally:
        await valkey.stop()


async def test_a_killed_server_loses_nothing_that_was_acknowledged(scene: Scene) -> None:
    rng = random.Random(7)
    screen = Screen(await scene.who.playing(scene.video_id))
    screen.on(screen.page)
    within = unknown = 0
    beyond = 0.0
    for number in range(KILLS):
        await asyncio.sleep(rng.uniform(0.1, 0.4))
        await screen.sends()
        # Around the few milliseconds in which a beat is taken, committed and acknowledged.
        await asyncio.sleep(rng.uniform(0, 0.008))
        await scene.kill_server()
        await screen.off()
        row = await scene.row()
        assert row.frontier_ms >= screen.acked_ms, "an acknowledged beat is lost"
        assert row.frontier_ms <= screen.sent_ms, "more is stored than was ever reported"
        unknown += row.frontier_ms > screen.acked_ms
        if number == KILLS - 1:
            await asyncio.sleep(GRACE_S + 2 - (time.monotonic() - screen.heard))
        gap = await come_back(scene, screen, row)
        within += gap <= GRACE_S
        beyond += max(0, gap - GRACE_S)
    await until(lambda: screen.rewinds)
    await asyncio.sleep(0.3)
    await scene.kill_server()
    await screen.off()
    lost = screen.missing - beyond
    print(f"{KILLS} kills, {within} gaps within the grace, {unknown} durable without ack, {lost:.3f} s lost beyond")
    assert lost <= PER_RESTART_S * KILLS
    assert await scene.findings() == []


async def come_back(scene: Scene, screen: Screen, row: Any) -> float:
    """Start the server again and let the same page go on; returns for how long nothing of it was durable."""
    former, before = screen.page, screen.acked_ms
    await scene.product.start_server()
    page = await scene.who.playing(scene.video_id, former=former)
    assert page.welcome["recovered"] and page.session == former.session
    assert page.welcome["epoch"] > row.epoch
    assert round(page.welcome["frontier"] * 1000) == row.frontier_ms
    heard, first = screen.heard, page.seq + 1
    screen.on(page)
    gap = time.monotonic() - heard
    await until(lambda: screen.heard > heard or screen.is_off)
    if screen.is_off:
        await screen.off()
    counted = next(each["frontier"] for each in page.inbox if each["type"] == "ack" and each["seq"] >= first)
    # What is within the grace counts, whatever was unknown before.
    assert counted - before / 1000 >= min(gap, GRACE_S) - PER_RESTART_S
    assert counted <= row.frontier_ms / 1000 + GRACE_S + screen.heard - heard - gap
    return gap


async def test_a_killed_valkey_stops_nobody_and_lets_nobody_in_twice(scene: Scene) -> None:
    who, video_id, valkey = scene.who, scene.video_id, scene.valkey
    screen = Screen(await who.playing(video_id))
    screen.on(screen.page)
    epoch = (await scene.row()).epoch
    for emptied in (False, True):
        _, spare = await who.ask_ticket(video_id)
        valkey.kill()
        await valkey.wait()
        before = screen.acked_ms
        assert (await who.ask_ticket(video_id))[0] == 503
        with pytest.raises(InvalidStatus) as refused:
            await WatchClient.open(scene.product.url, spare["ticket"], video_id)
        assert refused.value.response.status_code == 503
        await until(lambda: screen.acked_ms > before + 1_000)  # noqa: B023  # It is awaited within the round.
        if emptied:
            shutil.rmtree(valkey.data_dir / "appendonlydir")
        await valkey.start()

        async def lets_in() -> bool:
            return (await who.ask_ticket(video_id))[0] == 200

        await until(lets_in)
        second = await who.page(video_id)
        assert (await second.hello())["type"] == "busy"
        await second.bye()

        async def has_its_lock() -> bool:
            async with redis.asyncio.from_url(valkey.url) as client:
                owner = await client.hget(lock_key(who.account.person_id), "session")
                return bool(owner == (screen.page.session or "").encode())

        await until(has_its_lock)
    assert (await scene.row()).epoch == epoch
    await scene.kill_server()
    await screen.off()
    assert screen.missing <= 0.5, "the running player lost time"
    assert screen.rewinds == 0
    assert set(await scene.findings()) == {"second_page"}
