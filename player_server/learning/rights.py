"""Ending live players whose right to play has gone: withdrawn, closed, disabled, or logged in too long ago.

The hello asks `may_watch` once; this asks for everybody who plays, in one query, so that whatever took a right away
(staff, an import, a clock) need not know of players. What was earned is kept.
"""

from __future__ import annotations

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.learning.watch import end_row, lock_playback
from player_server.storage.hints import Hint
from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    learner,
    login_session,
    playback,
    video,
)


async def end_without_right(services: Services, limit: int = 200) -> int:
    """For the worker: end players that may not play any more; returns how many ended."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        found = await _without_right(conn, now, limit)
    ended = 0
    for person_id, epoch, reason in found:
        async with services.db.write() as conn:
            row = await lock_playback(conn, person_id)
            if row.epoch != epoch or row.ended_reason is not None:
                # Another page said hello since, and was asked for its right there.
                continue
            await end_row(conn, row, reason, now)
        await services.hints.publish(Hint(person_id, "ended"))
        ended += 1
    return ended


async def _without_right(conn: AsyncConnection, now_ms: int, limit: int) -> list[tuple[int, int, str]]:
    """(person, epoch, reason for playback.ended_reason) of live players without a right."""
    enrolled = exists().where(
        enrolment_course.c.course_id == course.c.id,
        enrolment.c.id == enrolment_course.c.enrolment_id,
        enrolment.c.learner_id == playback.c.learner_id,
        enrolment.c.withdrawn_at.is_(None),
        enrolment.c.offline_missing.is_(False),
    )
    logged_in = exists().where(
        login_session.c.token_hash == playback.c.login_hash, login_session.c.expires_at > now_ms
    )
    open_course = and_(enrolled, course.c.closed_at.is_(None), video.c.withdrawn_at.is_(None))
    query = (
        select(
            playback.c.person_id,
            playback.c.epoch,
            learner.c.disabled_at,
            logged_in.label("logged_in"),
        )
        .join(learner, learner.c.id == playback.c.learner_id)
        .join(video, video.c.id == playback.c.video_id)
        .join(course, course.c.id == video.c.course_id)
        .where(
            playback.c.ended_reason.is_(None),
            or_(~logged_in, learner.c.disabled_at.is_not(None), ~open_course),
        )
        .limit(limit)
    )
    return [
        (row.person_id, row.epoch, _reason(row.disabled_at, row.logged_in)) for row in await conn.execute(query)
    ]


def _reason(disabled_at: int | None, logged_in: bool) -> str:
    if disabled_at is not None:
        return "disabled"
    return "course" if logged_in else "signed_out"
