"""Long work: asked for in a transaction, done by a worker, watched by whoever asked.

A job is a row in SQL: its kind, its arguments, how far it is, and its result. A worker claims it with a lease that
it renews while it works. When the worker dies, the lease runs out and another one does the job again from its
arguments, so every kind must be idempotent. What the kinds do stands in `workers/kinds.py`; the worker's loop in
`workers/runner.py`.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.storage import jobs as rows
from player_server.storage.wake_up import call_workers

State = Literal["waiting", "running", "done", "failed", "cancelled"]

ID_BYTES = 16
#: A worker that was silent this long is taken to be dead, and another one takes its job.
LEASE_MS = 20_000
#: How often a worker renews its lease.
RENEW_S = 5.0
#: Progress that comes faster than this is not written: nobody sees more, and each is a transaction.
PROGRESS_EVERY_S = 0.5
#: A job that failed, or whose worker died, this many times is given up; its last error stays.
MOST_TRIES = 4
#: How long a finished job's page can be opened, and how many go in one transaction.
KEEP_MS = 30 * 86_400_000
DELETE_AT_ONCE = 500
#: The pause before the second try; doubles with each further one.
FIRST_PAUSE_MS = 2_000


class JobFailed(Exception):
    """The job cannot succeed, however often it is tried; the message is for people."""


class JobCancelled(Exception):
    """Somebody asked to cancel the job. Let it through, after undoing what must not stay."""


class JobLost(Exception):
    """Another worker has this job now; this one must stop without changing anything more."""


@dataclass(frozen=True, slots=True)
class Job:
    """What pages show of a job. `done` of `total` steps (None while unknown); times in UTC ms."""

    id: str
    kind: str
    institution_id: int | None
    asked_by: str
    state: State
    done: int
    total: int | None
    error: str | None
    result: dict[str, Any]
    created_at: int
    started_at: int | None
    finished_at: int | None

    @property
    def over(self) -> bool:
        return self.finished_at is not None


@dataclass(slots=True)
class JobRun:
    """One try of a job, as its kind sees it."""

    services: Services
    id: str
    kind: str
    arguments: dict[str, Any]
    institution_id: int | None
    asked_by: str
    owner: str
    number: int  # of this try, from 1
    _written_at: float = 0.0

    async def progress(self, done: int, total: int | None) -> None:
        """Say that `done` of `total` steps are behind; also renews the lease. May be called as often as one likes.

        Raises JobCancelled and JobLost.
        """
        now = time.monotonic()
        if now - self._written_at < PROGRESS_EVERY_S and done != total:
            return
        self._written_at = now
        await self._renew(done, total)

    async def keep(self) -> None:
        """Renew the lease. Raises JobCancelled and JobLost."""
        await self._renew(None, None)

    async def _renew(self, done: int | None, total: int | None) -> None:
        async with self.services.db.write() as conn:
            now = (await self.services.clock.read(conn)).ms
            cancel = await rows.renew(conn, self.id, self.owner, lease_until=now + LEASE_MS, done=done, total=total)
        if cancel is None:
            raise JobLost(self.id)
        if cancel:
            raise JobCancelled(self.id)


async def submit(
    services: Services,
    conn: AsyncConnection,
    *,
    kind: str,
    institution_id: int | None,
    asked_by: str,
    arguments: dict[str, object],
    dedupe: str | None = None,
) -> str:
    """Ask for a job in the caller's transaction; returns its id. Call `wake` after the commit.

    While a job of the same kind, institution and `dedupe` is unfinished, that one's id is returned instead.
    `asked_by` is `staff:1` or `system`; `arguments` must be JSON and hold no personal data.
    """
    now = (await services.clock.read(conn)).ms
    return await rows.add(
        conn,
        id=secrets.token_urlsafe(ID_BYTES),
        kind=kind,
        institution_id=institution_id,
        asked_by=asked_by,
        arguments=msgspec.json.encode(arguments, order="sorted").decode(),
        dedupe=None if dedupe is None else f"{kind}:{institution_id or 0}:{dedupe}",
        run_at=now,
        created_at=now,
    )


async def wake(services: Services) -> None:
    """Tell the workers, after the commit. When Redis is away they find the job a few seconds later."""
    await call_workers(services.redis)


async def job_of(services: Services, job_id: str, institution_id: int | None) -> Job | None:
    """A job of this institution (None: of any); None alike for foreign and for absent ones."""
    async with services.db.read() as conn:
        row = await rows.find(conn, job_id)
    if row is None or (institution_id is not None and row["institution_id"] != institution_id):
        return None
    return Job(
        id=row["id"],
        kind=row["kind"],
        institution_id=row["institution_id"],
        asked_by=row["asked_by"],
        state=row["state"],
        done=row["done"],
        total=row["total"],
        error=row["error"],
        result=msgspec.json.decode(row["result"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


async def cancel(services: Services, conn: AsyncConnection, job_id: str) -> bool:
    """Ask to cancel a job; whether there was anything to cancel. A running one ends at its next progress."""
    return await rows.ask_to_cancel(conn, job_id, (await services.clock.read(conn)).ms)


async def delete_old(services: Services) -> int:
    """Remove jobs that are long over; what they made has its own life."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        return await rows.delete_finished(conn, now - KEEP_MS, DELETE_AT_ONCE)


