"""GET /api/v1/eligibility/{learner} and POST /api/v1/eligibility:batch: may this learner go to the exam, may it
end?

What the answer says stands in `policy/eligibility.py`. It is for the asking client, in the JSON and once more
signed.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from player_server.auth.service_clients import Scope
from player_server.learning.desk import MOST
from player_server.learning.eligibility import ask, not_there, sign, unchanged
from player_server.policy.eligibility import EligibilityAnswer, Question
from player_server.policy.programmes import Gate
from player_server.web.ids import database_id
from player_server.web.operations import Call, Operation, Reply
from player_server.web.problems import Problem

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
ProgrammeId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9\-]*[a-z0-9])?$", max_length=100)]
_TAGS = {"ETag": "Names this answer for If-None-Match.", "Cache-Control": "private, no-cache"}


class EligibilityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which programme or course, for which gate, on which calendar day in China (default: today)."""

    gate: Gate = "exam"
    programme: ProgrammeId | None = None
    course: Id | None = None
    date: date | None = None


class SignedEligibility(EligibilityAnswer, frozen=True):
    """`assertion`: a JWT (EdDSA, typ xueshi-eligibility+jwt) whose claim `eligibility` is this answer without
    it."""

    assertion: str


class BatchQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same question about many learners."""

    learners: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MOST)]
    gate: Gate = "exam"
    programme: ProgrammeId | None = None
    course: Id | None = None
    date: date | None = None
    assertions: bool = True


class BatchItem(EligibilityAnswer, frozen=True, omit_defaults=True):
    """As for one learner; without an assertion where none was asked for, or where the reason is not_found."""

    assertion: str | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """In the order of the learners asked about."""

    answers: list[BatchItem]


async def _one(call: Call) -> Reply:
    wanted: EligibilityQuery = call.query
    learner_id = database_id(call.request.match_info["learner"])
    if learner_id is None:
        raise _absent()
    question = Question(learner_id, wanted.gate, wanted.date, wanted.programme, wanted.course)
    (found,) = await ask(call.services, call.client, [question], address=call.address)
    if found is None:
        raise _absent()
    headers = {"Cache-Control": "private, no-cache"}
    known = call.request.headers.get("If-None-Match")
    if known is not None:
        same = unchanged(call.client, found, known)
        if same is not None:
            # The old tag: it says when the assertion that goes with it ends.
            return Reply(None, 304, {**headers, "ETag": same})
    signed = sign(call.services, call.client, found)
    return Reply(signed.body, headers={**headers, "ETag": signed.etag})


async def _batch(call: Call) -> Reply:
    wanted: BatchQuestion = call.body
    questions = [
        Question(learner_id, wanted.gate, wanted.date, wanted.programme, wanted.course)
        for learner_id in wanted.learners
    ]
    found = await ask(call.services, call.client, questions, address=call.address)
    answers = not_there(found, questions)
    parts = [
        sign(call.services, call.client, each).body if wanted.assertions and there else msgspec.json.encode(each)
        for each, there in zip(answers, found, strict=True)
    ]
    return Reply(b'{"answers":[%b]}' % b",".join(parts))


def _absent() -> Problem:
    return Problem(404, "not_found", "There is no such learner.")


ELIGIBILITY = Operation(
    method="GET",
    path="/api/v1/eligibility/{learner}",
    name="eligibility",
    summary="May this learner go through a gate, and what is missing?",
    handler=_one,
    scope=Scope.ELIGIBILITY,
    query=EligibilityQuery,
    answers={200: SignedEligibility, 304: None},
    problems={404: "There is no such learner, or not for this client."},
    headers={"If-None-Match": ("The ETag of an answer that is kept. 304 only while its assertion is good.", False)},
    reply_headers=_TAGS,
)

BATCH = Operation(
    method="POST",
    path="/api/v1/eligibility:batch",
    name="eligibility_batch",
    summary="The same about up to 1000 learners",
    handler=_batch,
    scope=Scope.ELIGIBILITY,
    body=BatchQuestion,
    answers={200: BatchAnswer},
    weight=lambda body: 1 + len(body.learners) // 100,
)
