"""The processes of a campaign, its clients, and what its stores say in the end."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import ClientSession, CookieJar
from sqlalchemy import func, select, update
from yarl import URL

from player_server.auth.login_sessions import Client as LoginClient
from player_server.auth.login_sessions import open_login
from player_server.standalone.child import ChildProcess
from player_server.standalone.valkey import Valkey, start_valkey
from player_server.storage.progress import course_progress
from player_server.storage.tables import ledger_entry, media, outbox, video
from player_server.web import cookies
from telemetry.rules import watched_from_ms
from tests.faults.client import Client
from tests.faults.history import Durable, History, Pair, Verdict, judge
from tests.redteam.clock import Clock
from tests.support import school
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.product import Product, product

LOCK_TTL_S = 2.0
#: As guarantees.md: short, so that pauses beyond the lock's life are short.
WATCH = {"beat_every_s": 0.5, "gap_grace_s": 4, "jitter_s": 1, "lock_ttl_s": LOCK_TTL_S, "busy_wait_s": 3}
NO_CHALLENGES = {"earliest_s": 36_000, "latest_s": 36_000}
VIDEO_MS = 3_000
VIDEOS = 120
HOURS = 50
#: The worker settles every five seconds what a crash left behind.
SETTLED_S = 30.0
_PAGE_DATA = re.compile(r'<script type="application/json" id="page-data">(.*?)</script>', re.S)


@dataclass
class Stage:
    """One installation under fault. `nodes` are the server processes, `ports` where they listen."""

    running: Product
    valkey: Valkey
    postgres: PostgresServer | None
    nodes: list[ChildProcess]
    ports: list[int]
    clock: Clock | None
    rng: random.Random
    clients: list[Client] = field(default_factory=list)
    course_id: int = 0
    recoveries: list[float] = field(default_factory=list)  # seconds from a fault's end to the next ack of anybody
    doses: int = 0
    _playing: list[asyncio.Task[None]] = field(default_factory=list)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _keeper: asyncio.Task[None] | None = None

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def worker(self) -> ChildProcess:
        assert self.running.worker is not None
        return self.running.worker

    async def start(self, child: ChildProcess) -> None:
        """Start a process that ended; one at a time, because the keeper may be about to do the same."""
        async with self._starting:
            await child.start()

    async def _keep(self) -> None:
        """What systemd does: a server that could not start because its database was away is started again."""
        while True:
            await asyncio.sleep(1)
            for child in (*self.nodes, self.worker):
                if not child.running:
                    await self.start(child)

    def play(self) -> None:
        """Let every client study."""
        self._keeper = asyncio.create_task(self._keep())
        self._playing = [asyncio.create_task(client.run()) for client in self.clients]

    async def all_earn(self, limit_s: float = 60.0) -> float:
        """Wait until every client has got an ack; returns after how long the first one had one."""
        began = time.monotonic()
        for client in self.clients:
            client.acked.clear()
        first = asyncio.create_task(self._first())
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(first, *(client.acked.wait() for client in self.clients))
                return first.result() - began
        first.cancel()
        raise AssertionError(f"not everybody earns again within {limit_s:g} s: {self.logs()}")

    async def _first(self) -> float:
        waiting = [asyncio.create_task(client.acked.wait()) for client in self.clients]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        return time.monotonic()

    async def some_earn(self, limit_s: float = 60.0) -> None:
        """Wait until any client gets an ack again, and note how long that took."""
        began = time.monotonic()
        for client in self.clients:
            client.acked.clear()
        async with asyncio.timeout(limit_s):
            at = await self._first()
        self.recoveries.append(at - began)

    async def finish(self) -> Verdict:
        """Stop the clients, let the worker settle what is left, and judge."""
        for client in self.clients:
            client.stop()
        for result in await asyncio.gather(*self._playing, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        await until(lambda: _ready(self), timeout=60)
        with suppress(AssertionError):
            await until(self._is_settled, timeout=SETTLED_S)
        return judge([client.history for client in self.clients], await self._durable())

    async def leave(self) -> None:
        """Every client goes home, whatever happened."""
        for client in self.clients:
            client.stop()
        for each in self._playing:
            each.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await asyncio.gather(*self._playing, return_exceptions=True)

    async def _is_settled(self) -> bool:
        credits = set(await self._credits())
        return all(
            (client.history.learner_id, video_id) in credits
            for client in self.clients
            for video_id, study in client.history.studies.items()
            if study.watched
        )

    async def _credits(self) -> list[Pair]:
        async with self.running.services.db.read() as conn:
            rows = await conn.execute(select(ledger_entry.c.learner_id, ledger_entry.c.video_id))
            return [(row.learner_id, row.video_id) for row in rows]

    async def _durable(self) -> Durable:
        frontiers: dict[Pair, int] = {}
        async with self.running.services.db.read() as conn:
            for client in self.clients:
                learner_id = client.history.learner_id
                for each in await course_progress(conn, learner_id, self.course_id):
                    frontiers[learner_id, each.video_id] = each.frontier_ms
            payloads = await conn.scalars(select(outbox.c.payload).where(outbox.c.topic == "hours.credited"))
            messages = [json.loads(payload) for payload in payloads]
            sums = select(ledger_entry.c.learner_id, func.sum(ledger_entry.c.hours).label("hours"))
            rows = (await conn.execute(sums.group_by(ledger_entry.c.learner_id))).all()
        api = {
            client.history.learner_id: await self._api_hours(client.history.learner_id) for client in self.clients
        }
        return Durable(
            frontiers=frontiers,
            credits=await self._credits(),
            told=[(each["learner"], each["video"]) for each in messages],
            api_hours=api,
            ledger_hours={row.learner_id: int(row.hours) for row in rows},
            watched_from_ms=watched_from_ms(VIDEO_MS),
        )

    async def _api_hours(self, learner_id: int) -> int:
        headers = {"Authorization": f"Bearer {self.running.exam_token()}"}
        url = f"{self.urls[0]}/api/v1/eligibility/{learner_id}?course={self.course_id}"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            enrolments = (await answer.json())["enrolments"]
        counted = {
            entry["entry"]: round(float(entry["hours"]) * 100)
            for enrolment in enrolments
            for rule in enrolment["rules"]
            for entry in rule["entries"]
        }
        return sum(counted.values())

    def logs(self) -> str:
        """The last lines of every process, for a failure's message."""
        files = sorted(self.running.folder.glob("*.log"))
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-600:]}" for file in files)


