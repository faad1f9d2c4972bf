"""A class on paper: who has which hours, who is complete, who is behind, on one day."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from player_server.learning.deadlines import missing_hours
from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.id_number import mask_id_number
from player_server.storage import audit
from player_server.storage.tables import institution, learner, person

#: More than this is no class; the report says that it is cut.
MOST = 200
#: Learners that are read at once, so that nobody who watches waits for the whole class.
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Member:
    """One line: the name whole, the ID number masked. Hours in hundredths."""

    name: str
    masked_id: str
    disabled: bool
    courses: tuple[LearnerCourse, ...]
    programmes: tuple[ProgrammeHours, ...]

    @property
    def earned(self) -> int:
        return sum(each.earned for each in self.courses)

    @property
    def required(self) -> int:
        return sum(each.required for each in self.courses)

    @property
    def complete(self) -> bool:
        """By the rules where they can be judged, else by the courses."""
        if self.programmes:
            return all(each.evaluation.complete for each in self.programmes)
        return bool(self.courses) and all(each.complete for each in self.courses)

    @property
    def missing(self) -> int:
        """What lacks for the exam, by the rules; 0 where none can be judged."""
        return max((missing_hours(each.evaluation) for each in self.programmes), default=0)


@dataclass(frozen=True, slots=True)
class ClassReport:
    """`total` learners, of whom at most MOST are listed by name; `now_ms` is the store's clock, UTC ms."""

    class_name: str
    institution_name: str
    members: tuple[Member, ...]
    total: int
    now_ms: int

    @property
    def complete(self) -> int:
        return sum(each.complete for each in self.members)

    @property
    def started(self) -> int:
        """Who has any hours."""
        return sum(each.earned > 0 for each in self.members)


@dataclass(frozen=True, slots=True)
class ClassLine:
    """A class of the scope and how many learners it has."""

    name: str
    learners: int


async def classes(services: Services, scope: StaffScope) -> list[ClassLine]:
    """The classes of this scope by name; of one institution only, because names repeat."""
    if scope.institution_id is None:
        return []
    query = (
        select(learner.c.class_name, func.count())
        .where(*scope.learners(), learner.c.class_name.is_not(None))
        .group_by(learner.c.class_name)
        .order_by(learner.c.class_name)
    )
    async with services.db.read() as conn:
        return [ClassLine(name, number) for name, number in await conn.execute(query)]


async def class_report(
    services: Services, scope: StaffScope, class_name: str, *, address: str
) -> ClassReport | None:
    """The report; None alike for a class that is foreign and one that is not there. Each reading is recorded."""
    if scope.institution_id is None:
        return None
    where = [*scope.learners(), learner.c.class_name == class_name]
    query = (
        select(learner.c.id, learner.c.disabled_at, person.c.name, person.c.id_cipher)
        .join(person, person.c.id == learner.c.person_id)
        .where(*where)
        .order_by(person.c.name, learner.c.id)
        .limit(MOST)
    )
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        rows = (await conn.execute(query)).all()
        if not rows:
            return None
        total = int(await conn.scalar(select(func.count()).select_from(learner).where(*where)) or 0)
        name = await conn.scalar(select(institution.c.name).where(institution.c.id == scope.institution_id))
        courses: dict[int, list[LearnerCourse]] = {}
        programmes: dict[int, list[ProgrammeHours]] = {}
        for start in range(0, len(rows), AT_ONCE):
            ids = [row.id for row in rows[start : start + AT_ONCE]]
            for course in await courses_of(conn, ids):
                courses.setdefault(course.learner_id, []).append(course)
            for judged in await programme_hours(conn, services.programmes, ids, now):
                programmes.setdefault(judged.learner_id, []).append(judged)
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="class_report.read",
            result=f"{len(rows)} learners",
            address=address,
        )
    members = tuple(
        Member(
            row.name,
            mask_id_number(services.keys.decrypt(row.id_cipher)),
            row.disabled_at is not None,
            tuple(courses.get(row.id, ())),
            tuple(programmes.get(row.id, ())),
        )
        for row in rows
    )
    return ClassReport(class_name, name or "", members, total, now)
