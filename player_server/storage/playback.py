"""The committer's own connection: writes a batch of beats durably, and reads again rows that did not match."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import aiosqlite
import asyncpg
import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage import playback_sql as sql
from player_server.storage.clock import StoreClock
from player_server.storage.database import Database

#: A row that somebody else holds longer than this is left for the next tick; only its learner waits.
PG_LOCK_TIMEOUT = "250ms"
#: A PostgreSQL that does not answer a batch for so many seconds is taken to be gone: after a fail-over the old
#: connection may be dead without either end being told.
PG_PATIENCE_S = 10.0


class BeatRow(NamedTuple):
    """The newest state of one player, absolute values in milliseconds; `issue` is a challenge to open with it."""

    person_id: int
    epoch: int
    frontier_ms: int
    position_ms: int
    carry_ms: int
    playing: bool
    until_ms: int
    issue: str | None


class SegmentRow(NamedTuple):
    session_id: str
    number: int
    learner_id: int
    video_id: int
    round: int
    from_ms: int
    to_ms: int
    started_at: int
    ended_at: int
    reason: str


class FindingRow(NamedTuple):
    session_id: str
    kind: str
    person_id: int
    learner_id: int
    video_id: int
    times: int
    worst: int
    first_at: int
    last_at: int


class Batch(NamedTuple):
    """What one tick makes durable in one transaction. Evidence of a person is kept only if its row matched:
    a displaced page leaves no trace of its last beat."""

    rows: list[BeatRow]
    segments: list[tuple[int, SegmentRow]]  # with the person
    findings: list[FindingRow]


class RowState(NamedTuple):
    """The row as it is now, for a beat that matched none."""

    epoch: int
    session_id: str | None
    ended_reason: str | None


@dataclass(frozen=True, slots=True)
class Windows:
    """How long a new challenge may be answered, in milliseconds."""

    identity_ms: int
    attendance_ms: int


class BadBatch(Exception):
    """The database refuses the values of this batch; repeating it would fail again."""


class StoreAway(Exception):
    """The database cannot be reached or did not commit; the batch may be repeated as it is."""


class PlaybackStore(Protocol):
    """One connection of its own. Not for concurrent use: the committer is its only caller."""

    async def commit(self, batch: Batch, windows: Windows) -> dict[int, str | None]:
        """Write the batch durably; returns the hold of every person whose row matched its epoch."""
        ...

    async def states(self, persons: Sequence[int]) -> dict[int, RowState]:
        """The rows as they are now."""
        ...

    async def close(self) -> None: ...


class SqlitePlayback:
    """SQLite: the whole batch is one statement over a JSON array, in one hop to the connection's thread."""

    def __init__(self, db: Database, clock: StoreClock) -> None:
        self._db = db
        self._clock = clock
        self._held: AsyncConnection | None = None

    async def _connection(self) -> aiosqlite.Connection:
        if self._held is None:
            self._held = await self._db.engine.connect()
        connection: Any = (await self._held.get_raw_connection()).driver_connection
        return cast(aiosqlite.Connection, connection)

    async def commit(self, batch: Batch, windows: Windows) -> dict[int, str | None]:
        reading = self._clock.local()
        parameters = (msgspec.json.encode(batch.rows).decode(), reading.domain, reading.ms)
        issued = [row.issue for row in batch.rows if row.issue is not None]
        try:
            connection = await self._connection()
            async with self._db.next_turn():
                if not (issued or batch.segments or batch.findings):
                    # One statement commits by itself.
                    return _held(await connection.execute_fetchall(sql.SQLITE_UPDATE, parameters))
                return await self._commit_all(connection, batch, parameters, issued, windows)
        except (sqlite3.OperationalError, SQLAlchemyError) as error:
            raise StoreAway(str(error)) from error
        except (sqlite3.DataError, sqlite3.IntegrityError) as error:
            raise BadBatch(str(error)) from error

    async def _commit_all(
        self,
        connection: aiosqlite.Connection,
        batch: Batch,
        parameters: tuple[str, str, int],
        issued: list[str],
        windows: Windows,
    ) -> dict[int, str | None]:
        await connection.execute("BEGIN IMMEDIATE")
        try:
            held = _held(await connection.execute_fetchall(sql.SQLITE_UPDATE, parameters))
            if issued:
                await connection.execute(
                    sql.SQLITE_CHALLENGE,
                    (msgspec.json.encode(issued).decode(), windows.identity_ms, windows.attendance_ms),
                )
            if segments := [row for person_id, row in batch.segments if person_id in held]:
                await connection.executemany(sql.SQLITE_SEGMENT, segments)
            if findings := [row for row in batch.findings if row.person_id in held]:
                await connection.executemany(sql.SQLITE_FINDING, findings)
            await connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                await connection.execute("ROLLBACK")
            raise
        return held

    async def states(self, persons: Sequence[int]) -> dict[int, RowState]:
        try:
            connection = await self._connection()
            rows = await connection.execute_fetchall(sql.SQLITE_STATE, (msgspec.json.encode(persons).decode(),))
        except (sqlite3.OperationalError, SQLAlchemyError) as error:
            raise StoreAway(str(error)) from error
        return {row[0]: RowState(*row[1:]) for row in rows}

    async def close(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            await held.close()


# The third one is asyncpg's when a line ends while it is in use: nothing more can be said on that line.
_PG_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    SQLAlchemyError,
    OSError,
    TimeoutError,
)


