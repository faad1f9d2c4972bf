"""What an institution's staff see: their learners, and who is behind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import func, select

from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.roster import Filters, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.storage import audit
from player_server.storage.tables import learner, person

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class StaffLearner:
    """One line of the list. Name and ID number are masked already."""

    learner_id: int
    masked_name: str
    masked_id: str
    class_name: str | None
    disabled: bool
    courses: tuple[LearnerCourse, ...]

    @property
    def earned(self) -> int:
        """Hundredths of hours over all courses."""
        return sum(each.earned for each in self.courses)

    @property
    def required(self) -> int:
        """Hundredths of hours over all courses."""
        return sum(each.required for each in self.courses)

    @property
    def complete(self) -> bool:
        """Every course has its hours."""
        return bool(self.courses) and all(each.complete for each in self.courses)

    @property
    def deadline(self) -> int | None:
        """The earliest of the courses that are not complete, else of all; UTC ms."""
        todo = [each for each in self.courses if not each.complete] or self.courses
        return min((each.deadline for each in todo if each.deadline is not None), default=None)

    @property
    def studied_at(self) -> int | None:
        """The last time anything was played, UTC ms."""
        return max((each.studied_at for each in self.courses if each.studied_at is not None), default=None)


@dataclass(frozen=True, slots=True)
class LearnersPage:
    """PAGE_SIZE learners of `total`; `number` from 1 to `pages`."""

    learners: tuple[StaffLearner, ...]
    total: int
    number: int
    pages: int


async def learners_page(
    services: Services, scope: StaffScope, filters: Filters, *, number: int, address: str
) -> LearnersPage:
    """The learners of this scope that fit, by class and account. A page beyond the last one is the last one."""
    where = roster_where(services, scope, filters)
    joined = learner.join(person, person.c.id == learner.c.person_id)
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        total = int(await conn.scalar(select(func.count()).select_from(joined).where(*where)) or 0)
        pages = max(1, -(-total // PAGE_SIZE))
        number = max(1, min(number, pages))
        rows = (
            await conn.execute(
                select(learner, person.c.name, person.c.id_cipher)
                .select_from(joined)
                .where(*where)
                .order_by(learner.c.class_name.is_(None), learner.c.class_name, learner.c.id)
                .limit(PAGE_SIZE)
                .offset((number - 1) * PAGE_SIZE)
            )
        ).all()
        courses = await courses_of(conn, [row.id for row in rows])
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="list_learners",
            result=f"{len(rows)} of {total}",
            address=address,
        )
    of = {learner_id: tuple(group) for learner_id, group in groupby(courses, key=lambda each: each.learner_id)}
    learners = tuple(_line(services, row, of.get(row.id, ())) for row in rows)
    return LearnersPage(learners, total, number, pages)


async def find_own_learner(services: Services, scope: StaffScope, learner_id: int) -> StaffLearner | None:
    """One of the learners of this scope, without courses; None alike for foreign and for absent ones."""
    query = (
        select(learner, person.c.name, person.c.id_cipher)
        .join(person, person.c.id == learner.c.person_id)
        .where(learner.c.id == learner_id, *scope.learners())
    )
    async with services.db.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else _line(services, row, ())


def _line(services: Services, row: Any, courses: tuple[LearnerCourse, ...]) -> StaffLearner:
    return StaffLearner(
        learner_id=row.id,
        masked_name=mask_name(row.name),
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        class_name=row.class_name,
        disabled=row.disabled_at is not None,
        courses=courses,
    )
