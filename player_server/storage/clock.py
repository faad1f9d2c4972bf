"""The clock that rows are stamped with: one that no wall-clock jump and no restart of ours can bend.

On PostgreSQL it is the database's own clock, named by its timeline. On the embedded default it is CLOCK_BOOTTIME,
named by the boot id, plus an offset that is fixed when the boot is first seen, so that it still reads as UTC.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.database import Database
from player_server.storage.tables import boot_clock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# As a SELECT it costs one round trip; the committer uses the expression inside its own statement.
PG_NOW_MS = "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)"
_PG_READ = text(f"SELECT (pg_control_checkpoint()).timeline_id, {PG_NOW_MS}")


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the store's clock. Two readings may be subtracted only when `domain` is the same."""

    domain: str
    ms: int

    def since(self, domain: str | None, ms: int | None) -> int | None:
        """Milliseconds from an earlier reading to this one; None if the clocks differ, never negative."""
        if ms is None or domain != self.domain:
            return None
        return max(0, self.ms - ms)


class StoreClock:
    """Reads the store's clock. Made by `open_clock`."""

    def __init__(self, boot_domain: str | None, offset_ms: int) -> None:
        self._boot_domain = boot_domain
        self._offset_ms = offset_ms

    async def read(self, conn: AsyncConnection) -> Reading:
        """The time now, in UTC milliseconds."""
        if self._boot_domain is not None:
            return self.local()
        timeline, ms = (await conn.execute(_PG_READ)).one()
        return Reading(f"pg:{timeline}", ms)

    def local(self) -> Reading:
        """The time now without asking the database. Only on the embedded default."""
        if self._boot_domain is None:
            raise RuntimeError("only the database knows this clock")
        return Reading(self._boot_domain, self._offset_ms + _boottime_ms())


async def open_clock(db: Database) -> StoreClock:
    """The clock of this database; needs the migrations to have run."""
    if db.kind == "postgresql":
        return StoreClock(None, 0)
    boot_id = _boot_id()
    async with db.write() as conn:
        offset = await conn.scalar(select(boot_clock.c.offset_ms).where(boot_clock.c.boot_id == boot_id))
        if offset is None:
            offset = wall_ms() - _boottime_ms()
            await conn.execute(insert(boot_clock).values(boot_id=boot_id, offset_ms=offset))
    return StoreClock(f"boot:{boot_id}", int(offset))


def _boottime_ms() -> int:
    # Without CLOCK_BOOTTIME (not Linux) sleep of the machine does not count as passed time, which only costs grace.
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        # No boot id: a restart of the server then starts a clock of its own, and gaps across it give no allowance.
        return f"process-{time.time_ns()}"


def wall_ms() -> int:
    """UTC milliseconds of this machine's wall clock: for labels people read, never for counting."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """The server's monotonic clock in milliseconds: what beats are counted with."""
    return time.monotonic_ns() // 1_000_000
