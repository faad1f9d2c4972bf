"""Copies of a database for tests of the ledger, and everything its keeper can do to them behind the product's back.

A copy is an SQLite file, or a database of its own on the tests' PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select

from player_server.learning.ledger_log import ledger_key
from player_server.learning.services import Services
from player_server.learning.verify_ledger import Verdict, verify_ledger
from player_server.storage.database import Database
from player_server.storage.ledger_log import append
from player_server.storage.ledger_log_tables import ledger_checkpoint, ledger_leaf, ledger_node
from player_server.storage.tables import ledger_entry
from tests.support.postgres import PostgresServer


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy. `postgres` is None for an SQLite file; `name` is its path, or the name of the database."""

    services: Services
    postgres: PostgresServer | None
    name: str

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.name}" if self.postgres is None else self.postgres.url(self.name)

    def execute(self, *statements: str) -> None:
        """Run these as one who is stopped by no reference from another table."""
        if self.postgres is None:
            # Python's sqlite3 leaves foreign keys alone unless it is told to look at them.
            with closing(sqlite3.connect(self.name)) as conn:
                conn.executescript(";".join(statements))
        else:
            self.postgres.execute(";".join(("SET session_replication_role = replica", *statements)), self.name)

    async def recompute(self, order: Sequence[int] = ()) -> None:
        """Make the whole log anew over the entries there are, with the product's own code: hashes, nodes, and no
        checkpoint beside them. `order`: ids in the order of the new log; by id without it."""
        db = Database(self.url)
        try:
            async with db.write() as conn:
                for table in (ledger_leaf, ledger_node, ledger_checkpoint):
                    await conn.execute(delete(table))
                rows = (await conn.execute(select(ledger_entry).order_by(ledger_entry.c.id))).all()
                if order:
                    rows = sorted(rows, key=lambda row: order.index(row.id))
                await append(conn, rows, (await self.services.clock.read(conn)).ms)
        finally:
            await db.close()

    async def verify(self, *checkpoints: Path) -> Verdict:
        """What `verify-ledger` says of it, with these checkpoints or with all that the installation has kept."""
        points = checkpoints or (self.services.settings.checkpoints_folder,)
        source = self.name if self.postgres is None else self.url
        return await verify_ledger(source, points, ledger_key(self.services).verifier())

    def remove(self) -> None:
        if self.postgres is None:
            Path(self.name).unlink()
        else:
            self.postgres.drop_database(self.name)


async def copy_of(services: Services, postgres: PostgresServer | None, path: Path) -> Copy:
    """A copy of the database as it is now. On PostgreSQL nobody else may use it at this moment; `path` names the
    copy on both."""
    if postgres is None:
        with closing(sqlite3.connect(str(services.db.engine.url.database))) as conn:
            conn.execute("VACUUM INTO ?", (str(path),))
        return Copy(services, None, str(path))
    await services.db.engine.dispose()
    source, name = str(services.db.engine.url.database), f"copy_{services.db.engine.url.database}_{path.stem}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
    return Copy(services, postgres, name)
