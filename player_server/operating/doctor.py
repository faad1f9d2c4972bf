"""`./run doctor`: looks at everything an installation stands on, and says what to type when something is wrong.

It changes nothing: no key is made, no migration run. Each check is one function that yields findings.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import redis.asyncio
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from asyncpg import PostgresError
from cryptography.fernet import InvalidToken
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError

from player_server.config import ConfigError, Settings
from player_server.operating.where import Where
from player_server.standalone.valkey import ValkeyError, find_binary
from player_server.storage.database import Database
from player_server.storage.fonts import find_fonts
from player_server.storage.keys import ROOT_BYTES, Keys
from player_server.storage.migrate import alembic_config
from player_server.storage.tables import person

#: The oldest Redis whose commands are enough.
OLDEST_REDIS = (6, 2)
#: Clocks that differ by more than this, in seconds, confuse people who read logs; they never change what counts.
CLOCK_S = 5.0
#: Less room than this on a disk is a warning, in bytes: SQLite and Valkey stop at a full disk.
LITTLE_ROOM = 2 * 1024**3
PATIENCE_S = 5.0

State = Literal["ok", "warning", "wrong"]
_MARKS: dict[State, str] = {"ok": "  ok     ", "warning": "  warning", "wrong": "  WRONG  "}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. `cure` says what to do, with the command to type; empty when all is well."""

    what: str
    state: State
    words: str
    cure: str = ""

    def lines(self) -> str:
        """As it is printed."""
        text = f"{_MARKS[self.state]}  {self.what}: {self.words}"
        return f"{text}\n             → {self.cure}" if self.cure else text


async def doctor(where: Where) -> int:
    """Print a line for each thing, and what to type where one is wrong. Returns 1 if anything is."""
    found = [each async for each in examine(where)]
    for each in found:
        print(each.lines())
    wrong = sum(each.state == "wrong" for each in found)
    warnings = sum(each.state == "warning" for each in found)
    print(f"{wrong} wrong, {warnings} warnings, {len(found) - wrong - warnings} ok.")
    return 1 if wrong else 0


async def examine(where: Where) -> AsyncIterator[Diagnosis]:
    """Everything there is to say about this installation."""
    try:
        settings = where.settings()
    except ConfigError as error:
        cure = "correct that key; config.yaml names every setting with its unit and reason"
        yield Diagnosis("settings", "wrong", str(error), cure)
        return
    files = ", ".join(str(file) for file in where.files)
    yield Diagnosis("settings", "ok", files)
    yield _python()
    for address in _address(settings):
        yield address
    for folder in (settings.folder, settings.media_folder, settings.keys_folder):
        yield _folder(folder)
    yield _room(settings.folder)
    async for each in _database(settings):
        yield each
    async for each in _redis(settings):
        yield each
    yield _font(settings)


def _python() -> Diagnosis:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if not Path("/proc/sys/kernel/random/boot_id").exists():
        return Diagnosis(
            "system", "warning", f"Python {version}, no boot id", "use Linux, or PostgreSQL instead of SQLite"
        )
    return Diagnosis("system", "ok", f"Python {version}, {os.cpu_count()} processors")


def _address(settings: Settings) -> list[Diagnosis]:
    server, url = settings.server, settings.public_url
    if url.startswith("http://"):
        if server.host in ("127.0.0.1", "::1", "localhost"):
            words = f"{url} is plain http, reachable from this machine only"
            return [Diagnosis("public address", "ok", words)]
        words = f"{url} is plain http on {server.host}: passwords and ID numbers travel in the open"
        cure = "put a proxy with TLS in front (docs/deploy/nginx.conf), set server.public_url: https://…, "
        return [Diagnosis("public address", "warning", words, cure + "and server.insecure_http: false")]
    found = [Diagnosis("public address", "ok", url)]
    if server.insecure_http:
        words = "server.insecure_http is true although server.public_url is https: cookies lack Secure"
        found.append(Diagnosis("cookies", "wrong", words, "set server.insecure_http: false"))
    if not server.trusted_proxies:
        words = "no proxy is trusted, so that all learners seem to come from one address"
        cure = "set server.trusted_proxies: [127.0.0.1] (the address from which your proxy connects)"
        found.append(Diagnosis("proxy", "warning", words, cure))
    return found


