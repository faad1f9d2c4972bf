"""Sheets and submissions, on both databases."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec
import pytest_asyncio
from sqlalchemy import func, select, update

from player_server.learning.enrolments import Refusal
from player_server.learning.quiz import Graded, Refused, Sheet, WaitingFor, Why, hand_in, open_sheet
from player_server.learning.services import Services
from player_server.policy.quiz import ShownQuestion
from player_server.policy.quiz_content import Question, QuizContent
from player_server.storage.tables import attempt, ledger_entry, playback, video, watch_progress
from tests.support import school
from tests.support.quizzes import CONTENT, Answers, add_quiz, right_answers, wrong_answers
from tests.support.services import close_services, make_services

#: Long enough that no test outlives it.
SLOW = {"cooldown_after": 3, "cooldown_first_s": 300, "cooldown_longest_s": 600}
#: Over before the next statement runs.
NO_PAUSE = {"cooldown_after": 1000}


@dataclass(frozen=True)
class Room:
    """One learner in front of one video with a quiz; `node` is a second server on the same stores."""

    services: Services
    node: Services
    pupil: school.Pupil
    institution_id: int
    course_id: int
    video_id: int

    @property
    def learner_id(self) -> int:
        return self.pupil.learner_id

    def told(self, feedback: str) -> "Room":
        """The same under another setting."""
        settings = self.services.settings
        quiz = msgspec.structs.replace(settings.quiz, feedback=feedback, cooldown_after=1000)
        return replace(self, services=replace(self.services, settings=msgspec.structs.replace(settings, quiz=quiz)))

    async def sheet(self) -> Sheet:
        opened = await open_sheet(self.services, self.learner_id, self.video_id)
        assert isinstance(opened, Sheet), opened
        return opened

    async def send(self, sheet: Sheet, answers: Answers, node: Services | None = None) -> Graded | Refused:
        return await hand_in(node or self.services, self.learner_id, self.video_id, sheet.token, answers)

    async def grade(self, sheet: Sheet, answers: Answers) -> Graded:
        result = await self.send(sheet, answers)
        assert isinstance(result, Graded), result
        return result

    async def count(self, table: object) -> int:
        async with self.services.db.read() as conn:
            return int(await conn.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


async def open_room(services: Services, node: Services) -> Room:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at, hours=(150, 50))
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await add_quiz(services, lessons.video_ids[0])
    return Room(services, node, pupil, at, lessons.course_id, lessons.video_ids[0])


@pytest_asyncio.fixture
async def room(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    services = await make_services(database_url, valkey_url, tmp_path, quiz=SLOW)
    node = await make_services(database_url, valkey_url, tmp_path, quiz=SLOW)
    yield await open_room(services, node)
    await close_services(node)
    await close_services(services)


@pytest_asyncio.fixture
async def watched(room: Room) -> Room:
    await school.add_progress(room.services, room.learner_id, room.video_id, school.DURATION_MS, watched_at=1_000)
    return room


async def test_all_right_credits_the_hours(watched: Room) -> None:
    sheet = await watched.sheet()
    result = await watched.grade(sheet, right_answers(sheet))
    assert result.passed and result.credited
    assert (result.right, result.total, result.wrong_shown) == (4, 4, ())
    assert await watched.count(ledger_entry) == 1


async def test_one_wrong_answer_credits_nothing_and_offers_another_try(watched: Room) -> None:
    sheet = await watched.sheet()
    result = await watched.grade(sheet, wrong_answers(sheet, {"进入现场须佩戴？"}))
    assert not result.passed and not result.credited
    assert (result.right, result.total, result.wrong_shown) == (3, 4, None)
    assert await watched.count(ledger_entry) == 0
    again = await watched.sheet()
    assert (await watched.grade(again, right_answers(again))).credited


async def test_half_of_a_multiple_choice_is_wrong(watched: Room) -> None:
    sheet = await watched.sheet()
    answers = right_answers(sheet)
    number = next(question.number for question in sheet.questions if question.kind == "multiple")
    answers[number] = {min(answers[number])}
    assert not (await watched.grade(sheet, answers)).passed


async def test_a_sheet_says_nothing_about_the_right_options(watched: Room) -> None:
    """The same quiz with other right options gives a sheet that differs only in what is random or encrypted."""
    other = QuizContent(
        tuple(Question(q.kind, q.text, q.options, (1 - q.right[0] % 2,)) for q in CONTENT.questions)
    )
    first = await watched.sheet()
    sha = await add_quiz(watched.services, watched.video_id, other)
    second = await watched.sheet()
    for one, two in zip(
        sorted(first.questions, key=lambda question: question.text),
        sorted(second.questions, key=lambda question: question.text),
        strict=True,
    ):
        assert (one.text, one.kind, sorted(one.options)) == (two.text, two.kind, sorted(two.options))
    assert {field.name for field in fields(ShownQuestion)} == {"number", "kind", "text", "options"}
    # Not even the version can be read from the token: it is a hash over the right options.
    assert len(first.token) == len(second.token)
    readable = second.token + urlsafe_b64decode(second.token).decode("latin-1")
    assert sha not in readable and "quiz" not in readable


async def test_each_sheet_has_an_order_of_its_own(watched: Room) -> None:
    orders = set()
    for _ in range(20):
        orders.add(tuple((question.text, question.options) for question in (await watched.sheet()).questions))
    assert len(orders) > 15


async def test_a_sheet_sent_200_times_at_once_has_one_result(watched: Room) -> None:
    sheet = await watched.sheet()
    answers = right_answers(sheet)
    results = await asyncio.gather(
        *(watched.send(sheet, answers, watched.node if n % 2 else watched.services) for n in range(200))
    )
    assert all(isinstance(each, Graded) and each.passed and each.credited for each in results)
    assert await watched.count(attempt) == 1
    assert await watched.count(ledger_entry) == 1


async def test_a_sheet_sent_again_with_other_answers_keeps_its_first_result(watched: Room) -> None:
    sheet = await watched.sheet()
    first = await watched.grade(sheet, wrong_answers(sheet))
    again = await watched.grade(sheet, right_answers(sheet))
    assert (again.passed, again.right) == (first.passed, first.right) == (False, 0)
    assert await watched.count(attempt) == 1
    assert await watched.count(ledger_entry) == 0


async def test_20_wrong_sheets_at_once_are_taken_one_by_one_until_the_pause(watched: Room) -> None:
    sheets = [await watched.sheet() for _ in range(20)]
    results = await asyncio.gather(
        *(
            watched.send(sheet, wrong_answers(sheet), watched.node if n % 2 else watched.services)
            for n, sheet in enumerate(sheets)
        )
    )
    assert sum(isinstance(each, Graded) for each in results) == 3
    refused = [each for each in results if isinstance(each, Refused)]
    assert len(refused) == 17
    assert all(each.why is Why.COOLING_DOWN and 290 < each.seconds <= 300 and each.sheet for each in refused)
    assert await watched.count(attempt) == 3


async def test_20_right_sheets_at_once_credit_once(watched: Room) -> None:
    sheets = [await watched.sheet() for _ in range(20)]
    results = await asyncio.gather(
        *(
            watched.send(sheet, right_answers(sheet), watched.node if n % 2 else watched.services)
            for n, sheet in enumerate(sheets)
        )
    )
    assert sum(isinstance(each, Graded) for each in results) == 1
    assert all(each.why is Why.PASSED for each in results if isinstance(each, Refused))
    assert await watched.count(attempt) == 1
    assert await watched.count(ledger_entry) == 1


async def test_the_pause_holds_for_right_answers_and_new_sheets_and_then_runs_out(watched: Room) -> None:
    kept = await watched.sheet()
    for _ in range(3):
        sheet = await watched.sheet()
        result = await watched.grade(sheet, wrong_answers(sheet))
    assert result.cooldown_left > 290
    refused = await watched.send(kept, right_answers(kept))
    assert isinstance(refused, Refused) and refused.why is Why.COOLING_DOWN
    # The answers can be sent again after the pause, on the same sheet.
    assert refused.sheet and refused.sheet.questions == kept.questions
    closed = await open_sheet(watched.services, watched.learner_id, watched.video_id)
    assert isinstance(closed, Refused) and closed.why is Why.COOLING_DOWN
    async with watched.services.db.write() as conn:
        await conn.execute(update(attempt).values(submitted_at=attempt.c.submitted_at - 301_000))
    assert (await watched.grade(refused.sheet, right_answers(kept))).credited


async def test_a_missing_answer_is_named_and_nothing_is_stored(watched: Room) -> None:
    sheet = await watched.sheet()
    answers = right_answers(sheet) | {2: set(), 3: {99, -1}}
    refused = await watched.send(sheet, answers)
    assert isinstance(refused, Refused) and refused.why is Why.UNANSWERED
    assert refused.numbers == (2, 3)
    assert refused.sheet and refused.sheet.questions == sheet.questions
    assert await watched.count(attempt) == 0
    assert (await watched.grade(refused.sheet, right_answers(sheet))).credited


async def test_an_older_version_is_graded_against_itself(watched: Room) -> None:
    old = await watched.sheet()
    turned = QuizContent(
        tuple(Question(q.kind, q.text, q.options, (len(q.options) - 1,)) for q in CONTENT.questions)
    )
    await add_quiz(watched.services, watched.video_id, turned)
    new = await watched.sheet()
    assert not (await watched.grade(new, right_answers(new, CONTENT))).passed
    assert (await watched.grade(old, right_answers(old, CONTENT))).credited


async def test_the_setting_decides_what_is_told(watched: Room) -> None:
    wrong = {"发现隐患应当？", "高处作业的起算高度是？"}
    told = {}
    for feedback in ("none", "score", "items"):
        room = watched.told(feedback)
        sheet = await room.sheet()
        told[feedback] = await room.grade(sheet, wrong_answers(sheet, wrong))
    assert (told["none"].right, told["none"].wrong_shown) == (None, None)
    assert (told["score"].right, told["score"].wrong_shown) == (2, None)
    assert told["items"].right == 2
    assert {question.text for question in told["items"].wrong_shown or ()} == wrong


async def test_without_feedback_every_failure_looks_the_same(watched: Room) -> None:
    room = watched.told("none")
    results = []
    for wrong in ({"发现隐患应当？"}, {"进入现场须佩戴？"}, None):
        sheet = await room.sheet()
        results.append(replace(await room.grade(sheet, wrong_answers(sheet, wrong)), video=None))  # type: ignore[arg-type]
    assert results[0] == results[1] == results[2]


async def test_a_sheet_of_somebody_else_is_refused(watched: Room) -> None:
    other = await school.add_learner(watched.services, watched.institution_id)
    await school.add_enrolment(watched.services, other.learner_id, watched.course_id)
    await school.add_progress(
        watched.services, other.learner_id, watched.video_id, school.DURATION_MS, watched_at=1
    )
    sheet = await watched.sheet()
    result = await hand_in(watched.services, other.learner_id, watched.video_id, sheet.token, right_answers(sheet))
    assert isinstance(result, Refused) and result.why is Why.STALE_SHEET
    assert await watched.count(attempt) == 0


async def test_a_forged_old_or_former_rounds_sheet_is_refused(watched: Room) -> None:
    sheet = await watched.sheet()
    for token in ("", "x", "ü", sheet.token[:-2], sheet.token[:-5] + "AAAA="):
        result = await watched.send(replace(sheet, token=token), right_answers(sheet))
        assert isinstance(result, Refused) and result.why is Why.STALE_SHEET, token
    await school.add_progress(watched.services, watched.learner_id, watched.video_id, 0, round=2)
    result = await watched.send(sheet, right_answers(sheet))
    assert isinstance(result, Refused) and result.why is Why.STALE_SHEET
    assert await watched.count(attempt) == 0


async def test_the_quiz_opens_when_only_the_last_beats_can_be_missing(room: Room) -> None:
    grace_ms = room.services.settings.watch.rules().gap_grace_ms
    end_ms = school.DURATION_MS - 500
    await school.add_progress(room.services, room.learner_id, room.video_id, end_ms - grace_ms - 1)
    refused = await open_sheet(room.services, room.learner_id, room.video_id)
    assert isinstance(refused, Refused) and refused.why is Why.NOT_WATCHED
    assert refused.seconds == grace_ms // 1000 + 1
    async with room.services.db.write() as conn:
        await conn.execute(update(watch_progress).values(frontier_ms=end_ms - grace_ms))
    sheet = await room.sheet()
    result = await room.grade(sheet, right_answers(sheet))
    assert result.passed and not result.credited and result.waiting_for is WaitingFor.VIDEO
    assert await room.count(ledger_entry) == 0


async def test_an_open_check_keeps_the_hours_back_and_says_so(watched: Room) -> None:
    await school.add_playback(watched.services, watched.pupil, watched.video_id, school.DURATION_MS)
    async with watched.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id="c"))
    sheet = await watched.sheet()
    result = await watched.grade(sheet, right_answers(sheet))
    assert result.passed and not result.credited and result.waiting_for is WaitingFor.CHALLENGE
    again = await open_sheet(watched.services, watched.learner_id, watched.video_id)
    assert isinstance(again, Refused) and again.why is Why.PASSED
    assert again.waiting_for is WaitingFor.CHALLENGE


async def test_after_credit_there_is_no_further_attempt(watched: Room) -> None:
    kept = await watched.sheet()
    sheet = await watched.sheet()
    await watched.grade(sheet, right_answers(sheet))
    opened = await open_sheet(watched.services, watched.learner_id, watched.video_id)
    sent = await watched.send(kept, wrong_answers(kept))
    for refused in (opened, sent):
        assert isinstance(refused, Refused) and refused.why is Why.PASSED
        assert refused.waiting_for is WaitingFor.NOTHING
    assert await watched.count(attempt) == 1


async def test_every_submission_asks_whether_the_learner_is_still_enrolled(watched: Room) -> None:
    sheet = await watched.sheet()
    async with watched.services.db.write() as conn:
        await conn.execute(update(video).where(video.c.id == watched.video_id).values(withdrawn_at=1))
    result = await watched.send(sheet, right_answers(sheet))
    assert isinstance(result, Refused) and result.refusal is Refusal.WITHDRAWN
    assert await watched.count(attempt) == 0


async def test_another_institutions_video_is_unknown(watched: Room) -> None:
    elsewhere = await school.add_institution(watched.services, "另一家")
    lessons = await school.add_course(watched.services, elsewhere)
    for video_id in (lessons.video_ids[0], 999_999):
        refused = await open_sheet(watched.services, watched.learner_id, video_id)
        assert refused == Refused(Why.NOT_ALLOWED, refusal=Refusal.UNKNOWN)


async def test_a_video_without_a_quiz_says_so(room: Room) -> None:
    async with room.services.db.write() as conn:
        await conn.execute(update(video).values(quiz_sha=None))
    refused = await open_sheet(room.services, room.learner_id, room.video_id)
    assert isinstance(refused, Refused) and refused.why is Why.NO_QUIZ
