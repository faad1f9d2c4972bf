"""`./run backup` and `./run restore`: one folder that holds everything, and a way back that is checked.

A backup is taken while the server runs. Order matters: keys and checkpoints first, then one consistent picture of
the database, then the videos, whose files never change. The manifest is written last: without it a backup is not
whole. Redis is not in it: locks, tickets and queues are made anew from the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.engine import make_url

from player_server.config import Settings
from player_server.operating.where import CommandError, Where
from player_server.storage.all_tables import metadata
from player_server.storage.database import Database
from player_server.storage.migrate import migrate
from player_server.storage.tables import ledger_entry, playback, watch_progress

MANIFEST = "manifest.json"
SQLITE_FILE = "database.sqlite"
POSTGRES_FILE = "database.pgdump"
VERSION = 1
#: The parts that are copied file by file, and whether they are secret.
_FOLDERS = (("keys", True), ("checkpoints", False), ("media", False))


async def backup(where: Where, folder: Path, pg_bin: Path | None = None) -> int:
    """Make a new backup in `folder`; says its name. Raises CommandError and leaves nothing that looks whole."""
    settings = where.settings()
    name = f"xueshi-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    target = folder / name
    try:
        await asyncio.to_thread(target.mkdir, parents=True, mode=0o700)
    except OSError as error:
        raise CommandError(f"{target} cannot be made: {error.strerror}") from None
    db = Database(settings.database_url)
    try:
        places = _places(settings)
        for part in ("keys", "checkpoints"):
            await asyncio.to_thread(_copy_tree, places[part], target / part)
        await _dump(db, target, pg_bin)
        await asyncio.to_thread(_copy_tree, places["media"], target / "media")
        manifest = {
            "version": VERSION,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database": db.kind,
            "files": await asyncio.to_thread(_hashes, target),
        }
        text = json.dumps(manifest, indent=1)
        await asyncio.to_thread(_write_durably, target / MANIFEST, text)
    finally:
        await db.close()
    size = sum(each["bytes"] for each in manifest["files"].values())  # type: ignore[attr-defined]  # A mapping.
    print(f"{target}: {len(manifest['files'])} files, {size / 1024**2:.1f} MB.")  # type: ignore[arg-type]
    print("It holds the keys: whoever has it can read every ID number. Keep it as safe as the server.")
    return 0


async def restore(where: Where, source: Path, pg_bin: Path | None = None) -> int:
    """Put a backup back into an empty installation, and check it. Nothing that is there is ever overwritten."""
    settings = where.settings()
    manifest = await asyncio.to_thread(_manifest, source)
    db = Database(settings.database_url)
    try:
        if db.kind != manifest["database"]:
            raise CommandError(
                f"the backup is of {manifest['database']}, data.database_url names {db.kind}: "
                "restore to the same kind of database"
            )
        places = _places(settings)
        await _must_be_empty(db)
        await asyncio.to_thread(_check_keys, source / "keys", places["keys"])
        print("Checking the backup's files …", flush=True)
        await asyncio.to_thread(_check_files, source, manifest["files"])
        for part, secret in _FOLDERS:
            await asyncio.to_thread(_copy_tree, source / part, places[part], 0o700 if secret else 0o755)
        await _load(db, source, pg_bin)
        await migrate(db)
        async with db.read() as conn:
            rows = {
                "learners' videos": await conn.scalar(select(func.count()).select_from(watch_progress)),
                "players": await conn.scalar(select(func.count()).select_from(playback)),
                "ledger entries": await conn.scalar(select(func.count()).select_from(ledger_entry)),
            }
    finally:
        await db.close()
    print("Restored: " + ", ".join(f"{count} {what}" for what, count in rows.items()) + ".")
    print("Next: ./run doctor, then ./run verify-ledger with checkpoints from elsewhere, then start.")
    return 0


def _places(settings: Settings) -> dict[str, Path]:
    return {
        "keys": settings.keys_folder,
        "checkpoints": settings.checkpoints_folder,
        "media": settings.media_folder,
    }


# ---------------------------------------------------------------------------------------- database


async def _dump(db: Database, target: Path, pg_bin: Path | None) -> None:
    if db.kind == "sqlite":
        path = Path(db.engine.url.database or "")
        if not await asyncio.to_thread(path.is_file):
            raise CommandError(f"there is no database at {path}; nothing to back up yet")
        await asyncio.to_thread(_vacuum_into, path, target / SQLITE_FILE)
        return
    await _postgres(db, "pg_dump", pg_bin, "--format=custom", f"--file={target / POSTGRES_FILE}")


def _vacuum_into(path: Path, target: Path) -> None:
    # One read transaction: a consistent picture, while the server goes on writing.
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


async def _load(db: Database, source: Path, pg_bin: Path | None) -> None:
    if db.kind == "sqlite":
        path = Path(db.engine.url.database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(shutil.copyfile, source / SQLITE_FILE, path)
        return
    options = ("--no-owner", "--exit-on-error", "--single-transaction", str(source / POSTGRES_FILE))
    await _postgres(db, "pg_restore", pg_bin, *options)


async def _postgres(db: Database, program: str, pg_bin: Path | None, *options: str) -> None:
    """Run PostgreSQL's own tool on this database. The password goes by the environment, where no list shows it."""
    found = pg_bin / program if pg_bin is not None else shutil.which(program)
    if found is None:
        raise CommandError(
            f"{program} was not found: install the postgresql-client of your server's version, "
            "or name its folder with --pg-bin"
        )
    url = make_url(db.url)
    host = url.host or url.query.get("host")
    parts = {"PGHOST": host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    environment = os.environ | {name: str(value) for name, value in parts.items() if value is not None}
    process = await asyncio.create_subprocess_exec(
        str(found),
        f"--dbname={url.database}",
        *options,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[1].decode(errors="replace").strip()
    if process.returncode:
        raise CommandError(f"{program} failed: {said.splitlines()[-1] if said else process.returncode}")


async def _must_be_empty(db: Database) -> None:
    path = db.engine.url.database
    if db.kind == "sqlite":
        there = await asyncio.to_thread(os.path.exists, path or "")
        if there:
            raise CommandError(f"{path} exists already; move it away first, or restore to another data.folder")
        return

    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names()) & set(metadata.tables)

    async with db.read() as conn:
        if await conn.run_sync(tables):
            raise CommandError(f"the database {path} has tables already; restore to a new one (createdb NAME)")


# ------------------------------------------------------------------------------------------- files


def _copy_tree(source: Path, target: Path, mode: int = 0o700) -> None:
    """Copy what is not there yet. Videos and keys never change: a file of the same name is the same."""
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True, mode=mode)
    for path in sorted(source.rglob("*")):
        # Drafts of an import that is under way are not part of the store.
        if not path.is_file() or path.name.startswith("."):
            continue
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def _hashes(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size}
        for path in _files(folder)
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _manifest(source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CommandError(f"{source} is no whole backup: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{source / MANIFEST} cannot be read: {error}") from None
    if manifest.get("version") != VERSION:
        raise CommandError(f"{source} was made by another version of this program")
    return manifest


def _check_files(source: Path, files: dict[str, dict[str, Any]]) -> None:
    for name, known in files.items():
        path = source / name
        if not path.is_file():
            raise CommandError(f"the backup is damaged: {name} is missing")
        if _sha256(path) != known["sha256"]:
            raise CommandError(f"the backup is damaged: {name} is not what was written")


def _check_keys(source: Path, target: Path) -> None:
    """Another key in the place would make every ID number unreadable."""
    for path in source.glob("*"):
        there = target / path.name
        if there.exists() and there.read_bytes() != path.read_bytes():
            raise CommandError(f"{there} is another key than the backup's; move it away first")