# What follows is for workers.


async def waiting_jobs(services: Services, limit: int) -> list[str]:
    """Ids of jobs that nobody works on, the oldest first."""
    async with services.db.read() as conn:
        return await rows.claimable(conn, (await services.clock.read(conn)).ms, limit)


async def claim(services: Services, job_id: str) -> JobRun | None:
    """Take a job; None if another worker was first, or if it has been tried too often."""
    owner = secrets.token_hex(8)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await rows.claim(conn, job_id, owner, now_ms=now, lease_ms=LEASE_MS)
        if row is None:
            return None
        if row["cancel_asked"]:
            await rows.end(conn, job_id, owner, state="cancelled", finished_at=now)
            return None
        if row["tries"] > MOST_TRIES:
            # Its workers died each time, so nobody could write down why.
            error = row["error"] or "worker_died"
            await rows.end(conn, job_id, owner, state="failed", error=error, finished_at=now)
            return None
    return _run_of(services, row, owner)


async def finish(run: JobRun, result: dict[str, object]) -> bool:
    """The job is done; False if another worker has it now."""
    return await _end(run, state="done", error=None, result=msgspec.json.encode(result, order="sorted").decode())


async def finish_cancelled(run: JobRun) -> bool:
    """The job was cancelled, and its kind has stopped."""
    return await _end(run, state="cancelled")


async def give_up(run: JobRun, error: str) -> bool:
    """The job cannot succeed; `error` is for people."""
    return await _end(run, state="failed", error=error)


async def try_again(run: JobRun, error: str) -> bool:
    """This try failed: the job waits for the next one, or is given up after the last one. `error` stays."""
    if run.number >= MOST_TRIES:
        return await give_up(run, error)
    async with run.services.db.write() as conn:
        now = (await run.services.clock.read(conn)).ms
        pause = FIRST_PAUSE_MS << (run.number - 1)
        return await rows.end(conn, run.id, run.owner, state="waiting", error=error, run_at=now + pause)


async def hand_back(run: JobRun) -> bool:
    """The worker is told to stop: the job waits for another one, and this try does not count."""
    async with run.services.db.write() as conn:
        now = (await run.services.clock.read(conn)).ms
        return await rows.end(conn, run.id, run.owner, state="waiting", tries=run.number - 1, run_at=now)


async def _end(run: JobRun, **values: Any) -> bool:
    async with run.services.db.write() as conn:
        now = (await run.services.clock.read(conn)).ms
        return await rows.end(conn, run.id, run.owner, finished_at=now, **values)


def _run_of(services: Services, row: RowMapping, owner: str) -> JobRun:
    return JobRun(
        services=services,
        id=row["id"],
        kind=row["kind"],
        arguments=msgspec.json.decode(row["arguments"]),
        institution_id=row["institution_id"],
        asked_by=row["asked_by"],
        owner=owner,
        number=row["tries"],
    )
