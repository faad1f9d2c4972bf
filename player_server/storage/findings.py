"""Reading findings, and the one kind that is worked out from what was stored. Rating them is policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.storage.playback import FindingRow
from player_server.storage.tables import finding, learner, video
from player_server.storage.upsert import insert
from telemetry.findings import FindingKind


class StoredFinding(NamedTuple):
    """One row; times in UTC ms, `measure` see telemetry.findings."""

    kind: str
    times: int
    measure: int
    first_at: int
    last_at: int
    video_title: str | None
    video_id: int | None = None


async def findings_of_session(conn: AsyncConnection, session_id: str) -> tuple[FindingRow, ...]:
    """What was found in this watch session so far, so that a player that reconnects counts on."""
    row = finding.c
    query = select(
        row.session_id,
        row.kind,
        row.person_id,
        row.learner_id,
        row.video_id,
        row["count"],
        row.worst,
        row.first_at,
        row.last_at,
    ).where(row.session_id == session_id)
    return tuple(FindingRow(*each) for each in (await conn.execute(query)).all())


async def findings_of(
    conn: AsyncConnection, person_id: int, learner_id: int, limit: int
) -> Sequence[StoredFinding]:
    """What was found about a person as far as it concerns this account, newest first."""
    row = finding.c
    query = (
        select(row.kind, row["count"], row.worst, row.first_at, row.last_at, video.c.title, row.video_id)
        .select_from(finding.outerjoin(video, video.c.id == row.video_id))
        .where(row.person_id == person_id, or_(row.learner_id == learner_id, row.learner_id.is_(None)))
        .order_by(row.last_at.desc(), row.id.desc())
        .limit(limit)
    )
    return [StoredFinding(*each) for each in (await conn.execute(query)).all()]


class DayOfKind(NamedTuple):
    """Everything of one kind on one China calendar day (a number of days), as far as it concerns one account."""

    learner_id: int
    institution_id: int
    kind: str
    day: int
    times: int
    measure: int


async def days_of_kinds(conn: AsyncConnection, since: int) -> Sequence[DayOfKind]:
    """What was found since a moment (UTC ms; the beginning of a China day), once for each account it concerns."""
    row = finding.c
    day = (row.last_at + CHINA_OFFSET_MS) // DAY_MS
    query = (
        select(learner.c.id, learner.c.institution_id, row.kind, day, func.sum(row["count"]), func.max(row.worst))
        .join_from(finding, learner, learner.c.person_id == row.person_id)
        .where(row.last_at >= since, or_(row.learner_id == learner.c.id, row.learner_id.is_(None)))
        .group_by(learner.c.id, learner.c.institution_id, row.kind, day)
        .order_by(learner.c.id, row.kind, day)
    )
    # A sum of whole numbers is a decimal on PostgreSQL.
    return [DayOfKind(*each[:4], int(each[4]), each[5]) for each in (await conn.execute(query)).all()]


async def set_long_day(
    conn: AsyncConnection, *, source: str, person_id: int, learner_id: int | None, measure: int, at: int
) -> bool:
    """Write down how long the day is by now; False if that was known already. Running twice changes nothing."""
    first = insert(conn, finding).values(
        session_id=source,
        kind=FindingKind.LONG_DAY.value,
        person_id=person_id,
        learner_id=learner_id,
        count=1,
        worst=measure,
        first_at=at,
        last_at=at,
    )
    longer = first.on_conflict_do_update(
        index_elements=["session_id", "kind"],
        set_={"worst": measure, "last_at": at},
        where=finding.c.worst < measure,
    )
    return (await conn.execute(longer)).rowcount > 0