@asynccontextmanager
async def stage(
    kind: str, *, nodes: int, clients: int, seed: int, slow_clock: bool = False, database_url: str | None = None
) -> AsyncIterator[Stage]:
    """An installation on SQLite or on PostgreSQL with so many nodes, and clients who are logged in."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xs-", ignore_cleanup_errors=True)))
        valkey = await start_valkey(folder / "valkey")
        stack.push_async_callback(valkey.stop)
        postgres = None
        url = database_url or f"sqlite+aiosqlite:///{folder / 'xueshi.sqlite'}"
        if kind == "postgres":
            postgres = PostgresServer()
            stack.callback(postgres.close)
            url = database_url or postgres.url()
        data = folder / "data"
        data.mkdir()
        clock = Clock(folder / "clock", 1.0) if slow_clock else None
        launcher = (sys.executable, "-m", "tests.redteam.clock", str(clock.path)) if clock is not None else ()
        parts: dict[str, Any] = {"watch": WATCH, "challenges": NO_CHALLENGES}
        running = await stack.enter_async_context(product(url, valkey.url, data, launcher=launcher, **parts))
        assert running.server is not None
        made = Stage(running, valkey, postgres, [running.server], [running.port], clock, random.Random(seed))
        for number in range(2, nodes + 1):
            port = free_port()
            made.nodes.append(await running.start(f"serve-{number}", "serve", "--port", str(port)))
            made.ports.append(port)
        await until(lambda: _ready(made), timeout=60)
        await _school(made, stack, clients)
        try:
            yield made
        finally:
            await made.leave()


async def _ready(made: Stage) -> bool:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        for url in made.urls:
            try:
                async with http.get(f"{url}/readyz") as answer:
                    if answer.status != 200:
                        return False
            except aiohttp.ClientError:
                return False
    return True


async def _school(made: Stage, stack: AsyncExitStack, clients: int) -> None:
    services, institution_id = made.running.services, made.running.institution_id
    lessons = await school.add_course(services, institution_id, hours=(HOURS,) * VIDEOS)
    async with services.db.write() as conn:
        await conn.execute(update(media).values(duration_ms=VIDEO_MS))
        await conn.execute(update(video).values(quiz_sha=None))
    made.course_id = lessons.course_id
    for number in range(clients):
        pupil = await school.add_learner(services, institution_id)
        await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
        async with services.db.write() as conn:
            token = await open_login(
                services,
                conn,
                person_id=pupil.person_id,
                learner_id=pupil.learner_id,
                client=LoginClient("127.0.0.1", "faults"),
            )
        jar = CookieJar(unsafe=True)
        jar.update_cookies({cookies.LOGIN: token}, URL("http://127.0.0.1/"))
        http = await stack.enter_async_context(ClientSession(cookie_jar=jar))
        async with http.get(f"{made.urls[0]}/player/{lessons.video_ids[0]}") as answer:
            found = _PAGE_DATA.search(await answer.text())
            assert found is not None, answer.status
        made.clients.append(
            Client(
                http=http,
                nodes=made.urls,
                csrf=json.loads(found[1])["csrf"],
                video_ids=lessons.video_ids,
                history=History(pupil.learner_id, pupil.person_id),
                rng=random.Random(made.rng.random() + number),
            )
        )
