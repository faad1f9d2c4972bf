"""What each command does, once its arguments are read. Nothing here decides anything about learning."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from asyncpg import PostgresError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from player_server.app import build_app, open_services
from player_server.auth.service_tokens import make_client_token
from player_server.config import ENV_PREFIX, Settings, load
from player_server.demo.loader import ACCOUNTS_FILE, KEY_FILE, load_demo
from player_server.learning.course_import import import_course
from player_server.observe import log, set_up_logging
from player_server.standalone.supervisor import Supervisor, product_process
from player_server.standalone.valkey import Valkey, ValkeyError, start_valkey
from player_server.storage.clock import wall_ms
from player_server.storage.database import Database
from player_server.storage.migrate import migrate
from player_server.storage.tables import institution
from workers.jobs import run_jobs

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config.yaml"
DEMO = Path(__file__).parent / "demo" / "demo.yaml"
#: What a start over removes from the data folder: only what we made there.
OURS = (
    "xueshi.sqlite",
    "xueshi.sqlite-wal",
    "xueshi.sqlite-shm",
    "valkey",
    "media",
    "keys",
    "logs",
    ACCOUNTS_FILE,
    KEY_FILE,
)
#: So many more objects than before make a server look for cycles: more than a commit of all players has under way.
COLLECT_AFTER = 10_000


class CommandError(Exception):
    """A command cannot go on; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Where:
    """The settings files and what the command line puts over them."""

    files: tuple[Path, ...]
    overrides: dict[str, Any]

    def settings(self) -> Settings:
        return load(*self.files, overrides=self.overrides)

    def arguments(self) -> list[str]:
        """The same for a child process."""
        return [part for file in self.files for part in ("--config", str(file))]

    def environment(self) -> dict[str, str]:
        """The overrides as environment variables, for a child process."""
        flat = {
            f"{ENV_PREFIX}{part}__{key}".upper(): str(value).lower() if isinstance(value, bool) else str(value)
            for part, values in self.overrides.items()
            for key, value in values.items()
        }
        return {**os.environ, **flat}


async def start_all(where: Where, *, fresh: bool) -> int:
    """`./run`: embedded Valkey, migrations, demo data, then server and worker until Ctrl-C."""
    settings = where.settings()
    _check_port(settings)
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"data.folder {settings.folder} cannot be made: {error.strerror}") from None
    if fresh:
        await _forget(settings)
    valkey: Valkey | None = None
    if settings.data.redis_url is None:
        try:
            valkey = await start_valkey(settings.folder / "valkey")
        except ValkeyError as error:
            raise CommandError(str(error)) from None
        where.overrides.setdefault("data", {})["redis_url"] = valkey.url
    try:
        await _open_database(settings)
        async with open_services(where.settings()) as services:
            accounts = await load_demo(services)
    except BaseException:
        if valkey is not None:
            await valkey.stop()
        raise
    environment = where.environment()
    logs = settings.folder / "logs"
    logs.mkdir(exist_ok=True)
    children = [
        product_process(name, name, *where.arguments(), env=environment, output=logs / f"{name}.log")
        for name in ("serve", "worker")
    ]
    settings = where.settings()
    _say_hello(settings, accounts.lines(settings.public_url))
    return await Supervisor([*children, *([valkey] if valkey else [])], say=_say).run()


