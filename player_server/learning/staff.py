"""What an institution's staff see: their learners, and who is behind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import func, select

from player_server.learning.concerns import State, state_case
from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.roster import Filters, order_of, standing_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.storage import audit
from player_server.storage.standing_tables import standing
from player_server.storage.tables import course, learner, person

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
    state: State | None = None  # only in lists

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
    """The learners of this scope that fit, in the order asked for. A page beyond the last one is the last one."""
    where = standing_where(services, scope, filters)
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        total = int(await conn.scalar(select(func.count()).select_from(standing).where(*where)) or 0)
        pages = max(1, -(-total // PAGE_SIZE))
        number = max(1, min(number, pages))
        found = (
            await conn.execute(
                select(standing.c.learner_id, standing.c.studied_at, state_case(now).label("state"))
                .where(*where)
                .order_by(*order_of(filters))
                .limit(PAGE_SIZE)
                .offset((number - 1) * PAGE_SIZE)
            )
        ).all()
        ids = [row.learner_id for row in found]
        query = (
            select(learner, person.c.name, person.c.id_cipher)
            .join(person, person.c.id == learner.c.person_id)
            # The scope once more: a roll-up alone never opens a door.
            .where(learner.c.id.in_(ids), *scope.learners())
        )
        rows = {row.id: row for row in await conn.execute(query)}
        courses = await courses_of(conn, ids)
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="list_learners",
            target=_asked(filters),
            result=f"{len(rows)} of {total}",
            address=address,
        )
    of = {learner_id: tuple(group) for learner_id, group in groupby(courses, key=lambda each: each.learner_id)}
    learners = tuple(
        _line(services, rows[each.learner_id], of.get(each.learner_id, ()), State(each.state))
        for each in found
        if each.learner_id in rows
    )
    return LearnersPage(learners, total, number, pages)


async def classes_of(services: Services, scope: StaffScope) -> list[str]:
    """The classes of this scope by name, for filters."""
    if scope.classes is not None:
        return sorted(scope.classes)
    query = (
        select(standing.c.class_name)
        .where(standing.c.class_name.is_not(None), *scope.over(standing.c))
        .distinct()
        .order_by(standing.c.class_name)
    )
    async with services.db.read() as conn:
        return list((await conn.scalars(query)).all())


async def courses_for_filters(services: Services, scope: StaffScope) -> list[tuple[int, str]]:
    """(id, title) of the institution's courses; none for a regulator that looks at all institutions."""
    if scope.institution_id is None:
        return []
    query = select(course.c.id, course.c.title).where(course.c.institution_id == scope.institution_id)
    async with services.db.read() as conn:
        return [(row.id, row.title) for row in await conn.execute(query.order_by(course.c.title))]


def _asked(filters: Filters) -> str | None:
    """What a list was narrowed down by, for the audit: never what was searched for, which may be a name."""
    return ",".join(f"{key}={value}" for key, value in filters.query().items() if key != "q")[:200] or None


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


def _line(
    services: Services, row: Any, courses: tuple[LearnerCourse, ...], state: State | None = None
) -> StaffLearner:
    return StaffLearner(
        learner_id=row.id,
        masked_name=mask_name(row.name),
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        class_name=row.class_name,
        disabled=row.disabled_at is not None,
        courses=courses,
        state=state,
    )
