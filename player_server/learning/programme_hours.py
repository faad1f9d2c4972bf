"""How enrolments stand by the rules of their programmes: rows in, `policy/hours.py`'s evaluations out.

What belongs here: what is read for it. What counts is decided in `policy/hours.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.ledger_credits import read_credits
from player_server.learning.programmes import LoadedProgramme, Programmes
from player_server.policy.hours import DatesMissing, Enrolment, Evaluation, evaluate
from player_server.policy.periods import china_day
from player_server.storage.id_lists import ids_of
from player_server.storage.tables import course, enrolment, enrolment_course


@dataclass(frozen=True, slots=True)
class ProgrammeHours:
    """One enrolment, judged by the rules of its programme."""

    learner_id: int
    enrolment_id: int
    programme: LoadedProgramme
    evaluation: Evaluation


async def programme_hours(
    conn: AsyncConnection,
    programmes: Programmes,
    learner_ids: Collection[int],
    now_ms: int,
    *,
    without: frozenset[int] = frozenset(),
) -> list[ProgrammeHours]:
    """Every enrolment of these learners that can be judged on the day of `now_ms` (UTC ms); by learner, enrolment.

    Left out are withdrawn enrolments, those whose programme this installation does not have, and those without the
    dates that their programme counts from. Three queries, however many learners there are. Ledger entries whose ids
    are in `without` are looked past.
    """
    today = china_day(now_ms)
    enrolled = await _enrolled(conn, learner_ids)
    specialties = await _specialties(conn, learner_ids)
    credits = await read_credits(conn, ids_of(conn.dialect.name, learner_ids)) if enrolled else {}
    found = []
    for row in enrolled:
        programme = programmes.get(row.programme)
        if programme is None:
            continue
        terms = Enrolment(
            enrolled_on=china_day(row.created_at),
            issued_on=row.issue_date,
            expires_on=row.expiry_date,
            deadline=None if row.deadline is None else china_day(row.deadline),
            specialties=frozenset(specialties[row.id]),
        )
        try:
            counting = [each.entry for each in credits.get(row.learner_id, ()) if each.entry.id not in without]
            evaluation = evaluate(counting, terms, programme.programme, today)
        except DatesMissing:
            continue
        found.append(ProgrammeHours(row.learner_id, row.id, programme, evaluation))
    return found


async def _enrolled(conn: AsyncConnection, learner_ids: Collection[int]) -> list[Any]:
    columns = enrolment.c
    query = (
        select(
            columns.id,
            columns.learner_id,
            columns.programme,
            columns.issue_date,
            columns.expiry_date,
            columns.deadline,
            columns.created_at,
        )
        .where(columns.learner_id.in_(learner_ids), columns.withdrawn_at.is_(None))
        .order_by(columns.learner_id, columns.id)
    )
    return list((await conn.execute(query)).all())


async def _specialties(conn: AsyncConnection, learner_ids: Collection[int]) -> dict[int, set[str]]:
    """Of each enrolment's courses, by enrolment."""
    query = (
        select(enrolment.c.id, course.c.specialty)
        .join_from(enrolment, enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
        .join(course, course.c.id == enrolment_course.c.course_id)
        .where(enrolment.c.learner_id.in_(learner_ids))
    )
    found: dict[int, set[str]] = defaultdict(set)
    for enrolment_id, specialty in await conn.execute(query):
        found[enrolment_id].add(specialty)
    return found
