"""The quiz after a video: showing a sheet, taking it in, telling the result.

A sheet is shown without being stored: all it is stands in a sealed token in its form. Its id is that of the
submission, so that one sheet has one result however often it is sent. What may be told is decided here and not by
the page.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.answer_keys import Key, catch_up, key_for, read_content
from player_server.learning.enrolments import Refusal, WatchRight, may_watch
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.observe import metrics
from player_server.policy.quiz import CoolDown, ShownQuestion, Shuffle, shuffle, told
from player_server.policy.quiz_content import QuizContent, grade
from player_server.storage import attempts
from player_server.storage.tables import playback
from telemetry.rules import watched_from_ms

#: A sheet that was shown longer ago is not taken any more: twice the length of a log-in, so that nobody meets this
#: by taking long, and a quiz that was replaced because it was wrong cannot be answered for ever.
SHEET_LASTS_MS = 24 * 3600 * 1000


class Why(StrEnum):
    """Why there is no sheet, or no result."""

    NOT_ALLOWED = "not_allowed"  # see `refusal`
    NO_QUIZ = "no_quiz"
    NOT_WATCHED = "not_watched"  # `seconds` of the video are missing
    PASSED = "passed"  # nothing to do any more; see `waiting_for`
    COOLING_DOWN = "cooling_down"  # for `seconds` more
    STALE_SHEET = "stale_sheet"  # forged, of somebody else, of an earlier round, or too old
    UNANSWERED = "unanswered"  # the questions `numbers`


class WaitingFor(StrEnum):
    """What keeps a passed quiz from giving its hours."""

    NOTHING = "nothing"  # the hours are credited
    VIDEO = "video"  # the end of the video is not watched yet
    CHALLENGE = "challenge"  # a check on the phone is open
    SETTLING = "settling"  # nothing is missing; the worker credits it within a minute


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sheet's token says. `issued_ms` is of the store's clock.

    The token is encrypted, not only signed: the version is the hash of a content with its right options, and
    whoever knows the questions could find the options that give this hash by trying them out at home.
    """

    id: str
    learner_id: int
    video_id: int
    round: int
    quiz_sha: str
    issued_ms: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """The questions as shown, without their answers, and the token to hand in with them."""

    video: WatchRight
    token: str
    questions: tuple[ShownQuestion, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """No result. `video` is None only if the learner may not know it; `sheet` is there to be filled in further."""

    why: Why
    video: WatchRight | None = None
    refusal: Refusal | None = None
    waiting_for: WaitingFor = WaitingFor.NOTHING
    seconds: int = 0
    numbers: tuple[int, ...] = ()
    sheet: Sheet | None = None


@dataclass(frozen=True, slots=True)
class Graded:
    """The result of a submission. `right` and `wrong_shown` are None where the setting
    does not let them be told. `cooldown_left` in seconds."""

    video: WatchRight
    passed: bool
    right: int | None
    total: int
    wrong_shown: tuple[ShownQuestion, ...] | None
    credited: bool
    waiting_for: WaitingFor
    cooldown_left: int


async def open_sheet(services: Services, learner_id: int, video_id: int) -> Sheet | Refused:
    """A new sheet of the newest version of the video's quiz, in an order of its own. Nothing is written."""
    async with services.db.read() as conn:
        video = await may_watch(conn, learner_id, video_id)
        if isinstance(video, Refusal):
            return Refused(Why.NOT_ALLOWED, refusal=video)
        progress = video.progress
        now_ms = (await services.clock.read(conn)).ms
        refused = await _not_now(services, conn, video, now_ms)
        if refused is not None:
            return refused
        if progress.quiz_sha is None:
            return Refused(Why.NO_QUIZ, video)
        missing_ms = watched_from_ms(progress.duration_ms) - progress.frontier_ms
        # The last beat may still be on its way when "finish" is pressed. Hours need the whole video in any case.
        if not progress.watched and missing_ms > services.settings.watch.rules().gap_grace_ms:
            return Refused(Why.NOT_WATCHED, video, seconds=-(-missing_ms // 1000))
        content = await read_content(conn, progress.quiz_sha)
    claims = Claims(secrets.token_urlsafe(16), learner_id, video_id, progress.round, progress.quiz_sha, now_ms)
    return _sheet(services, video, claims, content)


async def hand_in(
    services: Services, learner_id: int, video_id: int, token: str, answers: Mapping[int, Set[int]]
) -> Graded | Refused:
    """Grade a sheet against the version it showed, and credit the hours if it was all right.

    `answers` are the chosen places (from 0) for each question's number (from 1), both as shown. A sheet that was
    handed in before gives its first result again. A refused one is not stored and may be handed in later.
    """
    claims = _read_token(services, token)
    if claims is None or (claims.learner_id, claims.video_id) != (learner_id, video_id):
        claims = None
    async with services.db.write() as conn:
        await attempts.take_turn(conn, learner_id)
        video = await may_watch(conn, learner_id, video_id)
        if isinstance(video, Refusal):
            return Refused(Why.NOT_ALLOWED, refusal=video)
        if claims is None:
            return Refused(Why.STALE_SHEET, video)
        key = await key_for(conn, claims.quiz_sha, video.progress.quiz_sha)
        row = await attempts.find_attempt(conn, claims.id)
        new = row is None
        if new:
            refused = await _take_in(services, conn, video, claims, key, answers)
            if refused is not None:
                return refused
            row = await attempts.find_attempt(conn, claims.id)
    if new:
        metrics.attempts.labels("yes" if row.passed else "no").inc()
    return await _result(services, video, row)


async def _take_in(
    services: Services,
    conn: AsyncConnection,
    video: WatchRight,
    claims: Claims,
    key: Key,
    answers: Mapping[int, Set[int]],
) -> Refused | None:
    """Store a first submission, or say why not. The learner's turn must have been taken."""
    now_ms = (await services.clock.read(conn)).ms
    if claims.round != video.progress.round or now_ms - claims.issued_ms > SHEET_LASTS_MS:
        return Refused(Why.STALE_SHEET, video)
    sheet = _sheet(services, video, claims, key.shown)
    refused = await _not_now(services, conn, video, now_ms, sheet)
    if refused is not None:
        return refused
    chosen = _places(sheet.questions, answers)
    unanswered = tuple(
        question.number for question, places in zip(sheet.questions, chosen, strict=True) if not places
    )
    if unanswered:
        return Refused(Why.UNANSWERED, video, numbers=unanswered, sheet=sheet)
    answered = _shuffle(services, key.shown, claims.id).to_author(chosen)
    graded_sha, marks = key.judge(answered)
    await attempts.add_attempt(
        conn,
        answered,
        id=claims.id,
        learner_id=claims.learner_id,
        video_id=claims.video_id,
        round=claims.round,
        quiz_sha=claims.quiz_sha,
        graded_sha=graded_sha,
        right_count=sum(marks),
        question_count=len(marks),
        passed=all(marks),
        submitted_at=now_ms,
    )
    return None


async def _not_now(
    services: Services, conn: AsyncConnection, video: WatchRight, now_ms: int, sheet: Sheet | None = None
) -> Refused | None:
    """Passed already, or in a pause: the same for opening a sheet and for handing one in."""
    progress = video.progress
    of_round = (video.learner_id, video.video_id, progress.round)
    if progress.credited or await attempts.passed_attempt(conn, *of_round) is not None:
        return Refused(Why.PASSED, video, waiting_for=await _waiting_for(conn, video))
    failures = await attempts.failures(conn, *of_round)
    seconds = _cool_down(services).seconds_left(failures.count, failures.last_ms, now_ms)
    return Refused(Why.COOLING_DOWN, video, seconds=seconds, sheet=sheet) if seconds else None


async def _result(services: Services, video: WatchRight, row: Any) -> Graded:
    """What may be told about a stored submission. A passed one is settled first, also when it was sent again."""
    row = await catch_up(services, row)
    async with services.db.read() as conn:
        content = await read_content(conn, row.graded_sha or row.quiz_sha)
    if row.passed:
        await settle(services, row.learner_id, row.video_id, row.round)
    marks = grade(content, attempts.answers_of(row))
    order = _shuffle(services, content, row.id)
    wrong = order.numbers({index for index, right in enumerate(marks) if not right})
    shown = told(services.settings.quiz.feedback, row.right_count, row.question_count, wrong)
    questions = order.show(content)
    async with services.db.read() as conn:
        failures = await attempts.failures(conn, row.learner_id, row.video_id, row.round)
        now_ms = (await services.clock.read(conn)).ms
        current = await may_watch(conn, row.learner_id, row.video_id)
        if isinstance(current, WatchRight):
            video = current
        waiting_for = await _waiting_for(conn, video)
    return Graded(
        video=video,
        passed=row.passed,
        right=shown.right,
        total=row.question_count,
        wrong_shown=None if shown.wrong is None else tuple(questions[number - 1] for number in shown.wrong),
        credited=row.passed and waiting_for is WaitingFor.NOTHING,
        waiting_for=waiting_for,
        cooldown_left=_cool_down(services).seconds_left(failures.count, failures.last_ms, now_ms),
    )


async def _waiting_for(conn: AsyncConnection, video: WatchRight) -> WaitingFor:
    if video.progress.credited:
        return WaitingFor.NOTHING
    if not video.progress.watched:
        return WaitingFor.VIDEO
    held = await conn.scalar(select(playback.c.held_challenge_id).where(playback.c.person_id == video.person_id))
    return WaitingFor.SETTLING if held is None else WaitingFor.CHALLENGE


def _sheet(services: Services, video: WatchRight, claims: Claims, content: QuizContent) -> Sheet:
    return Sheet(video, _write_token(services, claims), _shuffle(services, content, claims.id).show(content))


def _shuffle(services: Services, content: QuizContent, submission_id: str) -> Shuffle:
    return shuffle(content, services.keys.mac("quiz shuffle", submission_id).encode())


def _cool_down(services: Services) -> CoolDown:
    quiz = services.settings.quiz
    return CoolDown(quiz.cooldown_after, quiz.cooldown_first_s, quiz.cooldown_longest_s)


def _places(questions: Sequence[ShownQuestion], answers: Mapping[int, Set[int]]) -> list[frozenset[int]]:
    """The chosen places of each question; places that were not shown do not exist."""
    return [
        frozenset(place for place in answers.get(question.number, ()) if 0 <= place < len(question.options))
        for question in questions
    ]


def _write_token(services: Services, claims: Claims) -> str:
    return _seal(services).encrypt(msgspec.json.encode(claims)).decode()


def _read_token(services: Services, token: str) -> Claims | None:
    """What a token says if it is one of ours."""
    try:
        return msgspec.json.decode(_seal(services).decrypt(token.encode(errors="replace")), type=Claims)
    except InvalidToken:
        return None


def _seal(services: Services) -> Fernet:
    return Fernet(urlsafe_b64encode(services.keys.derive("quiz sheet")))
