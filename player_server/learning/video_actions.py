"""The institution's videos as staff see them, and taking one out of its course or putting it back.

What belongs here: withdrawing and restoring. New courses and files come by `course_import.py`, a corrected answer
key by `answer_keys.py`. What was credited stays, whatever happens to the video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import distinct, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.learning.staff_actions import Action, Hand, Outcome
from player_server.storage import audit, staff_actions
from player_server.storage.staff_actions import StoredAction, actions_on_video
from player_server.storage.tables import attempt, course, ledger_entry, media, video, watch_progress

MOST_ACTIONS = 200


@dataclass(frozen=True, slots=True)
class StaffVideo:
    """One line of a course. `hours` in hundredths, times in UTC ms."""

    video_id: int
    number: int
    title: str
    hours: int
    duration_ms: int
    has_quiz: bool
    withdrawn_at: int | None


@dataclass(frozen=True, slots=True)
class StaffCourse:
    course_id: int
    title: str
    specialty: str
    closed: bool
    videos: tuple[StaffVideo, ...]


@dataclass(frozen=True, slots=True)
class VideoPage:
    """One video, how it goes, and what was done about it. `tries` and `passed` count submissions of its quiz."""

    video: StaffVideo
    course_title: str
    width: int
    height: int
    media_sha: str
    started: int
    credited: int
    tries: int
    passed: int
    history: tuple[StoredAction, ...]


async def courses_with_videos(services: Services, institution_id: int) -> list[StaffCourse]:
    """Every course of the institution, withdrawn videos included; two queries."""
    async with services.db.read() as conn:
        courses = (
            await conn.execute(
                select(course).where(course.c.institution_id == institution_id).order_by(course.c.title)
            )
        ).all()
        rows = (await conn.execute(_videos(institution_id).order_by(video.c.position, video.c.id))).all()
    return [
        StaffCourse(
            each.id,
            each.title,
            each.specialty,
            each.closed_at is not None,
            tuple(_line(row) for row in rows if row.course_id == each.id),
        )
        for each in courses
    ]


async def find_video(services: Services, institution_id: int, video_id: int) -> VideoPage | None:
    """One of the institution's videos; None alike for foreign and for absent ones."""
    async with services.db.read() as conn:
        row = (await conn.execute(_videos(institution_id).where(video.c.id == video_id))).one_or_none()
        if row is None:
            return None
        started = await conn.scalar(
            select(func.count(distinct(watch_progress.c.learner_id))).where(watch_progress.c.video_id == video_id)
        )
        other = ledger_entry.alias("other")
        reversed_ = exists().where(
            other.c.learner_id == ledger_entry.c.learner_id, other.c.reverses == ledger_entry.c.id
        )
        credited = await conn.scalar(
            select(func.count()).where(
                ledger_entry.c.institution_id == institution_id,
                ledger_entry.c.video_id == video_id,
                ledger_entry.c.entry_type == "credit",
                ~reversed_,
            )
        )
        tries, passed = (
            await conn.execute(
                select(func.count(), func.count().filter(attempt.c.passed)).where(attempt.c.video_id == video_id)
            )
        ).one()
        history = await actions_on_video(conn, video_id, institution_id, MOST_ACTIONS)
    return VideoPage(
        video=_line(row),
        course_title=row.course_title,
        width=row.width,
        height=row.height,
        media_sha=row.media_sha,
        started=int(started or 0),
        credited=int(credited or 0),
        tries=int(tries),
        passed=int(passed),
        history=tuple(history),
    )


async def set_withdrawn(
    services: Services, hand: Hand, institution_id: int, video_id: int, *, withdrawn: bool
) -> Outcome:
    """Take a video out of its course, or put it back. The worker ends players that are at a withdrawn one."""
    action = Action.WITHDRAW_VIDEO if withdrawn else Action.RESTORE_VIDEO
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await lock_video(conn, institution_id, video_id)
        if row is None:
            outcome = Outcome.ABSENT
        elif (row.withdrawn_at is not None) is withdrawn:
            outcome = Outcome.ALREADY
        else:
            outcome = Outcome.DONE
            await conn.execute(
                update(video).where(video.c.id == video_id).values(withdrawn_at=now if withdrawn else None)
            )
            await staff_actions.add(
                conn,
                action,
                institution_id=institution_id,
                staff_id=hand.scope.staff_id,
                video_id=video_id,
                reason=hand.reason,
                at=now,
            )
        await audit.record(
            conn,
            at=now,
            actor=hand.scope.actor,
            action=action.value,
            target=f"video:{video_id}",
            result=outcome.value,
            institution_id=institution_id,
            address=hand.address,
        )
    return outcome


async def lock_video(conn: AsyncConnection, institution_id: int, video_id: int) -> Any:
    """The video's row with its institution, locked for this transaction; None for a foreign or an absent one."""
    query = (
        select(video, course.c.institution_id)
        .join(course, course.c.id == video.c.course_id)
        .where(video.c.id == video_id, course.c.institution_id == institution_id)
        .with_for_update(of=video)
    )
    return (await conn.execute(query)).one_or_none()


def _videos(institution_id: int) -> Any:
    return (
        select(
            video,
            course.c.title.label("course_title"),
            media.c.duration_ms,
            media.c.width,
            media.c.height,
        )
        .join(course, course.c.id == video.c.course_id)
        .join(media, media.c.sha == video.c.media_sha)
        .where(course.c.institution_id == institution_id)
    )


def _line(row: Any) -> StaffVideo:
    return StaffVideo(
        video_id=row.id,
        number=row.position,
        title=row.title,
        hours=row.hours,
        duration_ms=row.duration_ms,
        has_quiz=row.quiz_sha is not None,
        withdrawn_at=row.withdrawn_at,
    )
