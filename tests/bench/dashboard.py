"""`./run bench dashboard`: how long the staff's pages take with many learners, on PostgreSQL, one server process.

It seeds an institution as `./run seed` does, lets the roll-ups catch up, starts `serve`, and asks as browsers do:
one client at a time, then twenty. With --url it asks a server that runs already.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import aiohttp
import uvloop
import yaml
from sqlalchemy import text

from player_server.app import open_services
from player_server.config import load
from player_server.demo.seed import seed
from player_server.learning.standing import follow_changes
from player_server.standalone.child import ChildProcess
from player_server.standalone.supervisor import product_process
from player_server.standalone.valkey import start_valkey
from tests.support.doors import csrf_in
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

AT_ONCE = 20
#: Learners a class.
CLASS = 50


@dataclass(frozen=True, slots=True)
class Door:
    """A page that is asked for, and what issue 4 allows it: the 95th percentile in ms with one client at a time."""

    name: str
    path: str
    limit: float


@dataclass(frozen=True, slots=True)
class Times:
    """Of one door, in ms, sorted."""

    door: Door
    clients: int
    took: tuple[float, ...]

    def percentile(self, share: float) -> float:
        return self.took[min(len(self.took) - 1, int(share * len(self.took)))]

    def line(self) -> str:
        return (
            f"{self.door.name:<34} {self.clients:>3}  p50 {statistics.median(self.took):7.1f}  "
            f"p95 {self.percentile(0.95):7.1f}  p99 {self.percentile(0.99):7.1f}   must {self.door.limit:.0f}"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A running server and the account to ask with."""

    url: str
    username: str
    password: str
    learners: int


def main(arguments: Sequence[str]) -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="./run bench dashboard", description=__doc__)
    parser.add_argument("--learners", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60, help="requests of each page")
    parser.add_argument("--url", help="a server that runs already, with --username and --password")
    parser.add_argument("--username")
    parser.add_argument("--password")
    options = parser.parse_args(arguments)
    for times in uvloop.run(_run(options)):
        print(times.line())
    return 0


async def _run(options: argparse.Namespace) -> list[Times]:
    async with AsyncExitStack() as stack:
        if options.url:
            place = Place(options.url, options.username, options.password, options.learners)
        else:
            place = await stack.enter_async_context(_seeded(options.learners))
        jar = aiohttp.CookieJar(unsafe=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(place.url, cookie_jar=jar))
        await _log_in(http, place)
        doors = await _doors(http)
        measured = [await _measure(http, door, 1, options.rounds) for door in doors]
        measured += [await _measure(http, door, AT_ONCE, options.rounds) for door in doors]
        return measured


@asynccontextmanager
async def _seeded(learners: int) -> AsyncIterator[Place]:
    """PostgreSQL, Valkey and `serve` over a school of so many."""
    database = PostgresServer()
    server: ChildProcess | None = None
    with tempfile.TemporaryDirectory(prefix="xueshi-dashboard-") as name:
        folder = Path(name)
        valkey = await start_valkey(folder / "valkey")
        try:
            port, config = free_port(), folder / "config.yaml"
            tree = {
                "server": {"port": port, "insecure_http": True},
                "data": {
                    "folder": str(folder),
                    "database_url": database.url(database.create_database()),
                    "redis_url": valkey.url,
                },
            }
            config.write_text(yaml.safe_dump(tree), encoding="utf-8")
            async with open_services(load(config)) as services:
                made = await seed(services, learners, max(1, learners // CLASS))
                _say("seeded")
                began = perf_counter()
                while await follow_changes(services):
                    pass
                _say(f"roll-ups caught up after {perf_counter() - began:.0f} s")
                async with services.db.write() as conn:
                    await conn.execute(text("ANALYZE"))
            argv = (*product_process("serve", "serve").argv, "--config", str(config))
            server = ChildProcess("serve", argv, output=folder / "serve.log")
            await server.start()
            url = f"http://127.0.0.1:{port}"
            await _ready(url)
            yield Place(url, made.username, made.password or "", learners)
        finally:
            if server is not None:
                await server.stop()
            await valkey.stop()
            database.close()


async def _ready(url: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            try:
                async with http.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def _log_in(http: aiohttp.ClientSession, place: Place) -> None:
    async with http.get("/staff/login") as page:
        token = csrf_in(await page.text())
    fields = {"csrf": token, "username": place.username, "password": place.password, "next": "/staff"}
    async with http.post("/staff/login", data=fields) as answer:
        if answer.url.path != "/staff":
            raise SystemExit(f"could not log in as {place.username}: arrived at {answer.url.path}")


async def _doors(http: aiohttp.ClientSession) -> list[Door]:
    async with http.get("/staff/learners") as page:
        html = await page.text()
    learner = html.split('href="/staff/learners/', 1)[1].split('"', 1)[0]
    pages = int(html.split('<span class="num">1 / ', 1)[1].split("<", 1)[0])
    middle = random.Random(1).randint(1, pages)
    lists = {
        "list, first page": "",
        "list, middle page": f"?page={middle}",
        "list, last page": f"?page={pages}",
        "list, name": "?q=王",
        "list, last digits": "?q=1234",
        "list, behind": "?state=behind",
        "list, near": "?concern=near",
        "list, missed checks": "?concern=missed",
        "list, findings": "?concern=review",
        "list, share 50-74": "?share=50-74",
        "list, by name, last page": f"?sort=name&order=desc&page={pages}",
        "list, by hours": "?sort=hours&order=desc",
        "list, by deadline, middle": f"?sort=deadline&page={middle}",
    }
    return [
        Door("landing page", "/staff", 200),
        Door("who watches now", "/staff/watching.json", 100),
        *(Door(name, f"/staff/learners{query}", 150) for name, query in lists.items()),
        Door("one learner", f"/staff/learners/{learner}", 100),
    ]


async def _measure(http: aiohttp.ClientSession, door: Door, clients: int, rounds: int) -> Times:
    took: list[float] = []
    left = rounds

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = perf_counter()
            async with http.get(door.path) as answer:
                body = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{door.path}: {answer.status} {body[:200]!r}")
            took.append((perf_counter() - began) * 1000)

    await asyncio.gather(*(client() for _ in range(clients)))
    return Times(door, clients, tuple(sorted(took)))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
