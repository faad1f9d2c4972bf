"""Where the cases are played: real server processes on stores of their own, and rows for many courses."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from sqlalchemy import insert, select

from player_server.learning.services import Services
from player_server.standalone.child import ChildProcess
from player_server.standalone.valkey import Valkey, start_valkey
from player_server.storage.clock import wall_ms
from player_server.storage.tables import course, media, video
from tests.redteam.clock import Clock
from tests.support.clips import make_clip
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.product import Product, product
from tests.support.quizzes import add_quiz
from tests.support.school import Lessons

READY_S = 60.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Kind:
    """Settings over the production defaults, by part; `speed` lets the servers' clocks run faster."""

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    speed: float | None = None
    why: str = ""


#: Every kind of server that a case may ask for. Production defaults wherever nothing is said.
ARENAS: dict[str, Kind] = {
    "default": Kind(),
    "fast": Kind(
        {"sign_in": {"session_hours": 100}},
        # Faster, and a machine that stalls for a moment would be a silence beyond the grace, or a lost lock.
        speed=6.0,
        why="fast clock: the servers' clocks run 6 times as fast and can be set forward",
    ),
}


@dataclass
class Arena:
    """Running processes: `nodes` are their addresses. Everything else looks at or prepares the database."""

    product: Product
    valkey: Valkey
    nodes: list[str]
    servers: list[ChildProcess]
    clock: Clock | None = None
    http: aiohttp.ClientSession = field(init=False)
    importing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def services(self) -> Services:
        return self.product.services

    @property
    def speed(self) -> float:
        """Seconds that pass for the servers in one real second."""
        return self.clock.speed if self.clock else 1.0

    def now(self) -> float:
        """Seconds on the servers' monotonic clock, read here; only differences mean anything."""
        if self.clock is None:
            return time.monotonic()
        return self.clock.now()

    async def course(self, *durations_s: float, quiz: bool = False, hours: int = 100) -> Lessons:
        """A course with a video of each duration (rows only; there is no file to load). Hours in hundredths."""
        now, number = wall_ms(), next(_numbers)
        async with self.services.db.write() as conn:
            row = {"institution_id": self.product.institution_id, "title": f"红队 {number}", "created_at": now}
            made = insert(course).values(**row, specialty="建筑工程", subject="professional").returning(course.c.id)
            course_id = int((await conn.execute(made)).scalar_one())
            for place, duration in enumerate(durations_s, 1):
                sha = sha256(f"media {number} {place}".encode()).hexdigest()
                size = {"width": 640, "height": 360, "video_codec": "h264", "created_at": now}
                await conn.execute(insert(media).values(sha=sha, duration_ms=round(duration * 1000), **size))
                words = {"title": f"第{place}讲", "position": place, "hours": hours, "created_at": now}
                await conn.execute(insert(video).values(course_id=course_id, media_sha=sha, **words))
            ids = select(video.c.id).where(video.c.course_id == course_id).order_by(video.c.position)
            lessons = Lessons(course_id, tuple((await conn.scalars(ids)).all()))
        for video_id in lessons.video_ids if quiz else ():
            await add_quiz(self.services, video_id)
        return lessons

    async def clip_course(
        self, folder: Path, *durations_s: float, quiz: bool = False, sound_s: float | None = None
    ) -> Lessons:
        """A course folder with real clips, imported as an institution would: for cases with a browser.

        `sound_s` is the length of the sound where it is not that of the picture.
        """
        videos: list[dict[str, Any]] = []
        for number, duration in enumerate(durations_s, 1):
            path = folder / f"{number}.mp4"
            shade = 16 + next(_numbers) % 200
            await asyncio.to_thread(make_clip, path, picture_s=duration, sound_s=sound_s or duration, shade=shade)
            videos.append({"file": path.name, "title": f"第{number}讲", "hours": 0.01, "quiz": "none"})
        tree = {
            "title": f"红队 {next(_numbers)}",
            "specialty": "建筑工程",
            "subject": "professional",
            "videos": videos,
        }
        (folder / "course.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        async with self.importing:  # The product object remembers only the course that came last.
            await self.product.import_course(folder)
            lessons = Lessons(self.product.course_id, self.product.video_ids)
        for video_id in lessons.video_ids if quiz else ():
            await add_quiz(self.services, video_id)
        return lessons

    async def until_ready(self, url: str) -> None:
        """Wait until the node at this address serves."""
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    async with self.http.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)


class Stores:
    """Makes arenas, each on a Valkey and a database of its own; one PostgreSQL for all of them."""

    def __init__(self, *, postgres: bool = False, nodes: int = 1) -> None:
        self.postgres = PostgresServer() if postgres else None
        self.nodes = nodes
        self._stack = AsyncExitStack()
        self._shared: dict[str, Arena] = {}
        self._lock = asyncio.Lock()
        self._migrating = asyncio.Lock()

    async def shared(self, name: str) -> Arena:
        """The arena of this kind that all cases share."""
        async with self._lock:
            if name not in self._shared:
                self._shared[name] = await self._stack.enter_async_context(self.own(ARENAS[name]))
            return self._shared[name]

    @asynccontextmanager
    async def own(self, kind: Kind, *, nodes: int | None = None) -> AsyncIterator[Arena]:
        """An arena for one case alone, which may kill what it likes in it."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xueshi-red-")))
            valkey = await start_valkey(folder / "valkey")
            stack.push_async_callback(valkey.stop)
            parts: dict[str, Any] = kind.parts
            clock = Clock(folder / "clock", kind.speed) if kind.speed else None
            # The migrations of one process cannot run twice at once: Alembic keeps their context in a module.
            async with self._migrating:
                running = await stack.enter_async_context(
                    product(
                        await self._database(folder, stack),
                        valkey.url,
                        folder,
                        None,
                        launcher=_launcher(clock),
                        **parts,
                    )
                )
            assert running.server is not None
            arena = Arena(running, valkey, [running.url], [running.server], clock)
            arena.http = await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())
            )
            for number in range(2, (nodes or self.nodes) + 1):
                port = free_port()
                arena.servers.append(await running.start(f"serve-{number}", "serve", "--port", str(port)))
                arena.nodes.append(f"http://127.0.0.1:{port}")
                await arena.until_ready(arena.nodes[-1])
            yield arena

    async def _database(self, folder: Path, stack: AsyncExitStack) -> str:
        if self.postgres is None:
            return f"sqlite+aiosqlite:///{folder / 'xueshi.sqlite'}"
        # In a thread: on a busy disk this takes seconds, in which all honest pages of this process would be silent.
        name = await asyncio.to_thread(self.postgres.create_database)
        stack.push_async_callback(asyncio.to_thread, self.postgres.drop_database, name)
        return self.postgres.url(name)

    async def close(self) -> None:
        """End everything that was started."""
        await self._stack.aclose()
        if self.postgres is not None:
            self.postgres.close()


def _launcher(clock: Clock | None) -> tuple[str, ...]:
    """How a product process is started: plainly, or with the clocks of a case."""
    return () if clock is None else (sys.executable, "-m", "tests.redteam.clock", str(clock.path))


async def raw_http(arena: Arena, method: str, url: str, **options: Any) -> tuple[int, bytes]:
    """One HTTP request that follows no redirect: (status, body)."""
    async with arena.http.request(method, url, allow_redirects=False, **options) as answer:
        return answer.status, await answer.read()