def _folder(folder: Path) -> Diagnosis:
    name = f"folder {folder}"
    exists = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=exists):
            pass
    except OSError as error:
        user = os.environ.get("USER") or str(os.getuid())
        cure = f"sudo mkdir -p {folder} && sudo chown -R {user} {folder}"
        return Diagnosis(name, "wrong", f"cannot be written: {error.strerror}", cure)
    return Diagnosis(name, "ok", "can be written" if exists == folder else "is made at the first start")


def _room(folder: Path) -> Diagnosis:
    exists = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(exists).free
    words = f"{free / 1024**3:.1f} GB free"
    if free < LITTLE_ROOM:
        return Diagnosis("disk", "warning", words, f"make room below {exists}, or move data.folder")
    return Diagnosis("disk", "ok", words)


# ---------------------------------------------------------------------------------------- database


async def _database(settings: Settings) -> AsyncIterator[Diagnosis]:
    db = Database(settings.database_url)
    shown = db.engine.url.render_as_string(hide_password=True)
    path = db.engine.url.database
    if db.kind == "sqlite" and path and not await asyncio.to_thread(Path(path).exists):
        yield Diagnosis("database", "ok", f"{path} is made at the first start")
        yield _key(settings, None)
        return
    try:
        async with asyncio.timeout(PATIENCE_S), db.read() as conn:
            current, newest = await conn.run_sync(_versions)
            people = None
            if current is not None:
                people = await conn.scalar(select(person.c.id_cipher).limit(1))
            if db.kind == "postgresql":
                version = await conn.scalar(text("SHOW server_version"))
                durable = [await conn.scalar(text(f"SHOW {name}")) for name in ("fsync", "synchronous_commit")]
                now = float(await conn.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)
            else:
                version, durable, now = await conn.scalar(text("SELECT sqlite_version()")), ["on"], time.time()
    except (SQLAlchemyError, PostgresError, OSError) as error:
        reason = str(error).partition("\n")[0] or f"no answer within {PATIENCE_S:g} s"
        cure = "start it, or correct data.database_url (XUESHI_DATA__DATABASE_URL); try: psql -h HOST -U USER NAME"
        yield Diagnosis("database", "wrong", f"{shown} cannot be opened: {reason}", cure)
        return
    finally:
        await db.close()
    yield Diagnosis("database", "ok", f"{db.kind} {version}")
    if "off" in durable:
        cure = "ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();"
        words = "fsync or synchronous_commit is off: an acknowledged second can be lost in a crash"
        yield Diagnosis("durability", "wrong", words, f"psql: {cure}")
    yield _schema(current, newest)
    yield _clock("database's", now)
    yield _key(settings, people)


def _versions(connection: Connection) -> tuple[str | None, str]:
    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), str(newest)


def _schema(current: str | None, newest: str) -> Diagnosis:
    if current == newest:
        return Diagnosis("schema", "ok", f"version {current}")
    known = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    if current is not None and current not in known:
        words = f"version {current} is newer than this program's {newest}"
        return Diagnosis("schema", "wrong", words, "install the newer release again, or restore a backup")
    words = f"version {current or 'none'}, this program needs {newest}"
    return Diagnosis("schema", "wrong", words, "./run migrate")


def _clock(whose: str, now: float) -> Diagnosis:
    off = now - time.time()
    if abs(off) > CLOCK_S:
        words = f"this machine's differs from the {whose} by {off:+.0f} s"
        return Diagnosis("clock", "warning", words, "timedatectl set-ntp true (on both machines)")
    return Diagnosis("clock", "ok", f"agrees with the {whose}")


