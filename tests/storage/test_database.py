"""Transactions of one process beside each other, on both databases: nobody starves, and the beats go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import func, insert, select, text

from player_server.storage.all_tables import metadata
from player_server.storage.database import Database
from player_server.storage.tables import institution


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = Database(database_url)
    async with db.write() as conn:
        await conn.run_sync(metadata.create_all)
    yield db
    await db.close()


async def write(db: Database, name: str, done: list[str]) -> None:
    async with db.write() as conn:
        # Long enough that all together take longer than somebody who only looks now and then would be patient.
        await asyncio.sleep(0.01)
        await conn.execute(insert(institution).values(name=name, created_at=1))
    done.append(name)


async def test_everybody_who_writes_gets_a_turn_and_on_sqlite_in_order(db: Database) -> None:
    done: list[str] = []
    names = [f"school {number:03}" for number in range(200)]
    await asyncio.gather(*(write(db, name, done) for name in names))
    assert sorted(done) == names
    if db.kind == "sqlite":
        assert done == names
    async with db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(institution)) == 200


async def test_the_committer_waits_for_one_writer_at_the_most(db: Database) -> None:
    done: list[str] = []
    writers = [asyncio.create_task(write(db, f"school {number}", done)) for number in range(30)]
    await asyncio.wait(writers, return_when=asyncio.FIRST_COMPLETED)
    before = len(done)
    async with db.next_turn():
        if db.kind == "sqlite":
            assert len(done) - before <= 2
            # Really nobody else writes now: SQLite gives its lock at once or not at all.
            async with db.engine.connect() as conn:
                await conn.exec_driver_sql("PRAGMA busy_timeout=0")
                await conn.execute(text("UPDATE institution SET created_at = 2"))
                await conn.rollback()
    await asyncio.gather(*writers)
    assert len(done) == 30


async def test_a_writer_that_fails_leaves_its_turn_to_the_next(db: Database) -> None:
    async def fail() -> None:
        async with db.write() as conn:
            await conn.execute(insert(institution).values(name="never", created_at=1))
            raise RuntimeError("on purpose")

    done: list[str] = []
    results = await asyncio.gather(fail(), write(db, "school", done), return_exceptions=True)
    assert isinstance(results[0], RuntimeError)
    async with db.read() as conn:
        assert list(await conn.scalars(select(institution.c.name))) == ["school"]
