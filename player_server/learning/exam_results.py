"""Results of the exam, as the exam service hands them in: each once, however often it is sent.

What belongs here: the story of a result. A pass closes the exam and brings the programme's `test` hours; a voided
pass opens it again and takes them back. Every result stays on record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.service_clients import ServiceClient
from player_server.learning.eligibility_facts import read_facts, read_position
from player_server.learning.events import EXAM_RESULT, emit, tell_of_entries
from player_server.learning.programmes import LoadedProgramme
from player_server.learning.services import Services
from player_server.policy.eligibility import Question, answer
from player_server.policy.hours import as_decimal
from player_server.policy.periods import china_day
from player_server.storage import audit
from player_server.storage.attempts import take_turn
from player_server.storage.exam_tables import exam_result
from player_server.storage.ledger import add_test_hours, entries_of_result
from player_server.storage.ledger_corrections import add_reversal, find_credit
from player_server.storage.tables import course, enrolment, enrolment_course, learner
from player_server.storage.upsert import insert

Outcome = Literal["passed", "failed", "voided"]
#: How far an exam service's clock may be ahead of ours, in ms.
AHEAD_MS = 300_000
#: 2000-01-01 in UTC ms: nothing was taken before.
FIRST_MS = 946_684_800_000
RULE_VERSION = "exam-result-1"


class Refused(StrEnum):
    """Why a result is not recorded. Nothing has changed then."""

    NO_LEARNER = "not_found"  # not there, or not for this client
    NOT_ENROLLED = "not_enrolled"
    WHICH = "which_enrolment"  # several, and none was named
    CLOSED = "exam_closed"  # a pass stands
    NOT_ELIGIBLE = "not_eligible"
    NOTHING_TO_VOID = "nothing_to_void"
    TIME = "taken_at_out_of_range"
    KEY_REUSED = "idempotency_key_reused"  # with another result


class Result(msgspec.Struct, frozen=True):
    """What was handed in. `score` in hundredths of a point, `taken_at` in UTC ms (None: now)."""

    learner_id: int
    outcome: Outcome
    enrolment_id: int | None = None
    programme: str | None = None
    score: int | None = None
    taken_at: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result on record. `entries`: what it brought to the ledger, or what it took back. `again`: it was there."""

    id: int
    learner_id: int
    enrolment_id: int
    programme: str
    outcome: str
    score: int | None
    taken_at: int
    recorded_at: int
    entries: tuple[int, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class LearnerExam:
    """How one enrolment's exam stands, for pages. Times in UTC ms, score in hundredths; None: nothing yet."""

    enrolment_id: int
    outcome: str
    score: int | None
    taken_at: int


async def record_result(
    services: Services, client: ServiceClient, wanted: Result, key: str, *, address: str
) -> Recorded | Refused:
    """Record it, once for each key of this client."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        done = await _record(services, conn, client, wanted, key, now)
        await audit.record(
            conn,
            at=now,
            actor=client.actor,
            institution_id=client.institution_id,
            action="exam.result",
            target=f"learner:{wanted.learner_id}",
            result=done.value if isinstance(done, Refused) else "again" if done.again else wanted.outcome,
            address=address,
        )
    return done


async def results_of(conn: AsyncConnection, learner_id: int) -> list[LearnerExam]:
    """Every result of this learner that was not voided and is no voiding itself, oldest first."""
    row = exam_result.c
    query = (
        select(row.enrolment_id, row.outcome, row.score, row.taken_at)
        .where(row.learner_id == learner_id, row.voided_at.is_(None), row.outcome != "voided")
        .order_by(row.id)
    )
    return [LearnerExam(**each._mapping) for each in await conn.execute(query)]


async def _record(
    services: Services, conn: AsyncConnection, client: ServiceClient, wanted: Result, key: str, now: int
) -> Recorded | Refused:
    where = [learner.c.id == wanted.learner_id]
    if client.institution_id is not None:
        where.append(learner.c.institution_id == client.institution_id)
    institution_id = await conn.scalar(select(learner.c.institution_id).where(*where))
    if institution_id is None:
        return Refused.NO_LEARNER
    # One result of a learner at a time: the same one sent twice at once finds the first.
    await take_turn(conn, wanted.learner_id)
    digest = hashlib.sha256(msgspec.json.encode(wanted, order="sorted")).hexdigest()
    known = await _known(conn, client, key)
    if known is not None:
        return await _again(conn, known) if known.request_hash == digest else Refused.KEY_REUSED
    taken_at = now if wanted.taken_at is None else wanted.taken_at
    if not FIRST_MS <= taken_at <= now + AHEAD_MS:
        return Refused.TIME
    found = await _enrolment(conn, wanted)
    if isinstance(found, Refused):
        return found
    stands = await _standing_pass(conn, found.id)
    if wanted.outcome == "voided" and stands is None:
        return Refused.NOTHING_TO_VOID
    if wanted.outcome != "voided" and stands is not None:
        return Refused.CLOSED
    if wanted.outcome == "passed" and not await _eligible(services, conn, institution_id, wanted, found, taken_at):
        return Refused.NOT_ELIGIBLE
    if wanted.outcome == "voided":
        # Before the new row: two passes of one enrolment never stand at once.
        await conn.execute(update(exam_result).where(exam_result.c.id == stands).values(voided_at=now))
    result_id = await conn.scalar(
        insert(conn, exam_result)
        .values(
            institution_id=institution_id,
            learner_id=wanted.learner_id,
            enrolment_id=found.id,
            programme=found.programme,
            outcome=wanted.outcome,
            score=wanted.score,
            taken_at=taken_at,
            recorded_at=now,
            client_id=client.client_id,
            idempotency_key=key,
            request_hash=digest,
            voids=stands,
        )
        .on_conflict_do_nothing(index_elements=["client_id", "idempotency_key"])
        .returning(exam_result.c.id)
    )
    if result_id is None:
        # The same key came at the same time with another learner, who is not behind the same lock.
        return Refused.KEY_REUSED
    if wanted.outcome == "passed":
        loaded = services.programmes.get(found.programme)
        entries = await _credit(conn, client, loaded, found, wanted.learner_id, institution_id, result_id, now)
    elif stands is not None:
        entries = await _take_back(conn, wanted.learner_id, stands, result_id, now)
    else:
        entries = []
    await emit(
        conn,
        EXAM_RESULT,
        institution_id=institution_id,
        learner_id=wanted.learner_id,
        data={
            "result": result_id,
            "enrolment": found.id,
            "programme": found.programme,
            "outcome": wanted.outcome,
            "score": None if wanted.score is None else as_decimal(wanted.score),
            "taken_at": taken_at,
        },
        now_ms=now,
        source=f"exam-result:{result_id}",
    )
    if entries:
        await tell_of_entries(conn, services.programmes, entries, now)
    return Recorded(
        result_id,
        wanted.learner_id,
        found.id,
        found.programme,
        wanted.outcome,
        wanted.score,
        taken_at,
        now,
        tuple(entries),
        again=False,
    )


async def _known(conn: AsyncConnection, client: ServiceClient, key: str) -> Any:
    row = exam_result.c
    query = select(exam_result).where(row.client_id == client.client_id, row.idempotency_key == key)
    return (await conn.execute(query)).one_or_none()


async def _again(conn: AsyncConnection, row: Any) -> Recorded:
    entries = await entries_of_result(conn, row.id if row.voids is None else row.voids, row.learner_id)
    return Recorded(
        row.id,
        row.learner_id,
        row.enrolment_id,
        row.programme,
        row.outcome,
        row.score,
        row.taken_at,
        row.recorded_at,
        tuple(entries),
        again=True,
    )


async def _enrolment(conn: AsyncConnection, wanted: Result) -> Any:
    """The row of the enrolment that is meant, or Refused."""
    where = [enrolment.c.learner_id == wanted.learner_id, enrolment.c.withdrawn_at.is_(None)]
    if wanted.enrolment_id is not None:
        where.append(enrolment.c.id == wanted.enrolment_id)
    if wanted.programme is not None:
        where.append(enrolment.c.programme == wanted.programme)
    rows = (await conn.execute(select(enrolment.c.id, enrolment.c.programme).where(*where))).all()
    if not rows:
        return Refused.NOT_ENROLLED
    return rows[0] if len(rows) == 1 else Refused.WHICH


async def _standing_pass(conn: AsyncConnection, enrolment_id: int) -> int | None:
    row = exam_result.c
    query = select(row.id).where(row.enrolment_id == enrolment_id, row.outcome == "passed", row.voided_at.is_(None))
    found: int | None = await conn.scalar(query)
    return found


async def _eligible(
    services: Services, conn: AsyncConnection, institution_id: int, wanted: Result, found: Any, taken_at: int
) -> bool:
    """On the day of the exam. What was taken back since was never right, so it does not count here either."""
    question = Question(wanted.learner_id, "exam", china_day(taken_at), found.programme)
    facts = await read_facts(conn, services.programmes, institution_id, [question])
    today = china_day(taken_at)
    position = await read_position(conn)
    said = answer(facts[wanted.learner_id], question, today=today, as_of="", ledger=position)
    return any(each.enrolment == found.id and each.eligible for each in said.enrolments)


async def _credit(
    conn: AsyncConnection,
    client: ServiceClient,
    loaded: LoadedProgramme | None,
    found: Any,
    learner_id: int,
    institution_id: int,
    result_id: int,
    now: int,
) -> list[int]:
    """The hours of every rule that counts nothing but tests."""
    if loaded is None:
        return []
    rows = (
        await conn.execute(
            select(course.c.id, course.c.specialty)
            .join(enrolment_course, enrolment_course.c.course_id == course.c.id)
            .where(enrolment_course.c.enrolment_id == found.id, course.c.institution_id == institution_id)
            .order_by(course.c.id)
        )
    ).all()
    # Hours belong to a specialty, which an entry has from its course.
    course_id = rows[0].id if len({row.specialty for row in rows}) == 1 else None
    entries = []
    for name, rule in loaded.programme.rules.items():
        if rule.kinds != ("test",):
            continue
        entry_id = await add_test_hours(
            conn,
            result_id=result_id,
            rule=name,
            learner_id=learner_id,
            institution_id=institution_id,
            course_id=course_id,
            subject=rule.subjects[0] if len(rule.subjects) == 1 else "professional",
            hours=rule.hours,
            evidence={"exam_result": result_id, "client": client.client_id},
            rule_version=loaded.version,
            now_ms=now,
        )
        if entry_id is not None:
            entries.append(entry_id)
    return entries


async def _take_back(conn: AsyncConnection, learner_id: int, passed_id: int, result_id: int, now: int) -> list[int]:
    taken = []
    for entry_id in await entries_of_result(conn, passed_id, learner_id):
        entry = await find_credit(conn, entry_id, learner_id)
        if entry is None or entry.is_reversed:
            continue
        evidence: dict[str, object] = {"exam_result": result_id}
        reversal = await add_reversal(conn, entry, evidence=evidence, rule_version=RULE_VERSION, now_ms=now)
        if reversal is not None:
            taken.append(reversal)
    return taken
