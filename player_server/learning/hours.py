"""A learner's hours: every ledger entry, and what the programmes and the courses still ask for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.services import Services
from player_server.storage.clock import wall_ms
from player_server.storage.tables import course, ledger_entry, video


@dataclass(frozen=True, slots=True)
class HoursEntry:
    """One entry of the ledger. `hours` in hundredths, negative for a reversal; `occurred_at` in UTC ms."""

    id: int
    occurred_at: int
    kind: str  # online | offline | employer | test
    subject: str
    entry_type: str  # credit | reversal
    hours: int
    course_title: str | None
    video_title: str | None


@dataclass(frozen=True, slots=True)
class MyHours:
    """Entries newest first; courses with earned and required hours; the sum of all entries in hundredths.

    `programmes`: the enrolments that can be judged by their programme's rules today.
    """

    entries: tuple[HoursEntry, ...]
    programmes: tuple[ProgrammeHours, ...]
    courses: tuple[LearnerCourse, ...]
    total: int


async def my_hours(services: Services, learner_id: int) -> MyHours:
    """What this learner has earned at this institution."""
    query = (
        select(
            ledger_entry.c.id,
            ledger_entry.c.occurred_at,
            ledger_entry.c.kind,
            ledger_entry.c.subject,
            ledger_entry.c.entry_type,
            ledger_entry.c.hours,
            course.c.title.label("course_title"),
            video.c.title.label("video_title"),
        )
        .select_from(ledger_entry)
        .outerjoin(course, course.c.id == ledger_entry.c.course_id)
        .outerjoin(video, video.c.id == ledger_entry.c.video_id)
        .where(ledger_entry.c.learner_id == learner_id)
        .order_by(ledger_entry.c.occurred_at.desc(), ledger_entry.c.id.desc())
    )
    async with services.db.read() as conn:
        entries = tuple(HoursEntry(**row) for row in (await conn.execute(query)).mappings())
        programmes = tuple(await programme_hours(conn, services.programmes, [learner_id], wall_ms()))
        courses = tuple(await courses_of(conn, [learner_id]))
    return MyHours(entries, programmes, courses, sum(entry.hours for entry in entries))
