"""The answer for the exam service: has this learner all the hours, and what is missing?

First cut: a course is complete when each of its videos gave its hours. The rules of programmes come later.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.services import Services
from player_server.storage.tables import learner


@dataclass(frozen=True, slots=True)
class Eligibility:
    """`as_of` is the store's clock in UTC ms: what was credited until then is in."""

    learner_id: int
    complete: bool
    courses: tuple[LearnerCourse, ...]
    as_of: int


async def eligibility(services: Services, learner_id: int, *, institution_id: int | None) -> Eligibility | None:
    """The answer, or None if there is no such learner at this institution (None: at any institution).

    A learner without any course is not complete: nobody has said yet what there is to earn.
    """
    async with services.db.read() as conn:
        known = select(learner.c.id).where(learner.c.id == learner_id)
        if institution_id is not None:
            known = known.where(learner.c.institution_id == institution_id)
        if await conn.scalar(known) is None:
            return None
        courses = tuple(await courses_of(conn, [learner_id]))
        now = await services.clock.read(conn)
    complete = bool(courses) and all(each.complete for each in courses)
    return Eligibility(learner_id, complete, courses, now.ms)
