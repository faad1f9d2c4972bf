"""The SQL engine: one class that knows what SQLite and PostgreSQL need to be the same to everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: How long a statement may wait for another writer before it fails, in milliseconds.
SQLITE_BUSY_MS = 10_000


class Database:
    """Connections in transactions: `read()` for looking, `write()` for changing.

    On SQLite a write transaction takes the write lock when it begins (BEGIN IMMEDIATE), so that it never fails half
    way; on PostgreSQL rows are locked where a use case says so.

    SQLite has one writer at a time, and those who wait for it look again now and then, in no order: when many
    come at once, some would wait until they fail. So the writers of one process stand in line here, and only
    other processes are left to SQLite. A write must never be opened inside another one.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.kind: Literal["sqlite", "postgresql"] = (
            "sqlite" if make_url(url).get_backend_name() == "sqlite" else "postgresql"
        )
        # An error in a log must not carry names and hashes.
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "hide_parameters": True}
        if self.kind == "postgresql":
            options["pool_pre_ping"] = True
        self.engine: AsyncEngine = create_async_engine(url, **options)
        if self.kind == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
            event.listen(self.engine.sync_engine.pool, "invalidate", _roll_back)
        self._writer = self.engine.execution_options(xueshi_write=True)
        # SQLite's readers see one instant anyway.
        same = {} if self.kind == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._instant = self.engine.execution_options(**same)
        self._line = asyncio.Lock()
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only looks."""
        async with self.engine.begin() as conn:
            yield conn

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A transaction whose statements all see the same instant. On SQLite it only looks; on PostgreSQL it may
        add rows of what it has looked at."""
        async with self._instant.begin() as conn:
            yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes; committed at the end of the block, rolled back if it raises."""
        if self.kind == "postgresql":
            async with self._writer.begin() as conn:
                yield conn
            return
        async with self._line, self._turn, self._writer.begin() as conn:
            yield conn

    def next_turn(self) -> AbstractAsyncContextManager[object]:
        """To be the next writer on a connection of one's own, before all who stand in line: for the committer,
        whose one transaction everybody who watches is waiting for. It waits for one other at the most."""
        return self._turn if self.kind == "sqlite" else nullcontext()

    async def close(self) -> None:
        """Give every connection back; nothing may be used afterwards."""
        await self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by `_begin_sqlite`; the driver's own idea of when to begin one is switched off.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, _record: Any, _error: Any) -> None:
    # A connection that is thrown away after a cancellation would keep SQLite's write lock until it is collected.
    with suppress(Exception):
        connection.rollback()


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("xueshi_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
