"""What is done to the processes, one function a campaign. Each heals what it broke before it returns.

A dose ends when somebody earns again: a fault into a system that is still down from the last one shows nothing.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis.asyncio

from player_server.standalone.child import ChildProcess
from player_server.storage.session_lock import lock_key
from tests.faults.stage import LOCK_TTL_S, Stage

Store = Literal["sqlite", "postgres"]
Fault = Callable[[Stage, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Campaign:
    """One row of the table: a fault, on which stores, how often in a full and in a short run."""

    name: str
    what: str
    fault: Fault
    stores: tuple[Store, ...] = ("postgres",)
    doses: int = 3
    short: int = 1
    skewed_clock: bool = False
    proxied: bool = False  # every line to PostgreSQL goes through a proxy that cuts it


# --------------------------------------------------------------------------------------- processes


async def kills(stage: Stage, doses: int) -> None:
    """SIGKILL for a random process, each 0.4 to 1.2 s; it is started again at once."""
    for _ in range(doses):
        await asyncio.sleep(stage.rng.uniform(0.4, 1.2))
        target = stage.rng.choice(["node"] * 3 + ["worker", "redis"] + ["postgres"] * (stage.postgres is not None))
        if target == "node":
            await _again(stage, stage.rng.choice(stage.nodes))
        elif target == "worker":
            await _again(stage, stage.worker)
        elif target == "redis":
            stage.valkey.kill()
            await stage.valkey.wait()
            await stage.valkey.start()
        elif stage.postgres is not None:
            stage.postgres.kill()
            # Not in a thread: the kernel ends the server when the thread that started it ends.
            stage.postgres.start()
        stage.doses += 1
        await stage.some_earn()


async def _again(stage: Stage, child: ChildProcess) -> None:
    child.kill()
    await child.wait()
    await stage.start(child)


async def restarts(stage: Stage, doses: int) -> None:
    """SIGTERM for one node after the other, as a rolling restart does; each is back before the next one goes."""
    for number in range(doses):
        child = stage.nodes[number % len(stage.nodes)]
        began = time.monotonic()
        await child.stop()
        assert time.monotonic() - began < 10, "a stop took longer than ten seconds"
        await stage.start(child)
        stage.doses += 1
        await stage.some_earn()
        await asyncio.sleep(1)


async def pauses(stage: Stage, doses: int) -> None:
    """SIGSTOP for the node that somebody plays on, for 0.8 to 2 lives of a lock, then SIGCONT."""
    for number in range(doses):
        child = stage.nodes[number % len(stage.nodes)]
        os.kill(child.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(stage.rng.uniform(0.8, 2.0) * LOCK_TTL_S)
        finally:
            os.kill(child.pid, signal.SIGCONT)
        stage.doses += 1
        await stage.some_earn()
        await asyncio.sleep(0.5)


async def wall_clock(stage: Stage, doses: int) -> None:
    """The wall clock of every server process is set an hour forward and back; the monotonic one goes on."""
    assert stage.clock is not None
    for number in range(doses):
        stage.clock.step_wall(3600 if number % 2 == 0 else -3600)
        stage.doses += 1
        await stage.some_earn()
        await asyncio.sleep(2)
    if doses % 2:
        stage.clock.step_wall(-3600)


# ------------------------------------------------------------------------------------------- Redis


@asynccontextmanager
async def _redis(stage: Stage) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.from_url(stage.valkey.url)
    try:
        yield client
    finally:
        await client.aclose()


async def locks_deleted(stage: Stage, doses: int) -> None:
    """Every session lock vanishes."""
    for _ in range(doses):
        async with _redis(stage) as client:
            await client.delete(*(lock_key(each.history.person_id) for each in stage.clients))
        stage.doses += 1
        await stage.some_earn()
        await asyncio.sleep(1)


async def flushed(stage: Stage, doses: int) -> None:
    """FLUSHALL."""
    for _ in range(doses):
        async with _redis(stage) as client:
            await client.flushall()
        stage.doses += 1
        await stage.some_earn()
        await asyncio.sleep(1)


async def redis_away(stage: Stage, doses: int) -> None:
    """Redis is gone for twenty seconds (the first time for sixty) and comes back empty."""
    for number in range(doses):
        stage.valkey.kill()
        await stage.valkey.wait()
        await asyncio.sleep((60 if number == 0 else 20) if doses > 1 else 5)
        shutil.rmtree(stage.valkey.data_dir / "appendonlydir", ignore_errors=True)
        await stage.valkey.start()
        stage.doses += 1
        await stage.all_earn()
        await stage.some_earn()


async def redis_full(stage: Stage, doses: int) -> None:
    """Out of memory: every command that writes is refused for five seconds."""
    for _ in range(doses):
        async with _redis(stage) as client:
            await client.config_set("maxmemory", "1")
            await asyncio.sleep(5)
            await client.config_set("maxmemory", "0")
        stage.doses += 1
        await stage.some_earn()
        await stage.all_earn()


async def redis_read_only(stage: Stage, doses: int) -> None:
    """Writes are refused for want of a replica, for five seconds."""
    for _ in range(doses):
        async with _redis(stage) as client:
            await client.config_set("min-replicas-to-write", "1")
            await asyncio.sleep(5)
            await client.config_set("min-replicas-to-write", "0")
        stage.doses += 1
        await stage.some_earn()
        await stage.all_earn()


async def redis_stalled(stage: Stage, doses: int) -> None:
    """CLIENT PAUSE: Redis takes what is sent and answers nothing for a second and a half."""
    for _ in range(doses):
        async with _redis(stage) as client:
            await client.client_pause(1500)
        await asyncio.sleep(2.5)
        stage.doses += 1
        await stage.some_earn()


# ---------------------------------------------------------------------------------------- database


async def backends_ended(stage: Stage, doses: int) -> None:
    """Every connection to PostgreSQL is ended from inside, each 300 ms."""
    assert stage.postgres is not None
    sql = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    for number in range(doses):
        await asyncio.to_thread(stage.postgres.execute, sql)
        stage.doses += 1
        await asyncio.sleep(0.3)
        if number % 20 == 19:
            await stage.some_earn()
    await stage.some_earn()


async def lines_cut(stage: Stage, doses: int) -> None:
    """The proxy before PostgreSQL cuts lines right after it passed something on, so that commits are unknown."""
    await asyncio.sleep(doses)
    stage.doses += doses
    await stage.some_earn()


async def disk_full(stage: Stage, doses: int) -> None:
    """No file of a server may grow or change for fifteen seconds (five in a short run), its log included."""
    for _ in range(doses):
        _let_write(stage, 0)
        await asyncio.sleep(15 if doses > 1 else 5)
        _let_write(stage, resource.RLIM_INFINITY)
        stage.doses += 1
        await stage.some_earn()
        await stage.all_earn()


def _let_write(stage: Stage, size: int) -> None:
    for child in (*stage.nodes, stage.worker):
        with suppress(ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@asynccontextmanager
async def cutting_proxy(folder: Path, rng_cut: Callable[[], bool]) -> AsyncIterator[Path]:
    """A folder with a socket that leads to PostgreSQL's of `folder`, and cuts a line when `rng_cut` says so."""
    name = ".s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(str(folder / name))
        except OSError:
            writer.close()
            return

        async def back() -> None:
            with suppress(OSError):
                while data := await far_reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            # Whoever said good-bye waits for the other side to close.
            writer.close()

        answering = asyncio.create_task(back())
        with suppress(OSError):
            while not answering.done() and (data := await reader.read(65536)):
                far_writer.write(data)
                await far_writer.drain()
                if rng_cut():
                    # The statement is on its way; its answer will never be read.
                    await asyncio.sleep(0.002)
                    break
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        for each in (writer, far_writer):
            each.transport.abort()

    with tempfile.TemporaryDirectory(prefix="xs-pg-") as place:
        server = await asyncio.start_unix_server(serve, path=str(Path(place) / name))
        try:
            yield Path(place)
        finally:
            server.close()


