"""What the answer for the exam service is worked out from, read for many learners at once, all of one instant.

What belongs here: SQL. The number of statements does not depend on how many learners are asked about, and each
touches only rows of those learners and of their courses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.ledger_credits import read_credits
from player_server.learning.programmes import Programmes
from player_server.policy.eligibility import (
    CourseFacts,
    EnrolmentFacts,
    LearnerFacts,
    LedgerPosition,
    Question,
)
from player_server.policy.hours import Enrolment
from player_server.policy.periods import china_day
from player_server.storage.exam_tables import exam_result
from player_server.storage.id_lists import ids_of, one_of
from player_server.storage.ledger_log_tables import ledger_leaf
from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    learner,
    ledger_entry,
    video,
    watch_progress,
)


async def read_facts(
    conn: AsyncConnection, programmes: Programmes, institution_id: int | None, questions: Sequence[Question]
) -> dict[int, LearnerFacts]:
    """By learner id; who does not exist, or not at this institution (None: all), is left out."""
    kind = conn.dialect.name
    ids = ids_of(kind, {each.learner_id for each in questions})
    people = (
        await conn.execute(_people(kind, institution_id is not None), {"ids": ids, "at": institution_id})
    ).all()
    if not people:
        return {}
    found_ids = ids_of(kind, {row.id for row in people})
    credits = await read_credits(conn, found_ids)
    passes = {row.enrolment_id: row.score for row in await conn.execute(_passes(kind), {"ids": found_ids})}
    by_course = _asked_by_course(programmes, people, questions)
    videos: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rounds: dict[int, dict[int, int]] = defaultdict(dict)
    if by_course:
        for row in await conn.execute(_videos(kind), {"ids": ids_of(kind, by_course)}):
            videos[row.course_id].append((row.id, row.hours))
        for row in await conn.execute(_rounds(kind), {"ids": found_ids}):
            rounds[row.learner_id][row.video_id] = row.newest
    enrolments = _enrolments(programmes, people, passes, videos)
    return {
        row.id: LearnerFacts(
            learner_id=row.id,
            disabled=row.disabled_at is not None,
            enrolments=tuple(enrolments.get(row.id, ())),
            credits=tuple(credits.get(row.id, ())),
            rounds=rounds.get(row.id, {}),
        )
        for row in people
    }


async def read_position(conn: AsyncConnection) -> LedgerPosition:
    """Where the ledger stands in this instant."""
    entry, leaf = (await conn.execute(_POSITION)).one()
    return LedgerPosition(entry or 0, 0 if leaf is None else leaf + 1)


_POSITION = select(
    select(func.max(ledger_entry.c.id)).scalar_subquery(),
    select(func.max(ledger_leaf.c.position)).scalar_subquery(),
)


@cache
def _people(kind: str, of_one: bool) -> Select[Any]:
    """One row for each course of each enrolment of each learner; columns are null where there is none."""
    query = (
        select(
            learner.c.id,
            learner.c.disabled_at,
            enrolment.c.id.label("enrolment_id"),
            enrolment.c.programme,
            enrolment.c.issue_date,
            enrolment.c.expiry_date,
            enrolment.c.deadline,
            enrolment.c.created_at,
            course.c.id.label("course_id"),
            course.c.title,
            course.c.specialty,
        )
        .select_from(learner)
        .outerjoin(enrolment, and_(enrolment.c.learner_id == learner.c.id, enrolment.c.withdrawn_at.is_(None)))
        .outerjoin(enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
        .outerjoin(
            course,
            and_(course.c.id == enrolment_course.c.course_id, course.c.institution_id == learner.c.institution_id),
        )
        .where(one_of(kind, learner.c.id))
        .order_by(learner.c.id, enrolment.c.id, course.c.id)
    )
    return query.where(learner.c.institution_id == bindparam("at")) if of_one else query


@cache
def _passes(kind: str) -> Select[Any]:
    row = exam_result.c
    return select(row.enrolment_id, row.score).where(
        one_of(kind, row.learner_id), row.outcome == "passed", row.voided_at.is_(None)
    )


@cache
def _videos(kind: str) -> Select[Any]:
    return (
        select(video.c.id, video.c.course_id, video.c.hours)
        .where(one_of(kind, video.c.course_id), video.c.withdrawn_at.is_(None))
        .order_by(video.c.id)
    )


@cache
def _rounds(kind: str) -> Select[Any]:
    row = watch_progress.c
    return (
        select(row.learner_id, row.video_id, func.max(row.round).label("newest"))
        .where(one_of(kind, row.learner_id), row.round > 1)
        .group_by(row.learner_id, row.video_id)
    )


def _asked_by_course(programmes: Programmes, people: Sequence[Any], questions: Sequence[Question]) -> set[int]:
    """The courses whose videos matter: those asked for, and those of enrolments that rules cannot judge."""
    named = {each.course_id for each in questions if each.course_id is not None}
    found = set()
    for row in people:
        if row.course_id is None:
            continue
        loaded = programmes.get(row.programme)
        if row.course_id in named or loaded is None or _lacks_dates(loaded.programme, row):
            found.add(row.course_id)
    return found


def _lacks_dates(programme: Any, row: Any) -> bool:
    return (programme.needs_issue and row.issue_date is None) or (
        programme.needs_expiry and row.expiry_date is None
    )


def _enrolments(
    programmes: Programmes,
    people: Sequence[Any],
    passes: dict[int, int | None],
    videos: dict[int, list[tuple[int, int]]],
) -> dict[int, list[EnrolmentFacts]]:
    rows: dict[int, list[Any]] = defaultdict(list)
    for row in people:
        if row.enrolment_id is not None:
            rows[row.enrolment_id].append(row)
    found: dict[int, list[EnrolmentFacts]] = defaultdict(list)
    for enrolment_id, group in rows.items():
        first = group[0]
        loaded = programmes.get(first.programme)
        courses = [row for row in group if row.course_id is not None]
        found[first.id].append(
            EnrolmentFacts(
                id=enrolment_id,
                programme_id=first.programme,
                programme=None if loaded is None else loaded.programme,
                version=None if loaded is None else loaded.version,
                terms=Enrolment(
                    enrolled_on=china_day(first.created_at),
                    issued_on=first.issue_date,
                    expires_on=first.expiry_date,
                    deadline=None if first.deadline is None else china_day(first.deadline),
                    specialties=frozenset(row.specialty for row in courses),
                ),
                courses=tuple(
                    CourseFacts(row.course_id, row.title, tuple(videos.get(row.course_id, ()))) for row in courses
                ),
                passed=enrolment_id in passes,
                score=passes.get(enrolment_id),
            )
        )
    return found
