"""The answer for the exam service: has this learner all the hours, and what is missing?

Two answers stand side by side. A course is complete when each of its videos gave its hours; `complete` speaks of
courses only. `programmes` has the rules of each enrolment whose programme can be judged, and those are what decides
where a certificate is at stake.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from player_server.auth.service_clients import ServiceClient
from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.services import Services
from player_server.storage import audit
from player_server.storage.tables import learner


@dataclass(frozen=True, slots=True)
class Eligibility:
    """`as_of` is the store's clock in UTC ms: what was credited until then is in."""

    learner_id: int
    complete: bool
    courses: tuple[LearnerCourse, ...]
    programmes: tuple[ProgrammeHours, ...]
    as_of: int


async def eligibility(
    services: Services, client: ServiceClient, learner_id: int | None, *, address: str
) -> Eligibility | None:
    """The answer for this client; None if it has no such learner (`learner_id` None: no such id at all).

    A learner without any course is not complete: nobody has said yet what there is to earn.
    """
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        found: Eligibility | None = None
        query = select(learner.c.id).where(learner.c.id == learner_id)
        if client.institution_id is not None:
            query = query.where(learner.c.institution_id == client.institution_id)
        if learner_id is not None and await conn.scalar(query) is not None:
            courses = tuple(await courses_of(conn, [learner_id]))
            complete = bool(courses) and all(each.complete for each in courses)
            programmes = tuple(await programme_hours(conn, services.programmes, [learner_id], now))
            found = Eligibility(learner_id, complete, courses, programmes, now)
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=f"client:{client.client_id}",
            institution_id=client.institution_id,
            action="eligibility.read",
            target=None if learner_id is None else f"learner:{learner_id}",
            result="not_found" if found is None else "complete" if found.complete else "incomplete",
            address=address,
        )
    return found
