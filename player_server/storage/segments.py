"""Watch segments in SQL: stretches that were earned without a break. They explain; no credit is made from them.

The committer writes most of them, in its own batches; see playback.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ScalarSelect, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.playback import SegmentRow
from player_server.storage.tables import learner, video, watch_segment
from player_server.storage.upsert import insert


class StoredSegment(NamedTuple):
    """One stretch. Places in the video in ms, moments in UTC ms; `reason`: why it ended, see telemetry.segments."""

    id: int
    session_id: str
    video_id: int
    video_title: str
    round: int
    from_ms: int
    to_ms: int
    started_at: int
    ended_at: int
    reason: str


class EarnedStretch(NamedTuple):
    """Whose time was earned between which moments (UTC ms)."""

    learner_id: int
    earned_ms: int
    started_at: int
    ended_at: int


async def add_segments(conn: AsyncConnection, rows: Sequence[SegmentRow]) -> None:
    """Write stretches down. Writing one twice changes nothing."""
    await conn.execute(insert(conn, watch_segment).on_conflict_do_nothing(), [row._asdict() for row in rows])


async def segments_of(
    conn: AsyncConnection, learner_id: int, limit: int, *, video_id: int | None = None, before: int | None = None
) -> Sequence[StoredSegment]:
    """The newest stretches of a learner, newest first; of one video, or begun before a moment (UTC ms)."""
    row = watch_segment.c
    query = _segments().where(row.learner_id == learner_id)
    if video_id is not None:
        query = query.where(row.video_id == video_id)
    if before is not None:
        query = query.where(row.started_at <= before)
    query = query.order_by(row.ended_at.desc(), row.id.desc()).limit(limit)
    return [StoredSegment(*each) for each in (await conn.execute(query)).all()]


async def segment_of(
    conn: AsyncConnection, learner_id: int, segment_id: int
) -> tuple[StoredSegment, int | None] | None:
    """One stretch of this learner, and when the next one of its session began (UTC ms, None: there is none)."""
    row = watch_segment.c
    query = _segments().where(row.id == segment_id, row.learner_id == learner_id)
    found = (await conn.execute(query)).one_or_none()
    if found is None:
        return None
    segment = StoredSegment(*found)
    following = select(func.min(row.started_at)).where(
        row.session_id == segment.session_id, row.number > _number_of(segment_id), row.learner_id == learner_id
    )
    return segment, await conn.scalar(following)


def _number_of(segment_id: int) -> ScalarSelect[int]:
    this = watch_segment.alias("this")
    return select(this.c.number).where(this.c.id == segment_id).scalar_subquery()


def _segments() -> Select[tuple[Any, ...]]:
    row = watch_segment.c
    return select(
        row.id,
        row.session_id,
        row.video_id,
        video.c.title,
        row.round,
        row.from_ms,
        row.to_ms,
        row.started_at,
        row.ended_at,
        row.reason,
    ).select_from(watch_segment.join(video, video.c.id == row.video_id))


async def busy_persons(conn: AsyncConnection, start: int, end: int, more_than_ms: int) -> Sequence[int]:
    """Persons whose stretches that touch this time (UTC ms) are longer than so much together."""
    row = watch_segment.c
    query = (
        select(learner.c.person_id)
        .select_from(watch_segment.join(learner, learner.c.id == row.learner_id))
        .where(row.ended_at >= start, row.started_at < end)
        .group_by(learner.c.person_id)
        .having(func.sum(row.to_ms - row.from_ms) > more_than_ms)
        .order_by(learner.c.person_id)
    )
    return (await conn.scalars(query)).all()


async def stretches_of(conn: AsyncConnection, person_id: int, start: int, end: int) -> Sequence[EarnedStretch]:
    """The stretches of a person, over all institutions, that touch this time (UTC ms)."""
    row = watch_segment.c
    query = (
        select(row.learner_id, row.to_ms - row.from_ms, row.started_at, row.ended_at)
        .select_from(watch_segment.join(learner, learner.c.id == row.learner_id))
        .where(and_(learner.c.person_id == person_id, row.ended_at >= start, row.started_at < end))
    )
    return [EarnedStretch(*each) for each in (await conn.execute(query)).all()]