CAMPAIGNS = (
    Campaign("kills", "SIGKILL of server, worker, Redis, PostgreSQL", kills, ("sqlite", "postgres"), 200, 6),
    Campaign("rolling-restart", "SIGTERM of one node after the other", restarts, doses=10, short=2),
    Campaign("pauses", "SIGSTOP of a node beyond the lock's life", pauses, doses=30, short=2),
    Campaign("wall-clock", "wall clock of the servers ±1 h", wall_clock, ("sqlite",), 12, 2, skewed_clock=True),
    Campaign("locks-deleted", "Redis: session locks deleted", locks_deleted),
    Campaign("flushall", "Redis: FLUSHALL", flushed),
    Campaign("redis-away", "Redis: 60 s away, comes back empty", redis_away),
    Campaign("redis-full", "Redis: out of memory", redis_full),
    Campaign("redis-read-only", "Redis: refuses writes", redis_read_only),
    Campaign("redis-stalled", "Redis: answers nothing for 1.5 s", redis_stalled, doses=12, short=1),
    Campaign("backends-ended", "PostgreSQL: connections ended each 300 ms", backends_ended, doses=400, short=15),
    Campaign("lines-cut", "PostgreSQL: line cut after COMMIT was sent", lines_cut, doses=60, short=5, proxied=True),
    Campaign("disk-full", "SQLite: disk full for 15 s, freed", disk_full, ("sqlite",)),
)
