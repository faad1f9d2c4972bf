"""What each command does, once its arguments are read. Nothing here decides anything about learning."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import time
from pathlib import Path

from asyncpg import PostgresError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from player_server.app import open_services
from player_server.config import Settings
from player_server.demo.loader import ACCOUNTS_FILE, KEY_FILE, DemoError, load_demo
from player_server.demo.seed import INSTITUTION as SEED_INSTITUTION
from player_server.demo.seed import seed
from player_server.learning.course_import import import_course
from player_server.observe import set_up_logging
from player_server.operating.serving import check_port, stop_on_signals
from player_server.operating.where import CommandError, Where
from player_server.standalone.supervisor import Supervisor, product_process
from player_server.standalone.valkey import Valkey, ValkeyError, start_valkey
from player_server.storage.clock import wall_ms
from player_server.storage.database import Database
from player_server.storage.migrate import migrate
from player_server.storage.tables import institution
from workers.jobs import run_jobs
from workers.runner import Runner

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config.yaml"
#: How much the worker gives way to servers for a processor (0 to 19).
WORKER_NICENESS = 5
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
    "checkpoints",
    ACCOUNTS_FILE,
    KEY_FILE,
)


async def start_all(where: Where, *, fresh: bool) -> int:
    """`./run`: embedded Valkey, migrations, demo data, then server and worker until Ctrl-C."""
    settings = where.settings()
    check_port(settings)
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
    except DemoError as error:
        if valkey is not None:
            await valkey.stop()
        raise CommandError(f"the demo's course cannot be imported: {error}") from None
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
    _say_hello(settings, accounts.lines(settings.public_url, where.typed()))
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
    for key, url in (("database_url", settings.data.database_url), ("redis_url", settings.data.redis_url)):
        if url is not None:
            print(f"--fresh forgets what is in {settings.folder}; what data.{key} names stays as it is.")
    for name in OURS:
        path = settings.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def lan_address() -> str | None:
    """This machine's address in its network, as a phone would reach it; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        # Connecting a datagram socket sends nothing; it only picks the route. The address is one for documentation.
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address
    return None


async def work(where: Where) -> int:
    """`worker`: the background jobs until SIGTERM."""
    settings = where.settings()
    set_up_logging()
    with contextlib.suppress(OSError):
        # Whoever watches goes first: an import or an export must not keep a server's acks waiting.
        os.nice(WORKER_NICENESS)
    stop = asyncio.Event()
    async with open_services(settings) as services:
        tasks = [asyncio.create_task(each) for each in (run_jobs(services), Runner(services).run())]
        stop_on_signals(stop)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return 0 if stop.is_set() else 1


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


async def seed_school(where: Where, learners: int, classes: int, name: str | None) -> int:
    """`seed`: a large made-up institution, to look at and to measure with."""
    if learners < 1 or classes < 1:
        raise CommandError("--learners and --classes must be at least 1")
    began = time.monotonic()

    def say(done: int, total: int) -> None:
        print(f"\r  {done} of {total} learners", end="", file=sys.stderr, flush=True)

    async with open_services(where.settings_without_redis()) as services:
        made = await seed(services, learners, classes, name=name or SEED_INSTITUTION, say=say)
    print(file=sys.stderr)
    print(f"{made.learners} learners, {made.rows} rows in {time.monotonic() - began:.0f} s.")
    print(f"Their institution's owner, at /staff/login: {made.username}", made.password or "(password as before)")
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