async def _open_database(settings: Settings) -> None:
    """Say clearly that it is away, before anything depends on it."""
    db = Database(settings.database_url)
    try:
        async with db.read() as conn:
            await conn.execute(select(1))
    except (OSError, SQLAlchemyError, PostgresError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CommandError(f"the database of data.database_url cannot be opened: {reason}") from None
    finally:
        await db.close()


def _say_hello(settings: Settings, accounts: list[str]) -> None:
    width = 78
    lines = [
        "",
        "─" * width,
        f"  学时 Xueshi   {settings.public_url}",
        "─" * width,
        *(f"  {line}" for line in accounts),
        "",
        f"  Data: {settings.folder} (logs in logs/)",
        "  Ctrl-C ends everything; the next ./run goes on with this data, ./run --fresh starts over.",
        "─" * width,
    ]
    print("\n".join(lines), flush=True)


def _say(line: str) -> None:
    print(line, flush=True)


async def _forget(settings: Settings) -> None:
    """Remove what former runs left, unless one of them still runs: its data would vanish under its feet."""
    if settings.data.redis_url is None:
        try:
            valkey = Valkey(settings.folder / "valkey")
            try:
                await valkey.wait_until_free()
            finally:
                await valkey.stop()
        except ValkeyError as error:
            raise CommandError(str(error)) from None
    for name in OURS:
        path = settings.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_port(settings: Settings) -> None:
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family[0], family[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(family[4])
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Another program may use it; "
            "try --port with another number."
        ) from None


def lan_address() -> str | None:
    """This machine's address in its network, as a phone would reach it; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # Connecting a datagram socket sends nothing; it only picks the route. The address is one for documentation.
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address
    return None


async def serve(where: Where) -> int:
    """`serve`: one server process until SIGTERM. Ends with 1 when a background task of it has died."""
    settings = where.settings()
    set_up_logging()
    stop = asyncio.Event()
    failed = False

    def die() -> None:
        nonlocal failed
        failed = True
        stop.set()

    async with open_services(settings) as services:
        runner = web.AppRunner(build_app(services, die), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.server.host, settings.server.port, backlog=2048).start()
        except OSError as error:
            await runner.cleanup()
            raise CommandError(f"cannot listen on port {settings.server.port}: {error.strerror}") from None
        _spare_the_collector()
        log.info("serving", host=settings.server.host, port=settings.server.port)
        _stop_on_signals(stop)
        await stop.wait()
        await runner.cleanup()
    return 1 if failed else 0


def _spare_the_collector() -> None:
    """Beats leave no cycles behind, but thousands of rows under way look to Python's collector like growth: by
    default it walks through all players every few commits, which was a third of the CPU of a beat."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


async def work(where: Where) -> int:
    """`worker`: the background jobs until SIGTERM."""
    settings = where.settings()
    set_up_logging()
    stop = asyncio.Event()
    async with open_services(settings) as services:
        jobs = asyncio.create_task(run_jobs(services))
        _stop_on_signals(stop)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([jobs, stopped], return_when=asyncio.FIRST_COMPLETED)
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)
    return 0 if stop.is_set() else 1


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def migrate_only(where: Where) -> int:
    """`migrate`: bring the database to the newest schema."""
    db = Database(where.settings().database_url)
    try:
        await migrate(db)
    finally:
        await db.close()
    print("The database is at the newest schema.")
    return 0


async def import_folder(where: Where, folder: Path, institution_name: str | None) -> int:
    """`import-course FOLDER`: all of it or nothing, with every error at once."""
    db = Database(where.settings().database_url)
    try:
        await migrate(db)
        institution_id = await _institution(db, institution_name)
        media_folder = where.settings().media_folder
        result = await import_course(db, media_folder, folder, institution_id, wall_ms(), _say_file)
    finally:
        await db.close()
    for problem in result.problems:
        print(problem.text("zh"), problem.text("en"), sep="\n    ", file=sys.stderr)
    if result.errors:
        print(f"{len(result.errors)} errors; nothing was imported.", file=sys.stderr)
        return 1
    what = "Imported" if result.created else "Updated" if result.changed else "Nothing changed in"
    print(f"{what} the course (number {result.course_id}).")
    for change in (*result.course_changes, *result.video_changes):
        print(f"  {change}")
    return 0


def _say_file(name: str) -> None:
    print(f"  {name} …", file=sys.stderr, flush=True)


async def _institution(db: Database, name: str | None) -> int:
    async with db.read() as conn:
        rows = (await conn.execute(select(institution.c.id, institution.c.name).order_by(institution.c.id))).all()
    found = [row.id for row in rows if name is None or row.name == name]
    if len(found) == 1:
        return int(found[0])
    names = "、".join(row.name for row in rows) or "none yet; start ./run once for the demo's"
    raise CommandError(f"say which institution with --institution NAME ({names})")


async def exam_token(where: Where, key: Path | None, client: str) -> int:
    """`exam-token`: a short-lived token of the exam service, for trying its API with curl."""
    path = key or where.settings().folder / KEY_FILE
    try:
        pem = path.read_text()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    print(make_client_token(pem, client))
    return 0
