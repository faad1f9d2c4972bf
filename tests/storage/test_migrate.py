"""The migrations make exactly the tables that the code knows, on both databases, however often they run."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from player_server.storage.all_tables import metadata
from player_server.storage.database import Database
from player_server.storage.migrate import migrate


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_a_migrated_database_has_the_tables_of_the_code(database_url: str) -> None:
    db = Database(database_url)
    await migrate(db)
    async with db.read() as conn:
        assert await conn.run_sync(_differences) == []
        checks = await conn.run_sync(lambda sync: inspect(sync).get_check_constraints("video"))
        assert [check["name"] for check in checks] == ["ck_video_hours"]
    await db.close()


async def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(migrate(db) for db in databases))
    await migrate(databases[0])
    async with databases[0].read() as conn:
        assert await conn.run_sync(_differences) == []
    await asyncio.gather(*(db.close() for db in databases))
