"""The learner's way to the exam: whether the button is lit, and the launch that takes them to the exam service.

What belongs here: the state of a learner's exams for pages, making a launch, and redeeming it. A launch is a signed
token with learner, programme and a nonce, good once and for two minutes; nobody who reads it learns a name.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from sqlalchemy import delete, insert, select, update

from player_server.auth import signing
from player_server.auth.service_clients import ServiceClient
from player_server.learning.eligibility import work_out
from player_server.learning.exam_results import LearnerExam, results_of
from player_server.learning.services import Services
from player_server.policy.eligibility import EnrolmentAnswer, Question, RuleAnswer
from player_server.storage import audit
from player_server.storage.clock import wall_ms
from player_server.storage.exam_tables import exam_launch
from player_server.storage.tables import course

#: Launches are kept this long after their end, so that a late redeeming is answered rightly.
KEPT_MS = 24 * 3_600_000


class State(StrEnum):
    """How the exam of one enrolment stands."""

    OPEN = "open"  # the learner may go in
    LOCKED = "locked"  # hours are missing
    LATE = "late"  # too late for good
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Exam:
    """One enrolment's exam. `missing`: rules that hold it shut; `courses`: ids. `last`: the newest result, if any.

    `name`: the programme's, None if this installation does not have it; `titles` are those of its courses.
    """

    enrolment_id: int
    state: State
    answer: EnrolmentAnswer
    missing: tuple[RuleAnswer, ...]
    titles: tuple[str, ...]
    last: LearnerExam | None

    @property
    def day(self) -> date | None:
        """The deadline, a calendar day in China."""
        return None if self.answer.deadline is None else date.fromisoformat(self.answer.deadline)


class LaunchClaims(msgspec.Struct, frozen=True):
    """What a launch says. `sub` is the learner's id as text, `aud` the address it leads to."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    nonce: str
    learner: int
    institution: int
    enrolment: int
    programme: str


@dataclass(frozen=True, slots=True)
class Launch:
    """What redeeming a launch gives. Times in UTC ms."""

    learner_id: int
    institution_id: int
    enrolment_id: int
    programme: str
    created_at: int


class Refused(StrEnum):
    """Why a launch is not redeemed."""

    UNKNOWN = "no_such_launch"  # forged, expired, or not for this client
    USED = "launch_used"


async def my_exams(services: Services, institution_id: int, learner_id: int) -> list[Exam]:
    """Every enrolment's exam. Empty where no exam service is set and none has ever sent a result."""
    _, (found,) = await work_out(services, institution_id, [Question(learner_id)])
    if found is None:
        return []
    async with services.db.read() as conn:
        results = {each.enrolment_id: each for each in await results_of(conn, learner_id)}
        query = select(course.c.id, course.c.title).where(
            course.c.id.in_({course_id for each in found.enrolments for course_id in each.courses}),
            course.c.institution_id == institution_id,
        )
        titles = {row.id: row.title for row in await conn.execute(query)}
    return [
        Exam(
            enrolment_id=each.enrolment,
            state=_state(each),
            answer=each,
            missing=tuple(rule for rule in _asked(each) if rule.state != "met"),
            titles=tuple(titles[course_id] for course_id in each.courses if course_id in titles),
            last=results.get(each.enrolment),
        )
        for each in found.enrolments
        if each.courses and (services.settings.exam.launch_url is not None or each.enrolment in results)
    ]


async def launch(
    services: Services, institution_id: int, learner_id: int, enrolment_id: int, *, address: str
) -> str | None:
    """The address that opens the exam service for this learner; None if the exam is not open for them."""
    target = services.settings.exam.launch_url
    exams = await my_exams(services, institution_id, learner_id)
    found = next((each for each in exams if each.enrolment_id == enrolment_id), None)
    if target is None or found is None or found.state is not State.OPEN:
        return None
    nonce = secrets.token_urlsafe(24)
    life_s = round(services.settings.exam.launch_s)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await conn.execute(delete(exam_launch).where(exam_launch.c.expires_at < now - KEPT_MS))
        await conn.execute(
            insert(exam_launch).values(
                nonce_hash=_hash(nonce),
                institution_id=institution_id,
                learner_id=learner_id,
                enrolment_id=enrolment_id,
                created_at=now,
                expires_at=now + life_s * 1000,
            )
        )
        await audit.record(
            conn,
            at=now,
            actor=f"learner:{learner_id}",
            institution_id=institution_id,
            action="exam.launch",
            target=f"enrolment:{enrolment_id}",
            result="done",
            address=address,
        )
    wall = wall_ms() // 1000
    claims = LaunchClaims(
        iss=signing.issuer(services.settings),
        aud=target,
        sub=str(learner_id),
        iat=wall,
        exp=wall + life_s,
        nonce=nonce,
        learner=learner_id,
        institution=institution_id,
        enrolment=enrolment_id,
        programme=found.answer.programme,
    )
    token = signing.sign(services.keys, signing.LAUNCH, msgspec.json.encode(claims), wall)
    parts = urlsplit(target)
    query = "&".join(filter(None, (parts.query, urlencode({"launch": token}))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


async def redeem(services: Services, client: ServiceClient, token: str, *, address: str) -> Launch | Refused:
    """Take a launch: exactly one caller gets it."""
    claims = _claims(services, token)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        done: Launch | Refused = Refused.UNKNOWN
        if claims is not None:
            row = exam_launch.c
            mine: list[Any] = [row.nonce_hash == _hash(claims.nonce), row.learner_id == claims.learner]
            if client.institution_id is not None:
                mine.append(row.institution_id == client.institution_id)
            taken = await conn.execute(
                update(exam_launch)
                .where(*mine, row.redeemed_at.is_(None), row.expires_at > now)
                .values(redeemed_at=now, redeemed_by=client.client_id)
                .returning(exam_launch)
            )
            found = taken.one_or_none()
            if found is not None:
                done = Launch(
                    found.learner_id, found.institution_id, found.enrolment_id, claims.programme, found.created_at
                )
            elif await conn.scalar(select(row.nonce_hash).where(*mine, row.redeemed_at.is_not(None))) is not None:
                done = Refused.USED
        await audit.record(
            conn,
            at=now,
            actor=client.actor,
            institution_id=client.institution_id,
            action="launch.redeem",
            target=f"learner:{done.learner_id}" if isinstance(done, Launch) else None,
            result="done" if isinstance(done, Launch) else done.value,
            address=address,
        )
    return done


def _claims(services: Services, token: str) -> LaunchClaims | None:
    target = services.settings.exam.launch_url
    if target is None:
        return None
    try:
        claims = signing.read(
            services.keys,
            signing.LAUNCH,
            token,
            issued_by=signing.issuer(services.settings),
            meant_for=target,
            now_s=wall_ms() / 1000,
        )
        return msgspec.convert(claims, LaunchClaims)
    except (signing.BadSignature, msgspec.ValidationError):
        return None


def _state(found: EnrolmentAnswer) -> State:
    if found.exam == "passed":
        return State.PASSED
    if found.eligible:
        return State.OPEN
    return State.LATE if "too_late" in found.reasons else State.LOCKED


def _asked(found: EnrolmentAnswer) -> tuple[RuleAnswer, ...]:
    """The rules that hold the exam shut; a programme without any asks for all."""
    return tuple(rule for rule in found.rules if rule.gate == "exam") or found.rules


def _hash(nonce: str) -> str:
    return sha256(nonce.encode()).hexdigest()
