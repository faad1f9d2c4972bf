"""Bringing people in: a person for each ID number, an account at an institution, an enrolment for courses.

Everything works on the caller's connection, so that a whole roster comes in together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.identity import id_columns, id_hash
from player_server.auth.initial_secrets import initial_hash, new_initial_secret
from player_server.learning.services import Services
from player_server.policy.id_number import check_id_number
from player_server.policy.names import same_name
from player_server.storage.tables import course, enrolment, enrolment_course, learner, person
from player_server.storage.upsert import insert


@dataclass(frozen=True, slots=True)
class NewLearner:
    """`initial_secret` is shown once, to the institution; None for a person who could log in before."""

    learner_id: int
    person_id: int
    initial_secret: str | None


class NameDiffers(Exception):
    """The ID number is known under another name; one of the two is a typing error."""


class AlreadyLearner(Exception):
    """This person has an account at this institution."""

    def __init__(self, learner_id: int) -> None:
        super().__init__(f"learner {learner_id}")
        self.learner_id = learner_id


class UnknownCourse(Exception):
    """A course that the institution does not have."""


class ImpossibleDates(Exception):
    """A certificate that expires before it was issued, or has a year that is a typing error."""


#: Years that a certificate's dates may have: anything else is a slip, and programmes count years from them.
CERTIFICATE_YEARS = range(1980, 2101)


async def create_learner(
    services: Services,
    conn: AsyncConnection,
    institution_id: int,
    *,
    name: str,
    id_number: str,
    class_name: str | None = None,
) -> NewLearner:
    """Open an account. A person known already, from any institution, keeps the password and gets only an account.

    Raises IdNumberError, NameDiffers and AlreadyLearner; the caller's transaction may go on after each.
    """
    number = check_id_number(id_number)
    now = (await services.clock.read(conn)).ms
    secret: str | None = new_initial_secret()
    row = {
        **id_columns(services.keys, number),
        "name": name.strip(),
        "initial_hash": initial_hash(services.keys, secret or ""),
        "created_at": now,
    }
    # Two rosters with the same person may arrive at once: the first one makes the person.
    person_id = await conn.scalar(
        insert(conn, person).values(row).on_conflict_do_nothing(index_elements=["id_hash"]).returning(person.c.id)
    )
    if person_id is None:
        secret = None
        person_id = await _known_person(services, conn, number, name)
    learner_id = await conn.scalar(
        insert(conn, learner)
        .values(institution_id=institution_id, person_id=person_id, class_name=class_name, created_at=now)
        .on_conflict_do_nothing(index_elements=["institution_id", "person_id"])
        .returning(learner.c.id)
    )
    if learner_id is None:
        raise AlreadyLearner(await _account(conn, institution_id, person_id))
    return NewLearner(learner_id, person_id, secret)


async def enrol(
    services: Services,
    conn: AsyncConnection,
    learner_id: int,
    *,
    programme: str,
    course_ids: Sequence[int],
    deadline: int | None,
    issue_date: date | None = None,
    expiry_date: date | None = None,
    offline_missing: bool = False,
) -> int:
    """Enrol a learner for courses of the learner's own institution until `deadline` (UTC ms); returns the id.

    `issue_date` and `expiry_date` (its last day) are the certificate's. Raises UnknownCourse, alike for foreign and
    for absent ones, and ImpossibleDates.
    """
    if any(each.year not in CERTIFICATE_YEARS for each in (issue_date, expiry_date) if each is not None):
        raise ImpossibleDates
    if issue_date is not None and expiry_date is not None and expiry_date < issue_date:
        raise ImpossibleDates
    wanted = set(course_ids)
    own = await conn.scalars(
        select(course.c.id)
        .join(learner, learner.c.institution_id == course.c.institution_id)
        .where(learner.c.id == learner_id, course.c.id.in_(wanted))
    )
    if set(own) != wanted:
        raise UnknownCourse
    made = await conn.execute(
        insert(conn, enrolment)
        .values(
            learner_id=learner_id,
            programme=programme,
            issue_date=issue_date,
            expiry_date=expiry_date,
            deadline=deadline,
            offline_missing=offline_missing,
            created_at=(await services.clock.read(conn)).ms,
        )
        .returning(enrolment.c.id)
    )
    enrolment_id: int = made.scalar_one()
    await conn.execute(
        insert(conn, enrolment_course),
        [{"enrolment_id": enrolment_id, "course_id": each} for each in sorted(wanted)],
    )
    return enrolment_id


async def _known_person(services: Services, conn: AsyncConnection, number: str, name: str) -> int:
    known = (
        await conn.execute(
            select(person.c.id, person.c.name).where(person.c.id_hash == id_hash(services.keys, number))
        )
    ).one()
    if not same_name(known.name, name):
        raise NameDiffers
    person_id: int = known.id
    return person_id


async def _account(conn: AsyncConnection, institution_id: int, person_id: int) -> int:
    found = await conn.execute(
        select(learner.c.id).where(learner.c.institution_id == institution_id, learner.c.person_id == person_id)
    )
    learner_id: int = found.scalar_one()
    return learner_id
