"""A member of staff who acts on learners, for tests of what staff do by hand."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Row, Table, select

from player_server.learning.services import Services
from player_server.learning.staff_actions import Hand
from player_server.learning.staff_scope import StaffScope
from tests.support import school


@dataclass(frozen=True)
class Desk:
    """An institution with a course, a learner enrolled for it, and staff. The last video has no quiz."""

    services: Services
    institution_id: int
    staff_id: int
    lessons: school.Lessons
    pupil: school.Pupil
    enrolment_id: int

    @property
    def video_id(self) -> int:
        return self.lessons.video_ids[-1]

    @property
    def scope(self) -> StaffScope:
        return StaffScope(self.staff_id, self.institution_id, None)

    def hand(self, reason: str = "核实过了", classes: frozenset[str] | None = None) -> Hand:
        return Hand(StaffScope(self.staff_id, self.institution_id, classes), "127.0.0.1", reason)

    async def rows(self, table: Table) -> list[Row]:  # type: ignore[type-arg]
        async with self.services.db.read() as conn:
            return list((await conn.execute(select(table).order_by(*table.primary_key))).all())

    async def watch_to_the_end(self, *, round: int = 1) -> None:
        await school.add_progress(
            self.services, self.pupil.learner_id, self.video_id, school.DURATION_MS, round=round, watched_at=1_000
        )


async def open_desk(services: Services, name: str = "示例学校") -> Desk:
    institution_id = await school.add_institution(services, name)
    lessons = await school.add_course(services, institution_id)
    pupil = await school.add_learner(services, institution_id)
    return Desk(
        services,
        institution_id,
        await school.add_staff(services, institution_id, f"staff of {name}"),
        lessons,
        pupil,
        await school.add_enrolment(services, pupil.learner_id, lessons.course_id),
    )
