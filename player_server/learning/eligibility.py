"""The answer for the exam service: asked, worked out, written into the audit trail, signed.

Whoever asks in the same moment is answered together: one snapshot of the database and one audit transaction for all
of them, so that many services asking at once cost the database little more than one. A question waits for at most
one such round before its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth import signing
from player_server.auth.service_clients import ServiceClient
from player_server.learning.eligibility_facts import read_facts, read_position
from player_server.learning.services import Services
from player_server.policy.eligibility import (
    EligibilityAnswer,
    LearnerFacts,
    LedgerPosition,
    Question,
    answer,
    nobody,
)
from player_server.policy.periods import china_day
from player_server.storage import audit
from player_server.storage.clock import wall_ms


class Claims(msgspec.Struct, frozen=True):
    """What an assertion says: `eligibility` is the answer, byte for byte. `sub` is the learner's id as text."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    eligibility: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Signed:
    """`body`: the answer with its assertion, as JSON. `etag`: for a later question of the same client."""

    body: bytes
    etag: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class Request:
    """The questions of one request, and whose they are."""

    client: ServiceClient
    questions: Sequence[Question]
    address: str


async def ask(
    services: Services, client: ServiceClient, questions: Sequence[Question], *, address: str
) -> list[EligibilityAnswer | None]:
    """Answers in the order of the questions (at most MOST), None for a learner that is not there or not this
    client's.

    Each is noted in the audit trail before this returns.
    """
    request = Request(client, questions, address)
    answers: list[EligibilityAnswer | None] = await services.desk.ask(
        client.institution_id, request, len(questions), partial(_answer_all, services)
    )
    return answers


async def work_out(
    services: Services, institution_id: int | None, questions: Sequence[Question]
) -> tuple[int, list[EligibilityAnswer | None]]:
    """(the store's clock in UTC ms, answers). For the product's own pages: nothing is noted or signed."""
    async with services.db.snapshot() as conn:
        return await _work_out(services, conn, institution_id, questions)


async def _work_out(
    services: Services, conn: AsyncConnection, institution_id: int | None, questions: Sequence[Question]
) -> tuple[int, list[EligibilityAnswer | None]]:
    now = (await services.clock.read(conn)).ms
    facts = await read_facts(conn, services.programmes, institution_id, questions)
    ledger = await read_position(conn)
    as_of, today = rfc3339(now), china_day(now)
    return now, [_one(facts, each, today, as_of, ledger) for each in questions]


def sign(services: Services, client: ServiceClient, found: EligibilityAnswer) -> Signed:
    """The answer and its assertion, for this client only."""
    now = wall_ms() // 1000
    expires = now + round(services.settings.exam.assertion_s)
    text = msgspec.json.encode(found)
    claims = Claims(
        iss=signing.issuer(services.settings),
        aud=client.client_id,
        sub=str(found.learner),
        iat=now,
        exp=expires,
        eligibility=msgspec.Raw(text),
    )
    token = signing.sign(services.keys, signing.ASSERTION, msgspec.json.encode(claims), now)
    body = b'%b,"assertion":"%b"}' % (text[:-1], token.encode())
    return Signed(body, f'"{expires}.{fingerprint(client, found)}"', expires)


def unchanged(client: ServiceClient, found: EligibilityAnswer, if_none_match: str) -> str | None:
    """The tag among these whose answer still says the same and whose assertion is still good, if there is one."""
    now, current = wall_ms() // 1000, fingerprint(client, found)
    for tag in if_none_match.split(","):
        name = tag.strip().removeprefix("W/")
        expires, _, print_ = name.strip('"').partition(".")
        if (
            expires.isascii()
            and expires.isdigit()
            and len(expires) < 12
            and int(expires) > now
            and print_ == current
        ):
            return name
    return None


def fingerprint(client: ServiceClient, found: EligibilityAnswer) -> str:
    """The same as long as the answer says the same: when it was worked out is no part of it."""
    said = msgspec.structs.replace(found, as_of="", ledger=LedgerPosition(0, 0))
    return hashlib.sha256(client.client_id.encode() + b"\0" + msgspec.json.encode(said)).hexdigest()[:32]


async def _answer_all(services: Services, taken: Sequence[Request]) -> list[list[EligibilityAnswer | None]]:
    questions = [question for each in taken for question in each.questions]
    institution_id = taken[0].client.institution_id
    if services.db.kind == "postgresql":
        # One transaction for both: each further one costs every round four trips to the database.
        async with services.db.snapshot() as conn:
            now, answers = await _work_out(services, conn, institution_id, questions)
            await audit.record_many(conn, _audit_rows(taken, answers, now))
    else:
        now, answers = await work_out(services, institution_id, questions)
        async with services.db.write() as conn:
            await audit.record_many(conn, _audit_rows(taken, answers, now))
    found = iter(answers)
    return [[next(found) for _ in each.questions] for each in taken]


def _audit_rows(
    taken: Sequence[Request], answers: Sequence[EligibilityAnswer | None], now: int
) -> list[dict[str, Any]]:
    asked = [(each, question) for each in taken for question in each.questions]
    return [
        audit.row(
            at=now,
            actor=request.client.actor,
            institution_id=request.client.institution_id,
            action="eligibility.read",
            target=f"learner:{question.learner_id}",
            result="not_found" if one is None else "eligible" if one.eligible else "not_eligible",
            address=request.address,
        )
        for (request, question), one in zip(asked, answers, strict=True)
    ]


def _one(
    facts: dict[int, LearnerFacts], question: Question, today: date, as_of: str, ledger: LedgerPosition
) -> EligibilityAnswer | None:
    found = facts.get(question.learner_id)
    return None if found is None else answer(found, question, today=today, as_of=as_of, ledger=ledger)


def not_there(found: Sequence[EligibilityAnswer | None], questions: Sequence[Question]) -> list[EligibilityAnswer]:
    """The answers of a batch, with one that says so for each learner that is not there."""
    now = wall_ms()
    return [
        nobody(question, today=china_day(now), as_of=rfc3339(now), ledger=LedgerPosition(0, 0))
        if one is None
        else one
        for question, one in zip(questions, found, strict=True)
    ]


def rfc3339(ms: int) -> str:
    """UTC ms as text."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
