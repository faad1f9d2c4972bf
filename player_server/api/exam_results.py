"""POST /api/v1/exam-results: the exam service hands in a result. See `learning/exam_results.py` for what
follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from player_server.api.eligibility import Id, ProgrammeId
from player_server.auth.service_clients import Scope
from player_server.learning.eligibility import rfc3339
from player_server.learning.exam_results import Outcome, Refused, Result, record_result
from player_server.policy.hours import as_decimal
from player_server.web.operations import Call, Operation, Reply
from player_server.web.problems import Problem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_KEY = 200

_DETAILS = {
    Refused.NO_LEARNER: "There is no such learner.",
    Refused.NOT_ENROLLED: "The learner has no such enrolment.",
    Refused.WHICH: "The learner has several enrolments: name one by `enrolment`, as eligibility lists them.",
    Refused.CLOSED: "The exam was passed already. If that pass is wrong, hand in `voided` first.",
    Refused.NOT_ELIGIBLE: "On that day the learner lacked hours for the exam; eligibility says which.",
    Refused.NOTHING_TO_VOID: "There is no pass that could be voided.",
    Refused.TIME: "`taken_at` lies in the future, or before the year 2000.",
    Refused.KEY_REUSED: "This Idempotency-Key was used for another result.",
}


class ExamResultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One result. `enrolment` or `programme` may be left out where the learner has one enrolment only.

    `score`: points. `taken_at`: RFC 3339 with its offset; left out: now.
    """

    learner: Id
    outcome: Outcome
    enrolment: Id | None = None
    programme: ProgrammeId | None = None
    score: Annotated[float, msgspec.Meta(ge=0, le=10_000)] | None = None
    taken_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class ExamResultAnswer(msgspec.Struct, frozen=True):
    """The result on record. `entries`: ledger entries that it brought, or that took back what the pass brought."""

    result: int
    learner: int
    enrolment: int
    programme: str
    outcome: Outcome
    score: str | None
    taken_at: str
    recorded_at: str
    entries: tuple[int, ...]


async def _post(call: Call) -> Reply:
    wanted: ExamResultRequest = call.body
    key = call.request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Problem(400, "idempotency_key_missing", "Send an Idempotency-Key of 1 to 200 printable ASCII signs.")
    result = Result(
        learner_id=wanted.learner,
        outcome=wanted.outcome,
        enrolment_id=wanted.enrolment,
        programme=wanted.programme,
        score=None if wanted.score is None else round(wanted.score * 100),
        taken_at=None if wanted.taken_at is None else (wanted.taken_at - _EPOCH) // timedelta(milliseconds=1),
    )
    done = await record_result(call.services, call.client, result, key, address=call.address)
    if isinstance(done, Refused):
        raise Problem(404 if done is Refused.NO_LEARNER else 409, done.value, _DETAILS[done])
    answer = ExamResultAnswer(
        result=done.id,
        learner=done.learner_id,
        enrolment=done.enrolment_id,
        programme=done.programme,
        outcome=wanted.outcome,
        score=None if done.score is None else as_decimal(done.score),
        taken_at=rfc3339(done.taken_at),
        recorded_at=rfc3339(done.recorded_at),
        entries=done.entries,
    )
    return Reply(answer, 201, {"Idempotency-Replayed": "true"} if done.again else {})


EXAM_RESULTS = Operation(
    method="POST",
    path="/api/v1/exam-results",
    name="exam_results",
    summary="Hand in a result of the exam",
    handler=_post,
    scope=Scope.RESULTS,
    body=ExamResultRequest,
    answers={201: ExamResultAnswer},
    problems={
        404: "There is no such learner, or not for this client.",
        409: "It contradicts what is on record; `code` says how: " + ", ".join(each for each in Refused),
    },
    headers={"Idempotency-Key": ("Names this result; sent again with the same key, it is recorded once.", True)},
    reply_headers={"Idempotency-Replayed": "true where the result was on record already."},
    description="passed closes the exam and brings the programme's test hours; voided takes a pass back and opens "
    "the exam again; failed is kept and shown.",
)
