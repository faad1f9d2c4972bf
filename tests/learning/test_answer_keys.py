"""A wrong answer key is corrected: who was right is credited by a real worker, nobody loses; both databases."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from player_server.learning import jobs
from player_server.learning.answer_keys import correct_key, find_quiz
from player_server.learning.quiz import Graded, Sheet, hand_in, open_sheet
from player_server.learning.services import Services
from player_server.learning.settle import sweep
from player_server.learning.staff_actions import Outcome
from player_server.policy.quiz_content import QuizContent, with_key
from player_server.storage.person_tables import staff_action
from player_server.storage.tables import attempt, audit, ledger_entry, video
from tests.support import school
from tests.support.processes import until
from tests.support.quizzes import CONTENT, add_quiz, right_answers
from tests.support.staff_desk import Desk, open_desk
from workers.kinds import KINDS
from workers.runner import Runner

#: The first question's key of CONTENT is the second option; here the institution had it wrong.
WRONG = with_key(CONTENT, [(2,), *(question.right for question in CONTENT.questions[1:])])
RIGHTS = [question.right for question in CONTENT.questions]


@pytest_asyncio.fixture
async def desk(services: Services) -> Desk:
    desk = await open_desk(services)
    await add_quiz(services, desk.lessons.video_ids[0], WRONG)
    return desk


def video_of(desk: Desk) -> int:
    return desk.lessons.video_ids[0]


async def watched(desk: Desk) -> school.Pupil:
    """One more learner, who has watched the video to its end."""
    pupil = await school.add_learner(desk.services, desk.institution_id)
    await school.add_enrolment(desk.services, pupil.learner_id, desk.lessons.course_id)
    await school.add_progress(desk.services, pupil.learner_id, video_of(desk), school.DURATION_MS, watched_at=1_000)
    return pupil


async def sheet_of(desk: Desk, pupil: school.Pupil) -> Sheet:
    sheet = await open_sheet(desk.services, pupil.learner_id, video_of(desk))
    assert isinstance(sheet, Sheet), sheet
    return sheet


async def answer(desk: Desk, pupil: school.Pupil, content: QuizContent, sheet: Sheet | None = None) -> Graded:
    sheet = sheet or await sheet_of(desk, pupil)
    answers = right_answers(sheet, content)
    result = await hand_in(desk.services, pupil.learner_id, video_of(desk), sheet.token, answers)
    assert isinstance(result, Graded), result
    return result


async def correct(desk: Desk, rights: list[tuple[int, ...]] = RIGHTS) -> str:
    hand = desk.hand("第 1 题答案有误，正确答案是“两米”")
    outcome, job_id = await correct_key(desk.services, hand, desk.institution_id, video_of(desk), rights)
    assert outcome is Outcome.DONE and job_id is not None
    return job_id


async def work(desk: Desk, job_id: str) -> dict[str, object]:
    """A worker of the product does what waits; the job's result."""
    running = asyncio.create_task(Runner(desk.services, KINDS, sweep_s=0.05).run())
    try:

        async def over() -> jobs.Job | None:
            found = await jobs.job_of(desk.services, job_id, desk.institution_id)
            return found if found and found.over else None

        job = await until(over)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert isinstance(job, jobs.Job) and job.state == "done", job
    return job.result


async def credited(desk: Desk) -> set[int]:
    return {row.learner_id for row in await desk.rows(ledger_entry)}


async def test_who_was_right_is_credited_and_who_had_passed_loses_nothing(desk: Desk) -> None:
    right, lucky, wrong = [await watched(desk) for _ in range(3)]
    assert not (await answer(desk, right, CONTENT)).passed
    assert (await answer(desk, lucky, WRONG)).credited
    assert not (await answer(desk, wrong, with_key(CONTENT, [(0,), *RIGHTS[1:]]))).passed
    result = await work(desk, await correct(desk))
    assert (result["graded"], result["passed"]) == (2, 1)
    assert await credited(desk) == {right.learner_id, lucky.learner_id}
    rows = {row.learner_id: row for row in await desk.rows(attempt)}
    assert [rows[each.learner_id].right_count for each in (right, lucky, wrong)] == [4, 4, 3]
    assert rows[right.learner_id].graded_sha and rows[lucky.learner_id].graded_sha is None


