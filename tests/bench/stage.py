"""Real processes on their cores: the echo, or the product's `serve` on stores of the bench's own."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import yaml
from sqlalchemy import text

from player_server.app import open_services
from player_server.config import load
from player_server.learning.services import Services
from player_server.standalone.child import ChildProcess
from player_server.standalone.supervisor import product_process
from player_server.standalone.valkey import start_valkey
from tests.bench.cost import Cores, cpu_s, family_cpu_s, loop_cpu_s, running_on, synced_write_ms
from tests.bench.school import VIDEO_ID, found, ticket_office
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

Kind = Literal["echo", "sqlite", "postgresql"]
ROOT = Path(__file__).parents[2]
#: A stop of thousands of players takes its time; after this many seconds it is killed, which the product survives.
_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Use:
    """Seconds of CPU that everybody has used so far; `loop` is the part of `server` in its event loop."""

    server: float
    loop: float
    database: float
    redis: float


@dataclass(frozen=True, slots=True)
class Ticks:
    """What one tick of the committer took, on average. `transactions` is None where the database does not tell."""

    rows: float
    transactions: float | None
    redis_reads: float


@dataclass(frozen=True, slots=True)
class Counts:
    """So far: write transactions (None where the database does not tell), the committer's ticks and rows, and the
    packets Redis has read."""

    transactions: int | None
    ticks: int
    rows: int
    reads: int

    def until(self, later: Counts) -> Counts:
        """What happened between the two."""
        known = self.transactions is not None and later.transactions is not None
        return Counts(
            (later.transactions or 0) - (self.transactions or 0) if known else None,
            later.ticks - self.ticks,
            later.rows - self.rows,
            later.reads - self.reads,
        )

    @staticmethod
    def ticks_of(many: Sequence[Counts]) -> Ticks | None:
        """The averages; None without ticks, as for the echo."""
        ticks = sum(each.ticks for each in many)
        if not ticks:
            return None
        known = all(each.transactions is not None for each in many)
        return Ticks(
            round(sum(each.rows for each in many) / ticks, 1),
            round(sum(each.transactions or 0 for each in many) / ticks, 3) if known else None,
            round(sum(each.reads for each in many) / ticks, 3),
        )


@dataclass(frozen=True, slots=True)
class Server:
    """One running server: the echo or the product."""

    kind: Kind
    port: int
    child: ChildProcess
    stores: Stores | None

    @property
    def video_id(self) -> int | None:
        return None if self.stores is None else VIDEO_ID

    def tickets(self, first_person: int) -> Callable[[int], Awaitable[str]]:
        """Tickets for this server; the echo takes any."""
        if self.stores is None:
            return _any_ticket
        return ticket_office(self.stores.services, first_person)

    def cpu(self) -> Use:
        """CPU only; cheap enough to be read while a load runs."""
        pid, stores = self.child.pid, self.stores
        database = stores.database_cpu_s() if stores else 0.0
        redis = cpu_s(stores.valkey_pid) if stores else 0.0
        return Use(cpu_s(pid), loop_cpu_s(pid), database, redis)

    async def counts(self) -> Counts:
        """Not cheap: asks the server and its stores."""
        if self.stores is None:
            return Counts(None, 0, 0, 0)
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        values = {line.split()[0]: float(line.split()[-1]) for line in lines if not line.startswith("#")}
        info: dict[str, Any] = await self.stores.services.redis.info("stats")
        return Counts(
            await self.stores.transactions(),
            int(values["xueshi_batch_rows_count"]),
            int(values["xueshi_batch_rows_sum"]),
            int(info["total_reads_processed"]),
        )


async def _any_ticket(_number: int) -> str:
    return "none"


@dataclass(frozen=True, slots=True)
class Stores:
    """The database and the Valkey of one kind of gateway."""

    kind: Literal["sqlite", "postgresql"]
    services: Services
    config: Path
    port: int
    folder: Path
    valkey_pid: int
    postgres: PostgresServer | None

    def database_cpu_s(self) -> float:
        return family_cpu_s(self.postgres.pid) if self.postgres else 0.0

    async def transactions(self) -> int | None:
        """How many transactions have written so far; each takes one number."""
        if self.kind == "sqlite":
            return None
        async with self.services.db.read() as conn:
            # The snapshot's end is read without taking a number.
            return int(
                (await conn.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))).scalar_one()
            )

    async def settings(self) -> dict[str, Any]:
        """What makes a commit durable here, and what that costs."""
        names = ["fsync", "synchronous_commit", "wal_sync_method", "server_version"]
        if self.kind == "sqlite":
            names = ["synchronous", "journal_mode"]
        said: dict[str, Any] = {}
        async with self.services.db.read() as conn:
            for name in names:
                command = "PRAGMA" if self.kind == "sqlite" else "SHOW"
                said[name] = (await conn.execute(text(f"{command} {name}"))).scalar_one()
        if self.kind == "sqlite":
            said["synchronous"] = {1: "NORMAL", 2: "FULL", 3: "EXTRA"}.get(said["synchronous"], said["synchronous"])
            said["server_version"] = sqlite3.sqlite_version
        folder = self.postgres.socket_folder if self.postgres else self.folder
        return said | {"synced_write_ms": synced_write_ms(folder)}


@asynccontextmanager
async def open_stores(
    kind: Literal["sqlite", "postgresql"], folder: Path, people: int, cores: Cores
) -> AsyncIterator[Stores]:
    """A database with this many people, and a Valkey."""
    folder.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        postgres: PostgresServer | None = None
        url = f"sqlite+aiosqlite:///{folder / 'xueshi.sqlite'}"
        with running_on(cores.others):
            valkey = await start_valkey(folder / "valkey")
            stack.push_async_callback(valkey.stop)
            if kind == "postgresql":
                postgres = PostgresServer()
                stack.callback(postgres.close)
                url = postgres.url(postgres.create_database())
        port = free_port()
        tree = {
            "server": {"port": port, "insecure_http": True},
            "data": {"folder": str(folder), "database_url": url, "redis_url": valkey.url},
        }
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(tree), encoding="utf-8")
        services = await stack.enter_async_context(open_services(load(config)))
        await found(services, people)
        yield Stores(kind, services, config, port, folder, valkey.pid, postgres)


@asynccontextmanager
async def running(stores: Stores | None, folder: Path, cores: Cores) -> AsyncIterator[Server]:
    """A fresh server process: the product on these stores, or the echo without any."""
    if stores is None:
        kind: Kind = "echo"
        port = free_port()
        argv: tuple[str | Path, ...] = (sys.executable, "-m", "tests.bench.echo", str(port))
    else:
        kind, port = stores.kind, stores.port
        argv = product_process("serve", "serve", "--config", str(stores.config)).argv
    log = folder / f"{kind}.log"
    child = ChildProcess(kind, argv, output=log)
    with running_on(cores.server):
        await child.start()
    try:
        await until_ready(port, child, log)
        yield Server(kind, port, child, stores)
    except Exception as error:
        error.add_note(f"The {kind} server said:\n{log.read_text(errors='replace')[-2000:]}")
        raise
    finally:
        await child.stop(_STOP_S)


async def until_ready(port: int, child: ChildProcess, log: Path) -> None:
    """Wait until this server answers. Raises RuntimeError with its last words if it ends."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            if not child.running:
                raise RuntimeError(f"the server ended while starting:\n{log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)
