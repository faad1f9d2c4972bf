"""Several processes behind one port, and how they go: everybody is told, nothing is lost, within ten seconds."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select

from player_server.storage.tables import playback
from telemetry.messages import Close
from tests.support.course_folders import Clip, write_course
from tests.support.learner import Learner, learner
from tests.support.postgres import PostgresServer
from tests.support.processes import alive, until
from tests.support.product import Product, product
from tests.support.watch_client import WatchClient

PLAYERS = 4
SETTINGS: dict[str, Any] = {"watch": {"beat_every_s": 0.5}, "challenges": {"earliest_s": 3600, "latest_s": 3600}}
STOP_S = 10
School = tuple[Product, list[Learner]]


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """Several processes are for PostgreSQL."""
    return postgres_url


@pytest_asyncio.fixture
async def school(
    database_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Product, list[Learner]]]:
    """Learners who may watch one video, on two server processes that share a port."""
    course = write_course(tmp_path / "course", Clip("高处作业", 300))
    async with (
        product(database_url, valkey_url, tmp_path, course, **SETTINGS) as running,
        AsyncExitStack() as stack,
    ):
        assert running.server is not None
        await running.server.stop()
        running.server = await running.start("many", "serve", "--processes", "2")
        people = []
        for number in range(1, PLAYERS + 1):
            account = await running.add_learner(f"欧阳小明{number}", number)
            people.append(await stack.enter_async_context(learner(running, account)))
        await until(lambda: _ready(running), timeout=30)
        for who in people:
            await who.first_log_in()
        yield running, people


async def _ready(running: Product) -> bool:
    """Whether both processes answer."""
    return len(await _serving(running)) == 2 and (await _get(running, "/readyz")) is not None


async def _serving(running: Product) -> list[int]:
    log = running.folder / "many.log"
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [1 for line in lines if line["event"] == "serving"]


async def _get(running: Product, path: str) -> str | None:
    try:
        # A connection of its own each time: the kernel gives it to either process.
        async with aiohttp.ClientSession() as http, http.get(running.url + path) as answer:
            return await answer.text() if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


def _value(metrics: str | None, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics or "", re.M)
    return float(found[1]) if found else 0.0


async def test_a_killed_process_comes_back_and_sigterm_tells_every_player_and_loses_nothing(
    school: School,
) -> None:
    running, people = school
    await _kill_one(running)
    video_id = running.video_ids[0]
    pages: list[WatchClient] = [await who.playing(video_id) for who in people]
    began = time.monotonic()
    for page in pages:
        await page.acked(0, event="play")
    acked = {}
    for who, page in zip(people, pages, strict=True):
        acked[who.account.person_id] = (await page.acked(time.monotonic() - began))["frontier"]
    # Whichever process is asked answers for both.
    answers = []
    for _ in range(6):
        await until(lambda: _all_counted(running))
        answers.append(_value(await _get(running, "/metrics"), "xueshi_players"))
    assert answers == [PLAYERS] * 6
    assert running.server is not None
    codes = [asyncio.create_task(page.close_code()) for page in pages]
    stopped = time.monotonic()
    os.kill(running.server.pid, signal.SIGTERM)
    assert await running.server.wait() == 0
    assert time.monotonic() - stopped < STOP_S
    assert await asyncio.gather(*codes) == [Close.RESTART] * PLAYERS
    async with running.services.db.read() as conn:
        rows = (await conn.execute(select(playback.c.person_id, playback.c.frontier_ms))).all()
    assert {row.person_id: row.frontier_ms for row in rows} == pytest.approx(
        {person: seconds * 1000 for person, seconds in acked.items()}, abs=1
    )
    _no_personal_data(running, people)


async def _all_counted(running: Product) -> bool:
    text = await _get(running, "/metrics")
    counted = _value(text, 'xueshi_beats_total{outcome="counted"}')
    return counted >= 2 * PLAYERS and _value(text, "xueshi_players") == PLAYERS


def _no_personal_data(running: Product, people: list[Learner]) -> None:
    text = "".join(file.read_text(errors="replace") for file in running.folder.glob("*.log"))
    assert '"event": "serving"' in text
    for who in people:
        for secret in (who.account.name, who.account.id_number, who.account.initial_secret, who.csrf):
            assert secret not in text
    for line in text.splitlines():
        assert json.loads(line)["timestamp"]


async def _kill_one(running: Product) -> None:
    """It is started again, and the other one answers meanwhile."""
    assert running.server is not None
    children = Path(f"/proc/{running.server.pid}/task/{running.server.pid}/children")
    first = [int(pid) for pid in children.read_text().split()]
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    await until(lambda: not alive(first[0]))
    assert await _get(running, "/healthz")
    await until(lambda: _thrice(running), timeout=20)


async def _thrice(running: Product) -> bool:
    return len(await _serving(running)) == 3


async def test_a_database_that_hangs_does_not_hold_up_the_end(postgres: PostgresServer, school: School) -> None:
    running, people = school
    page = await people[0].playing(running.video_ids[0])
    await page.acked(0, event="play")
    assert running.server is not None
    children = Path(f"/proc/{postgres.pid}/task/{postgres.pid}/children")
    frozen = [int(pid) for pid in children.read_text().split()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        await page.beat(0.1)
        stopped = time.monotonic()
        os.kill(running.server.pid, signal.SIGTERM)
        await running.server.wait()
        assert time.monotonic() - stopped < STOP_S
        assert await page.close_code() == Close.RESTART
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
