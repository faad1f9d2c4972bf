"""A database that is away or falls silent: the committer's connection says so and does not wait for ever."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import update

from player_server.storage.clock import StoreClock
from player_server.storage.database import Database
from player_server.storage.playback import (
    Batch,
    BeatRow,
    PostgresPlayback,
    SqlitePlayback,
    StoreAway,
    Windows,
)
from player_server.storage.tables import playback
from tests.support.postgres import PostgresServer
from tests.support.school import add_course, add_institution, add_learner, add_playback
from tests.support.services import close_services, make_services

WINDOWS = Windows(identity_ms=600_000, attendance_ms=120_000)
#: The name of PostgreSQL's socket in the folder that a client is given as its host.
SOCKET = ".s.PGSQL.5432"


@asynccontextmanager
async def line(folder: Path, server: Path) -> AsyncIterator[asyncio.Event]:
    """A way to the server through `folder`. When the event is cleared nothing passes, and neither end is told."""
    passing = asyncio.Event()
    passing.set()
    ways: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await passing.wait()
                writer.write(data)
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(str(server / SOCKET))
        for way in (carry(reader, there_writer), carry(there_reader, writer)):
            ways.add(asyncio.create_task(way))

    listener = await asyncio.start_unix_server(accept, str(folder / SOCKET))
    try:
        yield passing
    finally:
        listener.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def test_a_silent_database_is_given_up_and_the_same_batch_goes_through_once_it_answers(
    postgres: PostgresServer, postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    """As after a fail-over: the old connection is dead, and nobody has closed it."""
    services = await make_services(postgres_url, valkey_url, tmp_path)
    lessons = await add_course(services, await add_institution(services, "学校"))
    pupil = await add_learner(services, await add_institution(services, "分校"))
    await add_playback(services, pupil, lessons.video_ids[0], frontier_ms=0)
    async with services.db.write() as conn:
        await conn.execute(update(playback).values(epoch=1))
    batch = Batch([BeatRow(pupil.person_id, 1, 5_000, 5_000, 0, True, 60_000, None)], [], [])
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="xs-") as folder:
        async with line(Path(folder), postgres.socket_folder) as passing:
            db = Database(postgres_url.replace(str(postgres.socket_folder), folder))
            store = PostgresPlayback(db, patience_s=0.5)
            assert await store.commit(batch, WINDOWS) == {pupil.person_id: None}
            passing.clear()
            async with asyncio.timeout(10):
                with pytest.raises(StoreAway):
                    await store.commit(batch, WINDOWS)
                with pytest.raises(StoreAway):
                    await store.states([pupil.person_id])
            passing.set()
            assert await store.commit(batch, WINDOWS) == {pupil.person_id: None}
            await store.close()
            await db.close()
    await close_services(services)


async def test_a_database_that_cannot_be_opened_yet_is_away_and_not_the_end_of_the_committer(
    tmp_path: Path,
) -> None:
    db = Database(f"sqlite+aiosqlite:///{tmp_path}/nowhere/xueshi.db")
    store = SqlitePlayback(db, StoreClock("boot:test", 0))
    with pytest.raises(StoreAway):
        await store.commit(Batch([], [], []), WINDOWS)
    with pytest.raises(StoreAway):
        await store.states([1])
    await store.close()
    await db.close()
