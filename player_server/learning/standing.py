"""Working off what the triggers noted: where learners stand now, and the hours of each day.

A job of the worker. It may run twice and at several places at once: the learners' rows are locked before anything
is read, so that what is written is never older than what somebody else wrote before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.policy.findings import china_day
from player_server.storage.progress import course_totals
from player_server.storage.standing_tables import course_standing, daily_hours, standing, standing_change
from player_server.storage.tables import enrolment, enrolment_course, learner
from player_server.storage.upsert import insert

#: Learners in one transaction. With forty videos each they are worked out in some twenty milliseconds on SQLite,
#: where everybody who writes waits for it.
LEARNERS = {"sqlite": 40, "postgresql": 400}
#: Noted changes that are looked through for learners: an import or a seeding leaves dozens for each.
LOOKED_AT = 5_000
#: Batches in one run of the job: an import notes tens of thousands of changes, and each run is a line in the log.
ROUND = 100


@dataclass(frozen=True, slots=True)
class _Course:
    """One course of one learner. Hours in hundredths, times in UTC ms."""

    learner_id: int
    course_id: int
    required: int
    earned: int
    complete: bool
    studied_at: int | None
    deadline: int | None
    begins: int
    offline_missing: bool


async def follow_changes(services: Services) -> int:
    """Work off what was noted, at most ROUND batches; returns how many changes. The worker calls it again."""
    done = 0
    for _ in range(ROUND):
        batch = await _follow_batch(services)
        done += batch
        if not batch:
            break
    return done


async def _follow_batch(services: Services) -> int:
    oldest = select(standing_change.c.learner_id).order_by(standing_change.c.id).limit(LOOKED_AT).subquery()
    some = select(oldest.c.learner_id).distinct().order_by(oldest.c.learner_id).limit(LEARNERS[services.db.kind])
    async with services.db.read() as conn:
        learner_ids = list((await conn.scalars(some)).all())
    if not learner_ids:
        return 0
    async with services.db.write() as conn:
        locked = select(standing.c.learner_id).where(standing.c.learner_id.in_(learner_ids))
        await conn.execute(locked.order_by(standing.c.learner_id).with_for_update())
        # A change and its note are committed together, so what is deleted here is seen by what is read after it.
        change = standing_change.c
        mine = (
            await conn.execute(
                delete(standing_change)
                .where(change.learner_id.in_(learner_ids))
                .returning(change.learner_id, change.hours, change.at)
            )
        ).all()
        await _write(conn, learner_ids, await _courses(conn, learner_ids))
        await _add_days(conn, mine)
    return len(mine)


async def _courses(conn: AsyncConnection, learner_ids: Collection[int]) -> dict[int, list[_Course]]:
    totals = course_totals(learner_ids).subquery()
    enrolled = (
        select(
            enrolment.c.learner_id,
            enrolment_course.c.course_id,
            func.min(enrolment.c.deadline).label("deadline"),
            func.min(enrolment.c.created_at).label("begins"),
            func.sum(enrolment.c.offline_missing.cast(standing.c.courses.type)).label("offline_missing"),
        )
        .join(enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
        .where(enrolment.c.learner_id.in_(learner_ids), enrolment.c.withdrawn_at.is_(None))
        .group_by(enrolment.c.learner_id, enrolment_course.c.course_id)
        .subquery()
    )
    query = (
        select(enrolled, totals.c.required, totals.c.earned, totals.c.missing, totals.c.studied_at)
        .outerjoin(
            totals,
            and_(totals.c.learner_id == enrolled.c.learner_id, totals.c.course_id == enrolled.c.course_id),
        )
        .order_by(enrolled.c.learner_id)
    )
    rows = (await conn.execute(query)).all()
    courses = [
        _Course(
            learner_id=row.learner_id,
            course_id=row.course_id,
            required=int(row.required or 0),
            earned=int(row.earned or 0),
            # A course without videos is never complete.
            complete=row.missing == 0,
            studied_at=row.studied_at,
            deadline=row.deadline,
            begins=row.begins,
            offline_missing=bool(row.offline_missing),
        )
        for row in rows
    ]
    return {key: list(group) for key, group in groupby(courses, key=lambda each: each.learner_id)}


async def _write(conn: AsyncConnection, learner_ids: Collection[int], courses: dict[int, list[_Course]]) -> None:
    if not learner_ids:
        return
    ordered = sorted(learner_ids)
    await conn.execute(delete(course_standing).where(course_standing.c.learner_id.in_(ordered)))
    where = select(learner.c.id, learner.c.institution_id, learner.c.class_name).where(learner.c.id.in_(ordered))
    places = {row.id: row for row in await conn.execute(where)}
    rows = [
        {
            "learner_id": each.learner_id,
            "course_id": each.course_id,
            "institution_id": places[each.learner_id].institution_id,
            "class_name": places[each.learner_id].class_name,
            "required": each.required,
            "earned": each.earned,
        }
        for learner_id in ordered
        if learner_id in places
        for each in courses.get(learner_id, [])
    ]
    if rows:
        await conn.execute(insert(conn, course_standing), rows)
    await conn.execute(
        update(standing).where(standing.c.learner_id == bindparam("who")),
        [{"who": learner_id, **_together(courses.get(learner_id, []))} for learner_id in ordered],
    )


def _together(courses: Sequence[_Course]) -> dict[str, Any]:
    todo = [each for each in courses if not each.complete] or list(courses)
    # The course whose deadline comes first says when the time for it began.
    first = min(todo, key=lambda each: (each.deadline is None, each.deadline or 0, each.begins), default=None)
    return {
        "courses": len(courses),
        "required": sum(each.required for each in courses),
        "earned": sum(each.earned for each in courses),
        "complete": bool(courses) and all(each.complete for each in courses),
        "offline_missing": any(each.offline_missing for each in todo),
        "deadline": first.deadline if first else None,
        "begins": first.begins if first else None,
        "studied_at": max((each.studied_at for each in courses if each.studied_at is not None), default=None),
    }


async def _add_days(conn: AsyncConnection, changes: Sequence[Any]) -> None:
    entries = [row for row in changes if row.hours is not None]
    if not entries:
        return
    where = select(learner.c.id, learner.c.institution_id, learner.c.class_name).where(
        learner.c.id.in_({row.learner_id for row in entries})
    )
    places = {row.id: row for row in await conn.execute(where)}
    sums: Counter[tuple[int, str, int]] = Counter()
    for row in entries:
        place = places.get(row.learner_id)
        if place is not None:
            sums[place.institution_id, place.class_name or "", china_day(row.at)] += row.hours
    if not sums:
        return
    row = insert(conn, daily_hours)
    await conn.execute(
        row.on_conflict_do_update(
            index_elements=["institution_id", "class_name", "day"],
            set_={"hours": daily_hours.c.hours + row.excluded.hours},
        ),
        # In one order, so that two workers cannot wait for each other.
        [
            {"institution_id": institution_id, "class_name": class_name, "day": day, "hours": hours}
            for (institution_id, class_name, day), hours in sorted(sums.items())
        ],
    )
