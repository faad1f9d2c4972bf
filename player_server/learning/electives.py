"""Electives (选修课程): courses that learners add to their enrolments themselves, where the programme counts them.

A course is offered if it is the institution's, open, of the subject `elective` and of a specialty that the
enrolment has already: hours of another one would not count for it, and must not begin to.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.programmes import Programmes
from player_server.learning.services import Services
from player_server.policy.programmes import SUBJECTS, Name, Programme
from player_server.storage import audit
from player_server.storage.tables import course, enrolment, enrolment_course, learner, video
from player_server.storage.upsert import insert

ELECTIVE = "elective"


@dataclass(frozen=True, slots=True)
class Elective:
    """A course that can be added to this enrolment. Hours in hundredths."""

    enrolment_id: int
    programme: Name
    course_id: int
    title: str
    specialty: str
    videos: int
    hours: int


def has_electives(programme: Programme) -> bool:
    """Whether a rule asks for electives by name; one that counts every subject does not need them."""
    return any(
        ELECTIVE in rule.subjects and set(rule.subjects) != set(SUBJECTS) for rule in programme.rules.values()
    )


async def electives_of(services: Services, learner_id: int) -> list[Elective]:
    """What this learner may add, by enrolment and title."""
    async with services.db.read() as conn:
        return await _offered(conn, services.programmes, learner_id)


async def add_elective(
    services: Services, *, learner_id: int, person_id: int, enrolment_id: int, course_id: int, address: str
) -> bool:
    """Add a course to an enrolment; False if it is not offered (foreign, closed, no elective, there already)."""
    async with services.db.write() as conn:
        offered = await _offered(conn, services.programmes, learner_id)
        if not any((each.enrolment_id, each.course_id) == (enrolment_id, course_id) for each in offered):
            return False
        await conn.execute(
            insert(conn, enrolment_course)
            .values(enrolment_id=enrolment_id, course_id=course_id)
            .on_conflict_do_nothing()
        )
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"person:{person_id}",
            institution_id=await conn.scalar(select(learner.c.institution_id).where(learner.c.id == learner_id)),
            action="elective.add",
            target=f"learner:{learner_id}",
            result=f"enrolment {enrolment_id}, course {course_id}",
            address=address,
        )
    return True


async def _offered(conn: AsyncConnection, programmes: Programmes, learner_id: int) -> list[Elective]:
    named = [each.id for each in programmes.values() if has_electives(each.programme)]
    own, other = enrolment_course.alias("own"), course.alias("other")
    same_specialty = (
        exists()
        .where(own.c.enrolment_id == enrolment.c.id, own.c.course_id == other.c.id)
        .where(other.c.specialty == course.c.specialty)
        .correlate(enrolment, course)
    )
    taken = enrolment_course.alias("taken")
    holder = enrolment.alias("holder")
    # Whoever has it in another enrolment has it already: its hours count for both.
    known = (
        exists()
        .where(taken.c.course_id == course.c.id, taken.c.enrolment_id == holder.c.id)
        .where(holder.c.learner_id == learner_id, holder.c.withdrawn_at.is_(None))
        .correlate(course)
    )
    query = (
        select(
            enrolment.c.id.label("enrolment_id"),
            enrolment.c.programme,
            course.c.id.label("course_id"),
            course.c.title,
            course.c.specialty,
            func.count(video.c.id).label("videos"),
            func.sum(video.c.hours).label("hours"),
        )
        .select_from(enrolment)
        .join(learner, learner.c.id == enrolment.c.learner_id)
        .join(course, course.c.institution_id == learner.c.institution_id)
        .join(video, video.c.course_id == course.c.id)
        .where(
            enrolment.c.learner_id == learner_id,
            enrolment.c.withdrawn_at.is_(None),
            enrolment.c.programme.in_(named),
            course.c.subject == ELECTIVE,
            course.c.closed_at.is_(None),
            video.c.withdrawn_at.is_(None),
            same_specialty,
            ~known,
        )
        .group_by(enrolment.c.id, enrolment.c.programme, course.c.id, course.c.title, course.c.specialty)
        .order_by(enrolment.c.id, course.c.title)
    )
    return [
        Elective(
            row.enrolment_id,
            programmes[row.programme].programme.name,
            row.course_id,
            row.title,
            row.specialty,
            row.videos,
            int(row.hours),
        )
        for row in await conn.execute(query)
    ]