async def test_the_correction_is_explained_and_recorded(desk: Desk) -> None:
    await work(desk, await correct(desk))
    [action] = await desk.rows(staff_action)
    assert (action.action, action.video_id) == ("correct_answer_key", video_of(desk)) and "两米" in action.reason
    assert '"questions":[1]' in action.details
    recorded = [(row.action, row.result) for row in await desk.rows(audit)]
    assert ("correct_answer_key", "ok") in recorded and ("regrade", "0 graded, 0 passed") in recorded


async def test_a_sheet_that_was_open_during_the_correction_passes_by_either_key(desk: Desk) -> None:
    by_old, by_new = await watched(desk), await watched(desk)
    sheets = [await sheet_of(desk, each) for each in (by_old, by_new)]
    await correct(desk)
    assert (await answer(desk, by_old, WRONG, sheets[0])).credited
    assert (await answer(desk, by_new, CONTENT, sheets[1])).credited
    fresh = await watched(desk)
    assert not (await answer(desk, fresh, WRONG)).passed, "a new sheet knows the new key only"


async def test_the_job_may_run_twice_and_after_a_worker_died_half_way(desk: Desk) -> None:
    pupils = [await watched(desk) for _ in range(3)]
    for each in pupils:
        await answer(desk, each, CONTENT)
    job_id = await correct(desk)
    async with desk.services.db.write() as conn:
        # As a worker leaves it that died after grading one and before its credit.
        one = attempt.c.learner_id == pupils[0].learner_id
        await conn.execute(attempt.update().where(one).values(passed=True, right_count=4))
    assert (await work(desk, job_id))["passed"] == 2
    assert await sweep(desk.services) == 1
    assert await credited(desk) == {each.learner_id for each in pupils}
    assert len(await desk.rows(ledger_entry)) == 3


async def test_a_correction_that_is_corrected_back_judges_by_the_first_key_again(desk: Desk) -> None:
    pupil = await watched(desk)
    await answer(desk, pupil, with_key(CONTENT, [(0,), *RIGHTS[1:]]))
    await work(desk, await correct(desk))
    await work(desk, await correct(desk, [(0,), *RIGHTS[1:]]))
    assert await credited(desk) == {pupil.learner_id}


async def test_submissions_to_other_questions_stay_as_they_were_graded(desk: Desk) -> None:
    pupil = await watched(desk)
    await answer(desk, pupil, CONTENT)
    other = QuizContent(CONTENT.questions[:3])
    await add_quiz(desk.services, video_of(desk), other)
    hand = desk.hand()
    rights = [(2,), *RIGHTS[1:3]]
    outcome, job_id = await correct_key(desk.services, hand, desk.institution_id, video_of(desk), rights)
    assert outcome is Outcome.DONE and job_id is not None
    assert (await work(desk, job_id))["graded"] == 0
    assert [row.graded_sha for row in await desk.rows(attempt)] == [None]


async def test_bad_keys_and_foreign_videos_change_nothing(desk: Desk) -> None:
    before = [row.quiz_sha for row in await desk.rows(video)]
    hand, at, number = desk.hand(), desk.institution_id, video_of(desk)
    for rights in ([], [()] * 4, [(9,), *RIGHTS[1:]], [(0, 1), *RIGHTS[1:]], [(-1,), *RIGHTS[1:]]):
        with pytest.raises(ValueError):
            await correct_key(desk.services, hand, at, number, rights)
    same = [question.right for question in WRONG.questions]
    assert (await correct_key(desk.services, hand, at, number, same))[0] is Outcome.ALREADY
    other = await open_desk(desk.services, "另一家")
    answer_ = await correct_key(desk.services, other.hand(), other.institution_id, number, RIGHTS)
    assert answer_ == (Outcome.ABSENT, None)
    assert await find_quiz(desk.services, other.scope, other.institution_id, number, "") is None
    assert [row.quiz_sha for row in await desk.rows(video)][: len(before)] == before
