"""What a learner is enrolled for: the courses with their state, and the right to watch one video.

What belongs here reads enrolments. Making them is `learning/people.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.storage.progress import VideoProgress, learners_progress, video_progress
from player_server.storage.tables import course, enrolment, enrolment_course, learner, video


class Refusal(StrEnum):
    """Why a learner may not watch a video."""

    UNKNOWN = "unknown"  # no such video at the learner's institution
    NOT_ENROLLED = "not_enrolled"
    WITHDRAWN = "withdrawn"  # the enrolment, or the video itself
    COURSE_CLOSED = "course_closed"
    OFFLINE_MISSING = "offline_missing"  # the hours in class are not recorded yet
    LEARNER_DISABLED = "learner_disabled"


@dataclass(frozen=True, slots=True)
class WatchRight:
    """A learner may watch this video now. Times in ms, hours in hundredths."""

    person_id: int
    learner_id: int
    institution_id: int
    course_id: int
    course_title: str
    video_id: int
    title: str
    hours: int
    media_sha: str  # the version that counts for this learner
    duration_ms: int
    captions_sha: str | None
    has_quiz: bool
    progress: VideoProgress


@dataclass(frozen=True, slots=True)
class LearnerCourse:
    """A course of a learner's enrolments. Times in UTC ms, hours in hundredths."""

    learner_id: int
    course_id: int
    title: str
    specialty: str
    subject: str
    closed: bool
    offline_missing: bool  # the player stays shut until the hours in class are recorded
    deadline: int | None  # the earliest, where several enrolments share the course
    videos: tuple[VideoProgress, ...]

    @property
    def required(self) -> int:
        """The hours of all its videos."""
        return sum(each.hours for each in self.videos)

    @property
    def earned(self) -> int:
        """The hours of those credited in their current round."""
        return sum(each.hours for each in self.videos if each.credited)

    @property
    def complete(self) -> bool:
        """Every video has its hours. A course without videos is never complete."""
        return bool(self.videos) and all(each.credited for each in self.videos)

    @property
    def percent(self) -> int:
        """How much of its running time is watched, 0 to 100; 100 only when every video is watched or credited."""
        if all(each.percent == 100 for each in self.videos):
            return 100 if self.videos else 0
        whole = sum(each.duration_ms for each in self.videos)
        return min(99, sum(each.percent * each.duration_ms for each in self.videos) // whole)

    @property
    def studied_at(self) -> int | None:
        """The last time anything of it was played."""
        return max((each.studied_at for each in self.videos if each.studied_at is not None), default=None)

    @property
    def open(self) -> bool:
        """Whether its player opens."""
        return not self.closed and not self.offline_missing

    @property
    def next_video(self) -> VideoProgress | None:
        """Where to go on: the unfinished video played last, else the first without hours, else the first."""
        unfinished = [each for each in self.videos if not each.credited]
        started = [each for each in unfinished if each.studied_at is not None]
        if started:
            return max(started, key=lambda each: each.studied_at or 0)
        return next(iter(unfinished or self.videos), None)


async def my_courses(services: Services, learner_id: int) -> list[LearnerCourse]:
    """The learner's courses, the nearest deadline first."""
    async with services.db.read() as conn:
        return await courses_of(conn, [learner_id])


async def my_course(services: Services, learner_id: int, course_id: int) -> LearnerCourse | None:
    """One of them; None if the learner is not enrolled for it, whether or not it exists."""
    return next((each for each in await my_courses(services, learner_id) if each.course_id == course_id), None)


async def courses_of(conn: AsyncConnection, learner_ids: Collection[int]) -> list[LearnerCourse]:
    """The courses of these learners: by learner, then by deadline. Two queries, however many there are."""
    rows = await _enrolled(conn, learner_ids)
    videos = {
        key: tuple(group)
        for key, group in groupby(
            await learners_progress(conn, learner_ids), key=lambda each: (each.learner_id, each.course_id)
        )
    }
    courses = [
        LearnerCourse(
            learner_id=row.learner_id,
            course_id=row.id,
            title=row.title,
            specialty=row.specialty,
            subject=row.subject,
            closed=row.closed_at is not None,
            offline_missing=bool(row.offline_missing),
            deadline=row.deadline,
            videos=videos.get((row.learner_id, row.id), ()),
        )
        for row in rows
    ]
    return sorted(
        courses, key=lambda each: (each.learner_id, each.deadline is None, each.deadline or 0, each.course_id)
    )


async def may_watch(conn: AsyncConnection, learner_id: int, video_id: int) -> WatchRight | Refusal:
    """Whether this learner may watch this video now. A foreign video is as unknown as an absent one."""
    rows = (
        await conn.execute(
            select(
                learner.c.person_id,
                learner.c.institution_id,
                learner.c.disabled_at,
                course.c.title,
                course.c.closed_at,
                video.c.withdrawn_at.label("video_withdrawn_at"),
                enrolment.c.id.label("enrolment_id"),
                enrolment.c.withdrawn_at,
                enrolment.c.offline_missing,
            )
            .select_from(learner)
            .join(course, course.c.institution_id == learner.c.institution_id)
            .join(video, video.c.course_id == course.c.id)
            .outerjoin(
                enrolment_course.join(enrolment, enrolment.c.id == enrolment_course.c.enrolment_id),
                and_(enrolment_course.c.course_id == course.c.id, enrolment.c.learner_id == learner.c.id),
            )
            .where(learner.c.id == learner_id, video.c.id == video_id)
        )
    ).all()
    refusal = _refusal(rows)
    if refusal is not None:
        return refusal
    progress = await video_progress(conn, learner_id, video_id)
    if progress is None:
        return Refusal.UNKNOWN
    return WatchRight(
        person_id=rows[0].person_id,
        learner_id=learner_id,
        institution_id=rows[0].institution_id,
        course_id=progress.course_id,
        course_title=rows[0].title,
        video_id=video_id,
        title=progress.title,
        hours=progress.hours,
        media_sha=progress.media_sha,
        duration_ms=progress.duration_ms,
        captions_sha=progress.captions_sha,
        has_quiz=progress.quiz_sha is not None,
        progress=progress,
    )


def _refusal(rows: Sequence[Any]) -> Refusal | None:
    if not rows:
        return Refusal.UNKNOWN
    if rows[0].disabled_at is not None:
        return Refusal.LEARNER_DISABLED
    if rows[0].video_withdrawn_at is not None:
        return Refusal.WITHDRAWN
    enrolments = [row for row in rows if row.enrolment_id is not None]
    if not enrolments:
        return Refusal.NOT_ENROLLED
    valid = [row for row in enrolments if row.withdrawn_at is None]
    if not valid:
        return Refusal.WITHDRAWN
    if rows[0].closed_at is not None:
        return Refusal.COURSE_CLOSED
    if all(row.offline_missing for row in valid):
        return Refusal.OFFLINE_MISSING
    return None


async def _enrolled(conn: AsyncConnection, learner_ids: Collection[int]) -> Sequence[Any]:
    missing = case((enrolment.c.offline_missing, 1), else_=0)
    query = (
        select(
            enrolment.c.learner_id,
            course.c.id,
            course.c.title,
            course.c.specialty,
            course.c.subject,
            course.c.closed_at,
            func.min(enrolment.c.deadline).label("deadline"),
            # One enrolment whose hours in class are recorded opens a course that others share.
            func.min(missing).label("offline_missing"),
        )
        .select_from(enrolment)
        .join(learner, learner.c.id == enrolment.c.learner_id)
        .join(enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
        .join(
            course,
            and_(
                course.c.id == enrolment_course.c.course_id,
                course.c.institution_id == learner.c.institution_id,
            ),
        )
        .where(enrolment.c.learner_id.in_(learner_ids), enrolment.c.withdrawn_at.is_(None))
        .group_by(
            enrolment.c.learner_id,
            course.c.id,
            course.c.title,
            course.c.specialty,
            course.c.subject,
            course.c.closed_at,
        )
    )
    return (await conn.execute(query)).all()
