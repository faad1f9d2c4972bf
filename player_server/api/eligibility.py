"""GET /api/v1/eligibility/{learner}: the exam service asks whether all hours are complete.

`Authorization: Bearer <JWT>` with a token of POST /api/v1/oauth/token; `{learner}` is the learner's id. The
answer is an `EligibilityAnswer`. `programmes` and `rules` are in it when the learner has an enrolment whose
programme this installation knows and whose certificate dates are recorded. Errors are problem+json: 401
`invalid_token`, 404 `not_found` for learners that do not exist and alike for those of other institutions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
from aiohttp import web

from player_server.auth.service_clients import Scope
from player_server.learning.eligibility import Eligibility, eligibility
from player_server.learning.programme_hours import ProgrammeHours
from player_server.policy.hours import RuleHours, as_decimal
from player_server.policy.programmes import Gate, Name
from player_server.web.address import address_of
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.operations import require_client
from player_server.web.problems import Problem


class CourseAnswer(msgspec.Struct, frozen=True):
    """One course. Hours are decimal strings with two places."""

    course: int
    title: str
    complete: bool
    required_hours: str
    earned_hours: str
    missing_hours: str
    deadline: str | None  # RFC 3339, UTC


class ProgrammeAnswer(msgspec.Struct, frozen=True):
    """One enrolment. `exam`: its rules allow the exam. `complete`: nothing is missing, for the exam or after it."""

    enrolment: int
    programme: str
    name: Name
    rule_version: str  # SHA-256 of the programme's rules
    exam: bool
    complete: bool
    standing: str  # open | warn | late | refused | in_time
    deadline: str | None  # a calendar day in China, YYYY-MM-DD
    days_left: int | None  # negative after the deadline


class EntryAnswer(msgspec.Struct, frozen=True):
    """How much of one ledger entry counted."""

    entry: int
    hours: str


class RuleAnswer(msgspec.Struct, frozen=True):
    """One rule in one period. Days are calendar days in China, both inclusive; hours as in CourseAnswer."""

    enrolment: int
    programme: str
    rule: str
    name: Name
    gate: Gate
    label: str  # the year or years, e.g. 2021 or 2021–2022; empty for a cycle or a round
    begins: str
    ends: str | None
    last_day: str | None  # missing hours can be earned until then
    state: str  # met | open | upcoming | lost
    required_hours: str
    counted_hours: str
    missing_hours: str
    entries: tuple[EntryAnswer, ...]


class EligibilityAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`complete`: there is at least one course, and each of them is complete."""

    learner: int
    complete: bool
    courses: tuple[CourseAnswer, ...]
    as_of: str  # RFC 3339, UTC: whatever was credited until then is in
    programmes: tuple[ProgrammeAnswer, ...] = ()
    rules: tuple[RuleAnswer, ...] = ()


async def get_eligibility(request: web.Request) -> web.StreamResponse:
    """The door."""
    client = await require_client(request, Scope.ELIGIBILITY)
    learner_id = database_id(request.match_info["learner"])
    found = await eligibility(request.app[SERVICES], client, learner_id, address=address_of(request))
    if found is None:
        raise Problem(404, "not_found", "There is no such learner.")
    return web.Response(body=msgspec.json.encode(_answer(found)), content_type="application/json")


def _answer(found: Eligibility) -> EligibilityAnswer:
    return EligibilityAnswer(
        learner=found.learner_id,
        complete=found.complete,
        courses=tuple(
            CourseAnswer(
                course=each.course_id,
                title=each.title,
                complete=each.complete,
                required_hours=as_decimal(each.required),
                earned_hours=as_decimal(each.earned),
                missing_hours=as_decimal(each.required - each.earned),
                deadline=None if each.deadline is None else _rfc3339(each.deadline),
            )
            for each in found.courses
        ),
        as_of=_rfc3339(found.as_of),
        programmes=tuple(_programme(each) for each in found.programmes),
        rules=tuple(_rule(each, rule) for each in found.programmes for rule in each.evaluation.rules),
    )


def _programme(found: ProgrammeHours) -> ProgrammeAnswer:
    evaluation = found.evaluation
    return ProgrammeAnswer(
        enrolment=found.enrolment_id,
        programme=found.programme.id,
        name=found.programme.programme.name,
        rule_version=found.programme.version,
        exam=evaluation.exam,
        complete=evaluation.complete,
        standing=evaluation.standing.value,
        deadline=_day(evaluation.deadline),
        days_left=evaluation.days_left,
    )


def _rule(found: ProgrammeHours, rule: RuleHours) -> RuleAnswer:
    return RuleAnswer(
        enrolment=found.enrolment_id,
        programme=found.programme.id,
        rule=rule.rule,
        name=rule.name,
        gate=rule.gate,
        label=rule.label,
        begins=rule.begins.isoformat(),
        ends=_day(rule.ends),
        last_day=_day(rule.last_day),
        state=rule.state.value,
        required_hours=as_decimal(rule.required),
        counted_hours=as_decimal(rule.counted),
        missing_hours=as_decimal(rule.missing),
        entries=tuple(EntryAnswer(each.entry_id, as_decimal(each.hours)) for each in rule.entries),
    )


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
