"""Programmes, enrolments and ledger entries as values, for tests of the evaluator."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

from player_server.learning.programmes import load_programmes
from player_server.policy.hours import Enrolment, Entry, Evaluation, RuleHours
from player_server.policy.programmes import Kind, Name, Programme, Rule

PROGRAMMES = {each.id: each.programme for each in load_programmes().values()}
JIANGSU = PROGRAMMES["jiangsu-constructor-2"]
MOHURD = PROGRAMMES["mohurd-site-staff"]
HAINAN = PROGRAMMES["hainan-site-staff"]
JIANGXI = PROGRAMMES["jiangxi-site-staff"]
RE_ISSUE = PROGRAMMES["re-issue"]

# Issued 2020-03-10, as in the example of the national rule.
STAFF = Enrolment(date(2020, 4, 1), issued_on=date(2020, 3, 10))
CONSTRUCTOR = Enrolment(
    date(2024, 1, 5),
    issued_on=date(2022, 6, 1),
    expires_on=date(2025, 5, 31),
    specialties=frozenset(("建筑工程",)),
)
PLAIN_YEARS = Programme(Name("年", "years"), {"year": Rule(Name("年", "year"), 3200, "year", "exam")})
CHINA = timezone(timedelta(hours=8))
_ids = itertools.count(1)


def china_ms(day: date, hour: int = 12, minute: int = 0, second: int = 0, ms: int = 0) -> int:
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=CHINA)
    return round(moment.astimezone(UTC).timestamp()) * 1000 + ms


def entry(
    hours: float,
    day: date,
    kind: Kind = "online",
    subject: str = "professional",
    *,
    specialty: str | None = None,
    reverses: int | None = None,
    at: int | None = None,
) -> Entry:
    return Entry(
        id=next(_ids),
        occurred_at=china_ms(day) if at is None else at,
        kind=kind,
        subject=subject,  # type: ignore[arg-type]
        hours=round(hours * 100),
        specialty=specialty,
        reverses=reverses,
    )


def rows(found: Evaluation, rule: str) -> dict[str, RuleHours]:
    return {each.label: each for each in found.rules if each.rule == rule}


def row(found: Evaluation, rule: str) -> RuleHours:
    (only,) = rows(found, rule).values()
    return only
