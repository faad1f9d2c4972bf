"""Rows that may exist once only, written by many at once without any lock; on both databases."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from player_server.learning.services import Services
from player_server.storage.attempts import add_attempt, answers_of, find_attempt
from player_server.storage.ledger import Evidence, Pair, add_credit, find_subject
from player_server.storage.tables import attempt, ledger_entry
from tests.support import school
from tests.support.quizzes import add_quiz

EVIDENCE = Evidence(sessions=[], challenges=[], attempt=None)


async def start(services: Services) -> tuple[int, int]:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at)
    return pupil.learner_id, lessons.video_ids[0]


async def test_of_many_credits_at_once_one_is_written(services: Services) -> None:
    learner_id, video_id = await start(services)

    async def write() -> int | None:
        async with services.db.write() as conn:
            subject = await find_subject(conn, learner_id, video_id)
            assert subject is not None
            pair = Pair(learner_id, video_id, 1)
            return await add_credit(conn, pair, subject, EVIDENCE, rule_version="test", now_ms=1)

    written = [entry for entry in await asyncio.gather(*(write() for _ in range(30))) if entry is not None]
    async with services.db.read() as conn:
        assert (await conn.scalars(select(ledger_entry.c.id))).all() == written
    assert len(written) == 1


async def test_the_ledger_itself_takes_one_credit_and_one_reversal_a_round(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    learner_id = (await school.add_learner(services, at)).learner_id
    lessons = await school.add_course(services, at)

    async def add(round_: int, entry_type: str) -> None:
        video_id = lessons.video_ids[0]
        await school.add_entry(
            services,
            learner_id,
            lessons,
            video_id,
            100,
            institution_id=at,
            round=round_,
            entry_type=entry_type,
        )

    for entry in ((1, "credit"), (1, "reversal"), (2, "credit")):
        await add(*entry)
        with pytest.raises(IntegrityError):
            await add(*entry)


async def test_of_many_submissions_of_one_sheet_the_first_is_kept(services: Services) -> None:
    learner_id, video_id = await start(services)
    sha = await add_quiz(services, video_id)

    async def write(choice: int) -> bool:
        async with services.db.write() as conn:
            return await add_attempt(
                conn,
                [{choice}],
                id="sheet",
                learner_id=learner_id,
                video_id=video_id,
                round=1,
                quiz_sha=sha,
                right_count=0,
                question_count=1,
                passed=False,
                submitted_at=choice,
            )

    written = await asyncio.gather(*(write(choice) for choice in range(30)))
    async with services.db.read() as conn:
        row = await find_attempt(conn, "sheet")
        assert await conn.scalar(select(func.count()).select_from(attempt)) == 1
    assert written.count(True) == 1
    assert answers_of(row) == [frozenset({written.index(True)})]
