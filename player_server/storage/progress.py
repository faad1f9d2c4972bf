"""The one query about progress: what a learner has reached in a video, live or stored.

A player that is open writes only its `playback` row; `watch_progress` gets the frontier when it ends. Whoever wants
to know how far somebody is asks here, so that nobody ever reads only one of the two. What belongs here is looking;
moving a frontier is the committer's work, crediting is `learning/settle.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import FromClause

from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    learner,
    ledger_entry,
    media,
    playback,
    video,
    watch_progress,
)
from telemetry.rules import watched_from_ms


@dataclass(frozen=True, slots=True)
class VideoProgress:
    """One video as one learner sees it, in the learner's current round. Times in ms, hours in hundredths."""

    learner_id: int
    course_id: int
    video_id: int
    number: int  # order within the course, from 1
    title: str
    hours: int
    media_sha: str  # the version that counts for this learner: the one that was started, else the newest
    duration_ms: int
    captions_sha: str | None
    quiz_sha: str | None  # None: the video has no quiz
    round: int
    frontier_ms: int
    position_ms: int  # where to go on
    watched: bool
    credited: bool
    studied_at: int | None  # the last time anything of it was played, UTC ms

    @property
    def percent(self) -> int:
        """Of the video, 0 to 100; 100 only once it is watched."""
        if self.watched or self.credited:
            return 100
        return min(99, self.frontier_ms * 100 // self.duration_ms)


async def course_progress(conn: AsyncConnection, learner_id: int, course_id: int) -> list[VideoProgress]:
    """The videos of one course in their order; empty if the course is not of the learner's institution.

    Withdrawn videos are left out, unless they gave the learner hours: what was credited stays.
    """
    return await _read(conn, _current(learner.c.id == learner_id, video.c.course_id == course_id))


async def learners_progress(conn: AsyncConnection, learner_ids: Collection[int]) -> list[VideoProgress]:
    """The same for every course of these learners' enrolments, ordered by learner, course and video."""
    return await _read(conn, _current(learner.c.id.in_(learner_ids), _enrolled(learner_ids)))


async def video_progress(conn: AsyncConnection, learner_id: int, video_id: int) -> VideoProgress | None:
    """One video, withdrawn or not; None if it is not of the learner's institution."""
    rows = await _read(conn, _progress(learner.c.id == learner_id, video.c.id == video_id))
    return rows[0] if rows else None


def _enrolled(learner_ids: Collection[int]) -> ColumnElement[bool]:
    return exists().where(
        enrolment.c.learner_id == learner.c.id,
        # Said twice, or PostgreSQL may go through the enrolments of everybody.
        enrolment.c.learner_id.in_(learner_ids),
        enrolment.c.withdrawn_at.is_(None),
        enrolment_course.c.enrolment_id == enrolment.c.id,
        enrolment_course.c.course_id == course.c.id,
    )


def course_totals(learner_ids: Collection[int]) -> Select[tuple[object, ...]]:
    """A query with the sums of the same for each learner and course: `learner_id`, `course_id`, `required` and
    `earned` (hundredths), `missing` (videos without their hours) and `studied_at` (stored, not live; UTC ms)."""
    each = _current(learner.c.id.in_(learner_ids), _enrolled(learner_ids)).order_by(None).subquery()
    return select(
        each.c.learner_id,
        each.c.course_id,
        func.sum(each.c.hours).label("required"),
        func.sum(case((each.c.credited, each.c.hours), else_=0)).label("earned"),
        func.sum(case((each.c.credited, 0), else_=1)).label("missing"),
        func.max(each.c.stored_at).label("studied_at"),
    ).group_by(each.c.learner_id, each.c.course_id)


def _current(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return _progress(*where, or_(video.c.withdrawn_at.is_(None), _is_credited()))


def _progress(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return _everything().where(*where)


@cache
def _everything() -> Select[tuple[object, ...]]:
    """Built once: taking it apart into its pieces costs more than most databases need to answer it."""
    return (
        select(
            learner.c.id.label("learner_id"),
            video.c.course_id,
            video.c.id.label("video_id"),
            video.c.position.label("number"),
            video.c.title,
            video.c.hours,
            media.c.sha.label("media_sha"),
            media.c.duration_ms,
            video.c.captions_sha,
            video.c.quiz_sha,
            _round().label("round"),
            watch_progress.c.frontier_ms.label("stored_frontier_ms"),
            watch_progress.c.position_ms.label("stored_position_ms"),
            watch_progress.c.watched_at,
            watch_progress.c.updated_at.label("stored_at"),
            playback.c.frontier_ms.label("live_frontier_ms"),
            playback.c.position_ms.label("live_position_ms"),
            playback.c.clock_ms.label("live_at"),
            _is_credited().label("credited"),
        )
        .select_from(_sources())
        .order_by(learner.c.id, video.c.course_id, video.c.position, video.c.id)
    )


def _sources() -> FromClause:
    newest = watch_progress.alias("newest")
    newest_round = (
        select(func.max(newest.c.round))
        .where(newest.c.learner_id == learner.c.id, newest.c.video_id == video.c.id)
        .correlate(learner, video)
        .scalar_subquery()
    )
    stored = and_(
        watch_progress.c.learner_id == learner.c.id,
        watch_progress.c.video_id == video.c.id,
        watch_progress.c.round == newest_round,
    )
    live = and_(
        playback.c.person_id == learner.c.person_id,
        playback.c.learner_id == learner.c.id,
        playback.c.video_id == video.c.id,
        playback.c.round == _round(),
    )
    # A learner finishes the version that was started, even if the author has replaced the file since.
    version = media.c.sha == func.coalesce(playback.c.media_sha, watch_progress.c.media_sha, video.c.media_sha)
    return (
        learner.join(course, course.c.institution_id == learner.c.institution_id)
        .join(video, video.c.course_id == course.c.id)
        .outerjoin(watch_progress, stored)
        .outerjoin(playback, live)
        .join(media, version)
    )


def _round() -> ColumnElement[int]:
    # A pair without any row is in its first round.
    return func.coalesce(watch_progress.c.round, 1)


@cache
def _is_credited() -> ColumnElement[bool]:
    entry, reversal = ledger_entry.alias("entry"), ledger_entry.alias("reversal")
    reversed_ = exists().where(
        reversal.c.learner_id == entry.c.learner_id,
        reversal.c.video_id == entry.c.video_id,
        reversal.c.round == entry.c.round,
        reversal.c.entry_type == "reversal",
    )
    in_ledger = (
        exists()
        .where(
            entry.c.learner_id == learner.c.id,
            entry.c.video_id == video.c.id,
            entry.c.round == _round(),
            entry.c.entry_type == "credit",
            ~reversed_.correlate(entry),
        )
        .correlate(learner, video, watch_progress)
    )
    return or_(watch_progress.c.credited_at.is_not(None), in_ledger)


async def _read(conn: AsyncConnection, query: Select[tuple[object, ...]]) -> list[VideoProgress]:
    progress = []
    for row in (await conn.execute(query)).mappings():
        frontier = max(row["stored_frontier_ms"] or 0, row["live_frontier_ms"] or 0)
        live = row["live_frontier_ms"] is not None
        times = [at for at in (row["stored_at"], row["live_at"]) if at is not None]
        progress.append(
            VideoProgress(
                learner_id=row["learner_id"],
                course_id=row["course_id"],
                video_id=row["video_id"],
                number=row["number"],
                title=row["title"],
                hours=row["hours"],
                media_sha=row["media_sha"],
                duration_ms=row["duration_ms"],
                captions_sha=row["captions_sha"],
                quiz_sha=row["quiz_sha"],
                round=row["round"],
                frontier_ms=frontier,
                position_ms=(row["live_position_ms"] if live else row["stored_position_ms"]) or 0,
                watched=row["watched_at"] is not None or frontier >= watched_from_ms(row["duration_ms"]),
                credited=bool(row["credited"]),
                studied_at=max(times, default=None),
            )
        )
    return progress
