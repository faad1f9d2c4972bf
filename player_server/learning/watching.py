"""Who watches now, for the staff: live players in SQL, of which Redis must still know the lock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import select

from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.observe import metrics
from player_server.policy.names import mask_name
from player_server.storage.session_lock import lock_key
from player_server.storage.tables import course, learner, person, playback, video

#: Players looked at; a page that is looked at every few seconds may not read more.
MOST = 2_000
#: Shown by name, the longest at it first.
SHOWN = 20
#: Redis is asked no longer than this; without it SQL alone answers.
GIVE_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Watcher:
    """One live player. `since` in UTC ms; `playing` false while it pauses or waits for a check."""

    learner_id: int
    masked_name: str
    class_name: str | None
    course: str
    video: str
    since: int | None
    playing: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Watching:
    """`total` live players (MOST at the most), of which the first SHOWN; `as_of` in UTC ms."""

    as_of: int
    total: int
    watchers: tuple[Watcher, ...]


async def watching_now(services: Services, scope: StaffScope) -> Watching:
    """Never raises for Redis: when it is away, a player counts as live until its row says otherwise."""
    query = (
        select(
            playback.c.person_id,
            playback.c.learner_id,
            playback.c.since,
            playback.c.playing,
            playback.c.held_challenge_id,
            learner.c.class_name,
            person.c.name,
            course.c.title.label("course"),
            video.c.title.label("video"),
        )
        .join(learner, learner.c.id == playback.c.learner_id)
        .join(person, person.c.id == learner.c.person_id)
        .join(video, video.c.id == playback.c.video_id)
        .join(course, course.c.id == video.c.course_id)
        .where(playback.c.ended_reason.is_(None), *scope.learners())
        .order_by(playback.c.since, playback.c.person_id)
        .limit(MOST)
    )
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        rows = (await conn.execute(query)).all()
    rows = await _with_locks(services, rows)
    watchers = tuple(
        Watcher(
            learner_id=row.learner_id,
            masked_name=mask_name(row.name),
            class_name=row.class_name,
            course=row.course,
            video=row.video,
            since=row.since,
            playing=bool(row.playing),
            held=row.held_challenge_id is not None,
        )
        for row in rows[:SHOWN]
    )
    return Watching(now, len(rows), watchers)


async def _with_locks(services: Services, rows: Sequence[Any]) -> Sequence[Any]:
    """Those whose session lock is there: a node that died leaves rows that nobody has retired yet."""
    if not rows:
        return rows
    try:
        async with asyncio.timeout(GIVE_UP_S), services.redis.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.exists(lock_key(row.person_id))
            locked = await pipeline.execute()
    except (RedisError, OSError, TimeoutError):
        metrics.redis_failures.labels("watching_now").inc()
        return rows
    return [row for row, lock in zip(rows, locked, strict=True) if lock]
