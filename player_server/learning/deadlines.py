"""Deadlines that are near while hours are missing: for the learner's own pages, as a call list, and as events.

Whose hours for the exam are complete is not reminded. The deadline is the enrolment's own or the programme's
(`policy/hours.py`); both are looked at by the same evaluation as everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.certificates import MyProgramme
from player_server.learning.events import DEADLINE_NEAR, emit
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.programmes import Programmes
from player_server.learning.roster import Filters, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.policy.hours import Evaluation, Standing, as_decimal
from player_server.policy.periods import china_day
from player_server.storage import audit
from player_server.storage.certificate_tables import deadline_notice
from player_server.storage.hidden import is_there
from player_server.storage.tables import enrolment, learner, person
from player_server.storage.upsert import insert

#: Days before the deadline on which other systems are told, the farthest first; each at most once.
THRESHOLDS = (30, 14, 3)
#: How long after the deadline somebody still stands on the call list, in days: late hours may still count.
LATE_DAYS = 30
CALLS_ON_A_PAGE = 50
#: Enrolments that are judged at once.
AT_ONCE = 100
#: Events that are left in one transaction: on SQLite everybody else's writing waits for it.
TOLD_AT_ONCE = 10
#: A page of calls looks at no more enrolments than this; who asks for the next page goes on from there.
LOOKED_AT = 1_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolment whose deadline lies in the window that was asked for. `due` is a day in China."""

    due: date
    enrolment_id: int
    learner_id: int
    institution_id: int

    @property
    def key(self) -> tuple[date, int]:
        return self.due, self.enrolment_id


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to call: name and telephone number whole, because that is whom one asks for. Hours in hundredths.

    `mobile` is "" where the roster had none.
    """

    learner_id: int
    name: str
    mobile: str
    class_name: str | None
    programme: str
    due: date
    days_left: int
    missing: int


@dataclass(frozen=True, slots=True)
class CallsPage:
    """The nearest deadline first; `after` is where the next page begins, or None at the end."""

    calls: tuple[Call, ...]
    after: str | None


def missing_hours(evaluation: Evaluation) -> int:
    """What lacks for the exam (for a programme that asks for nothing before it: at all), in hundredths.

    The largest gap of a rule and not the sum: one hour often counts for several rules.
    """
    before = [each for each in evaluation.rules if each.gate == "exam"] or list(evaluation.rules)
    return max((each.missing for each in before), default=0)


def reminders(programmes: Iterable[MyProgramme]) -> list[ProgrammeHours]:
    """Of a learner's own: those whose deadline is near or over while hours are missing."""
    return [each.hours for each in programmes if _is_behind(each.hours.evaluation, THRESHOLDS[0], LATE_DAYS)]


def _is_behind(evaluation: Evaluation, ahead: int, late: int) -> bool:
    left = evaluation.days_left
    return (
        left is not None
        and -late <= left <= ahead
        and not evaluation.exam
        and evaluation.standing is not Standing.REFUSED
    )


async def calls_page(
    services: Services, scope: StaffScope, filters: Filters, *, after: str, address: str
) -> CallsPage:
    """Whom to call: in this scope, behind, and with a deadline from LATE_DAYS ago to the first threshold ahead."""
    where = [*roster_where(services, scope, filters), learner.c.disabled_at.is_(None)]
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        today = china_day(now)
        waiting = [
            each
            for each in await _candidates(
                conn,
                services.programmes,
                today - timedelta(days=LATE_DAYS),
                today + timedelta(days=THRESHOLDS[0]),
                where,
            )
            if not after or f"{each.due.isoformat()}.{each.enrolment_id:019d}" > after
        ]
        found: list[tuple[Candidate, ProgrammeHours]] = []
        looked = 0
        while looked < min(len(waiting), LOOKED_AT) and len(found) < CALLS_ON_A_PAGE:
            part = waiting[looked : looked + AT_ONCE]
            looked += len(part)
            found += await _behind(conn, services, part, now)
        last = waiting[looked - 1] if looked else None
        if len(found) > CALLS_ON_A_PAGE:
            found = found[:CALLS_ON_A_PAGE]
            last = found[-1][0]
        more = last is not None and last is not waiting[-1]
        who = await _who(conn, {each.learner_id for each, _hours in found})
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="calls.read",
            result=f"{len(found)} shown, with telephone numbers",
            address=address,
        )
    calls = tuple(_call(services, who[each.learner_id], each, hours) for each, hours in found)
    return CallsPage(calls, f"{last.due.isoformat()}.{last.enrolment_id:019d}" if more and last else None)


def _call(services: Services, who: Any, candidate: Candidate, hours: ProgrammeHours) -> Call:
    return Call(
        learner_id=candidate.learner_id,
        name=who.name,
        mobile=services.keys.decrypt(who.mobile_cipher) if who.mobile_cipher else "",
        class_name=who.class_name,
        programme=hours.programme.id,
        due=candidate.due,
        days_left=hours.evaluation.days_left or 0,
        missing=missing_hours(hours.evaluation),
    )


