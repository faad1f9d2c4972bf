"""The rows of jobs: adding, claiming, renewing, ending. Each change is one conditional update.

What belongs here: SQL. Who may ask for a job is decided by its door, what it does in `workers/kinds.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.job_tables import job
from player_server.storage.upsert import insert


async def add(conn: AsyncConnection, **values: Any) -> str:
    """Add a waiting job; returns its id, or that of the unfinished one with the same `dedupe`."""
    while True:
        made: str | None = await conn.scalar(
            insert(conn, job)
            .values(state="waiting", **values)
            .on_conflict_do_nothing(index_elements=[job.c.dedupe], index_where=job.c.finished_at.is_(None))
            .returning(job.c.id)
        )
        if made is not None:
            return made
        query = select(job.c.id).where(job.c.dedupe == values["dedupe"], job.c.finished_at.is_(None))
        found: str | None = await conn.scalar(query.with_for_update())
        # It may have ended between the two statements; then there is room for the new one.
        if found is not None:
            return found


async def find(conn: AsyncConnection, job_id: str) -> RowMapping | None:
    """The row of one job."""
    return (await conn.execute(select(job).where(job.c.id == job_id))).mappings().one_or_none()


async def claimable(conn: AsyncConnection, now_ms: int, limit: int) -> list[str]:
    """Ids of jobs that nobody works on: due ones, and those whose worker has stopped renewing. Oldest first."""
    query = select(job.c.id).where(_free(now_ms)).order_by(job.c.run_at, job.c.created_at).limit(limit)
    return list((await conn.scalars(query)).all())


async def claim(conn: AsyncConnection, job_id: str, owner: str, *, now_ms: int, lease_ms: int) -> RowMapping | None:
    """Take a job for `owner`; None if somebody else was first."""
    taken = await conn.execute(
        update(job)
        .where(job.c.id == job_id, _free(now_ms))
        .values(
            state="running",
            owner=owner,
            tries=job.c.tries + 1,
            lease_until=now_ms + lease_ms,
            started_at=now_ms,
            done=0,
            total=None,
        )
        .returning(job)
    )
    row: RowMapping | None = taken.mappings().one_or_none()
    return row


async def renew(
    conn: AsyncConnection, job_id: str, owner: str, *, lease_until: int, done: int | None, total: int | None
) -> bool | None:
    """Keep a claim and note how far it is; whether somebody asked to cancel it, or None if the claim is lost."""
    progress = {} if done is None else {"done": done, "total": total}
    kept = await conn.execute(
        update(job)
        .where(_own(job_id, owner))
        .values(lease_until=lease_until, **progress)
        .returning(job.c.cancel_asked)
    )
    row = kept.one_or_none()
    return None if row is None else bool(row.cancel_asked)


async def end(conn: AsyncConnection, job_id: str, owner: str, **values: Any) -> bool:
    """Change a job that `owner` still holds, and give it up; whether it was still held."""
    ended = await conn.execute(
        update(job).where(_own(job_id, owner)).values(owner=None, lease_until=None, **values)
    )
    return ended.rowcount == 1


async def ask_to_cancel(conn: AsyncConnection, job_id: str, now_ms: int) -> bool:
    """A waiting job is cancelled at once, a running one when it next says how far it is."""
    waiting = await conn.execute(
        update(job)
        .where(job.c.id == job_id, job.c.state == "waiting")
        .values(state="cancelled", cancel_asked=True, finished_at=now_ms)
    )
    if waiting.rowcount == 1:
        return True
    running = await conn.execute(
        update(job).where(job.c.id == job_id, job.c.state == "running").values(cancel_asked=True)
    )
    return running.rowcount == 1


async def delete_finished(conn: AsyncConnection, before: int, limit: int) -> int:
    """Remove jobs that were over before this (UTC ms); returns how many."""
    some = select(job.c.id).where(job.c.finished_at < before).limit(limit)
    return (await conn.execute(delete(job).where(job.c.id.in_(some)))).rowcount


def _free(now_ms: int) -> ColumnElement[bool]:
    return and_(
        job.c.finished_at.is_(None),
        or_(
            and_(job.c.state == "waiting", job.c.run_at <= now_ms),
            and_(job.c.state == "running", job.c.lease_until <= now_ms),
        ),
    )


def _own(job_id: str, owner: str) -> ColumnElement[bool]:
    return and_(job.c.id == job_id, job.c.owner == owner, job.c.state == "running")