class PostgresPlayback:
    """PostgreSQL: one fenced UPDATE from `unnest`; a fallback that skips locked rows."""

    def __init__(self, db: Database, patience_s: float = PG_PATIENCE_S) -> None:
        self._db = db
        self._patience_s = patience_s
        self._held: AsyncConnection | None = None
        self._raw: Any = None
        self._domain = ""

    async def _connection(self) -> Any:
        if self._raw is None or self._raw.is_closed():
            await self.close()
            self._held = await self._db.engine.connect()
            raw: Any = (await self._held.get_raw_connection()).driver_connection
            await raw.execute(f"SET lock_timeout = '{PG_LOCK_TIMEOUT}'")
            timeline = await raw.fetchval("SELECT timeline_id FROM pg_control_checkpoint()")
            self._domain = f"pg:{timeline}"
            self._raw = raw
        return self._raw

    async def commit(self, batch: Batch, windows: Windows) -> dict[int, str | None]:
        try:
            async with asyncio.timeout(self._patience_s):
                connection = await self._connection()
                try:
                    return await self._commit(connection, sql.PG_UPDATE, batch, windows)
                except (
                    asyncpg.LockNotAvailableError,
                    asyncpg.DeadlockDetectedError,
                    asyncpg.SerializationError,
                ):
                    return await self._commit(connection, sql.PG_UPDATE_SKIP_LOCKED, batch, windows)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise BadBatch(str(error)) from error
        except _PG_AWAY as error:
            await self.close()
            raise StoreAway(str(error)) from error

    async def _commit(self, connection: Any, update: str, batch: Batch, windows: Windows) -> dict[int, str | None]:
        columns = [_array(column) for column in zip(*batch.rows, strict=True)]
        issued = [row.issue for row in batch.rows if row.issue is not None]
        if not (issued or batch.segments or batch.findings):
            return _held(await connection.fetch(update, *columns, self._domain))
        async with connection.transaction():
            held = _held(await connection.fetch(update, *columns, self._domain))
            if issued:
                await connection.execute(sql.PG_CHALLENGE, issued, windows.identity_ms, windows.attendance_ms)
            if segments := [row for person_id, row in batch.segments if person_id in held]:
                await connection.executemany(sql.PG_SEGMENT, segments)
            if findings := [row for row in batch.findings if row.person_id in held]:
                await connection.executemany(sql.PG_FINDING, findings)
        return held

    async def states(self, persons: Sequence[int]) -> dict[int, RowState]:
        try:
            async with asyncio.timeout(self._patience_s):
                connection = await self._connection()
                rows = await connection.fetch(sql.PG_STATE, list(persons))
        except _PG_AWAY as error:
            await self.close()
            raise StoreAway(str(error)) from error
        return {row[0]: RowState(row[1], row[2], row[3]) for row in rows}

    async def close(self) -> None:
        self._raw = None
        if self._held is not None:
            held, self._held = self._held, None
            # It carries settings of its own and may be broken: it never goes back to the pool.
            with contextlib.suppress(*_PG_AWAY):
                await held.invalidate()
            with contextlib.suppress(*_PG_AWAY):
                await held.close()


def _array(column: tuple[int | str | None, ...]) -> str:
    """PostgreSQL's text for an array. That of numbers, truth values, null and our ids is JSON in other brackets."""
    return "{" + msgspec.json.encode(column)[1:-1].decode() + "}"


def _held(rows: Iterable[Any]) -> dict[int, str | None]:
    return {row[0]: row[1] for row in rows}


def open_playback(db: Database, clock: StoreClock) -> PlaybackStore:
    """The store for this database."""
    return SqlitePlayback(db, clock) if db.kind == "sqlite" else PostgresPlayback(db)