async def _who(conn: AsyncConnection, learner_ids: set[int]) -> dict[int, Any]:
    query = (
        select(learner.c.id, learner.c.class_name, learner.c.mobile_cipher, person.c.name)
        .join(person, person.c.id == learner.c.person_id)
        .where(learner.c.id.in_(learner_ids))
    )
    return {row.id: row for row in await conn.execute(query)}


async def remind_of_deadlines(services: Services) -> int:
    """The job: leave one `deadline.near` for each enrolment, deadline and threshold. How many it left.

    It may run twice: the row that says it was told is written in the same transaction, and only once.
    """
    told = 0
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        today = china_day(now)
        until = today + timedelta(days=THRESHOLDS[0])
        there = [learner.c.disabled_at.is_(None), is_there(learner.c.id)]
        waiting = await _candidates(conn, services.programmes, today, until, there)
        known = {
            tuple(row)
            for row in await conn.execute(
                select(
                    deadline_notice.c.enrolment_id, deadline_notice.c.deadline, deadline_notice.c.threshold_days
                ).where(deadline_notice.c.deadline >= today.isoformat())
            )
        }
    waiting = [
        each
        for each in waiting
        if (each.enrolment_id, each.due.isoformat(), _threshold((each.due - today).days)) not in known
    ]
    for start in range(0, len(waiting), AT_ONCE):
        part = waiting[start : start + AT_ONCE]
        async with services.db.read() as conn:
            behind = await _behind(conn, services, part, now)
        for first in range(0, len(behind), TOLD_AT_ONCE):
            async with services.db.write() as conn:
                for each, hours in behind[first : first + TOLD_AT_ONCE]:
                    told += await _tell(conn, each, hours, now)
    return told


def _threshold(days_left: int) -> int:
    """The nearest threshold that these days have passed: who is enrolled late is told once, not three times."""
    return min(each for each in THRESHOLDS if days_left <= each)


async def _tell(conn: AsyncConnection, candidate: Candidate, hours: ProgrammeHours, now: int) -> int:
    days_left = hours.evaluation.days_left or 0
    made = await conn.execute(
        insert(conn, deadline_notice)
        .values(
            enrolment_id=candidate.enrolment_id,
            deadline=candidate.due.isoformat(),
            threshold_days=_threshold(days_left),
            sent_at=now,
        )
        .on_conflict_do_nothing()
    )
    if made.rowcount == 0:
        return 0
    await emit(
        conn,
        DEADLINE_NEAR,
        institution_id=candidate.institution_id,
        learner_id=candidate.learner_id,
        data={
            "enrolment": candidate.enrolment_id,
            "programme": hours.programme.id,
            "deadline": candidate.due.isoformat(),
            "days_left": days_left,
            "missing_hours": as_decimal(missing_hours(hours.evaluation)),
        },
        now_ms=now,
    )
    return 1


async def _behind(
    conn: AsyncConnection, services: Services, part: Sequence[Candidate], now: int
) -> list[tuple[Candidate, ProgrammeHours]]:
    """Those of these who lack hours, in the same order."""
    judged = await programme_hours(conn, services.programmes, {each.learner_id for each in part}, now)
    of = {each.enrolment_id: each for each in judged}
    return [
        (each, of[each.enrolment_id])
        for each in part
        if each.enrolment_id in of and _is_behind(of[each.enrolment_id].evaluation, THRESHOLDS[0], LATE_DAYS)
    ]


async def _candidates(
    conn: AsyncConnection, programmes: Programmes, first: date, last: date, where: list[ColumnElement[bool]]
) -> list[Candidate]:
    """Enrolments due in these days (both counted in), the nearest first. Small rows; nothing is judged yet."""
    finish = {each.id: each.programme.finish for each in programmes.values() if each.programme.finish is not None}
    farthest = max((each.days_before_expiry for each in finish.values()), default=0)
    columns = enrolment.c
    query = (
        select(
            columns.id,
            columns.learner_id,
            learner.c.institution_id,
            columns.programme,
            columns.deadline,
            columns.expiry_date,
        )
        .join(learner, learner.c.id == columns.learner_id)
        .where(
            columns.withdrawn_at.is_(None),
            or_(
                and_(columns.deadline >= _start_ms(first), columns.deadline < _start_ms(last + timedelta(days=1))),
                and_(
                    columns.deadline.is_(None),
                    columns.expiry_date >= first,
                    columns.expiry_date <= last + timedelta(days=farthest),
                ),
            ),
            *where,
        )
    )
    found = []
    for row in await conn.execute(query):
        if row.deadline is not None:
            due = china_day(row.deadline)
        elif row.programme in finish:
            due = row.expiry_date - timedelta(days=finish[row.programme].days_before_expiry)
        else:
            continue
        if first <= due <= last:
            found.append(Candidate(due, row.id, row.learner_id, row.institution_id))
    return sorted(found, key=lambda each: each.key)


def _start_ms(day: date) -> int:
    """When this day began in China, UTC ms."""
    return (day - _EPOCH).days * DAY_MS - CHINA_OFFSET_MS
