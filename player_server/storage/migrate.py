"""Bringing a database to the newest schema, with Alembic and the migrations beside this file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from player_server.storage.database import Database

_FOLDER = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x78756573  # "xues"
#: Alembic's `op` and `context` are one for the whole process: two migrations in it must not take turns.
_one_at_a_time = asyncio.Lock()


async def migrate(db: Database) -> None:
    """Run every migration that this database has not seen. Safe to call at each start."""
    if db.kind == "sqlite":
        await _make_folder(db)
    async with _one_at_a_time, db.write() as conn:
        if db.kind == "postgresql":
            # Several processes may start at once; SQLite's write lock does the same there.
            await conn.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        await conn.run_sync(_upgrade)


async def _make_folder(db: Database) -> None:
    path = db.engine.url.database
    if path and path != ":memory:":
        await asyncio.to_thread(Path(path).parent.mkdir, parents=True, exist_ok=True)


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's settings without an ini file; a connection is handed over in `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config