def _key(settings: Settings, cipher: str | None) -> Diagnosis:
    path = settings.keys_folder / "root.key"
    lost = f"copy the right root.key from your backup to {path}; without it no ID number can be read"
    try:
        written = path.read_text()
    except FileNotFoundError:
        if cipher is not None:
            return Diagnosis("key", "wrong", f"{path} is missing, and the database has people", lost)
        return Diagnosis("key", "ok", f"{path} is made at the first start")
    except OSError as error:
        return Diagnosis("key", "wrong", f"{path}: {error.strerror}", f"sudo chown $USER {path}")
    try:
        keys = Keys(bytes.fromhex(written.strip()))
    except ValueError:
        return Diagnosis("key", "wrong", f"{path} does not hold {ROOT_BYTES} bytes as hexadecimal digits", lost)
    if cipher is not None:
        try:
            keys.decrypt(cipher)
        except InvalidToken:
            return Diagnosis("key", "wrong", f"{path} is not the key of this database", lost)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Diagnosis("key", "warning", f"{path} can be read by others", f"chmod 600 {path}")
    return Diagnosis("key", "ok", str(path))


# ------------------------------------------------------------------------------------------- Redis


async def _redis(settings: Settings) -> AsyncIterator[Diagnosis]:
    url = settings.data.redis_url
    if url is None:
        try:
            binary = find_binary()
        except ValkeyError as error:
            yield Diagnosis("redis", "wrong", str(error), "sudo apt-get install redis-server")
            return
        yield Diagnosis("redis", "ok", f"none is named; `./run` starts its own ({binary.name})")
        return
    cure = "start it, or correct data.redis_url (XUESHI_DATA__REDIS_URL); try: redis-cli -u URL ping"
    try:
        client = redis.asyncio.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
    except ValueError as error:
        yield Diagnosis("redis", "wrong", f"data.redis_url: {error}", cure)
        return
    try:
        info = await client.info()
        seconds, micros = await client.time()
        configured = await _configured(client)
    except (RedisError, OSError) as error:
        yield Diagnosis("redis", "wrong", f"cannot be reached: {error}", cure)
        return
    finally:
        await client.aclose()
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        words = f"version {version} is too old; {'.'.join(map(str, OLDEST_REDIS))} is the oldest that works"
        yield Diagnosis("redis", "wrong", words, "install Redis 7 or Valkey 8")
    else:
        yield Diagnosis("redis", "ok", f"{info.get('server_name', 'redis')} {info.get('valkey_version', version)}")
    yield _clock("Redis's", seconds + micros / 1e6)
    if configured is None:
        words = "its settings cannot be read (CONFIG is not allowed)"
        yield Diagnosis(
            "redis settings", "warning", words, "make sure: appendonly yes, maxmemory-policy noeviction"
        )
        return
    for name, wanted, why in (
        ("appendonly", "yes", "jobs, tickets and limits are forgotten when it restarts"),
        ("maxmemory-policy", "noeviction", "a full memory drops session locks and jobs without a word"),
    ):
        if configured.get(name) != wanted:
            cure = f"redis-cli -u URL CONFIG SET {name} {wanted} && redis-cli -u URL CONFIG REWRITE"
            yield Diagnosis(f"redis {name}", "wrong", f"is {configured.get(name)}: {why}", cure)
        else:
            yield Diagnosis(f"redis {name}", "ok", wanted)


async def _configured(client: redis.asyncio.Redis) -> dict[str, str] | None:
    try:
        values: dict[Any, Any] = await client.config_get("appendonly", "maxmemory-policy")
    except ResponseError:
        return None
    return {_text(name): _text(value) for name, value in values.items()}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _font(settings: Settings) -> Diagnosis:
    found = find_fonts(settings.certificate_font)
    if not found:
        words = "no font with Chinese characters: certificates can be printed from the page, not as PDF"
        return Diagnosis("font", "warning", words, "sudo apt-get install fonts-noto-cjk")
    return Diagnosis("font", "ok", str(found[0]))
