"""Hours: whether a learner has what a programme asks for, rule by rule, and how hours are written for people.

What belongs here: (ledger entries, enrolment, programme, day) → what is required, counted and missing, which
entries counted, and how the deadline stands. Hours are whole hundredths, so that sums are exact; days are calendar
days in China. Which days a rule speaks of is in `periods.py`, what a programme may say in `programmes.py`.

The order of entries changes nothing, and an entry that is no reversal never makes a complete learner incomplete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

from .course_folder import Subject
from .periods import Span, china_day, spans
from .programmes import Gate, Kind, Name, Programme, Rule


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the ledger: `occurred_at` in UTC ms, `hours` in hundredths.

    `specialty` is that of the entry's course; None counts for every specialty. An entry that `reverses` another one
    cancels it wholly and counts nothing itself.
    """

    id: int
    occurred_at: int
    kind: Kind
    subject: Subject
    hours: int
    specialty: str | None = None
    reverses: int | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment says to the rules. Both certificate dates are inclusive; `expires_on` is its last day.

    `deadline` is the institution's own and goes before the programme's. `specialties` are those of its courses.
    """

    enrolled_on: date
    issued_on: date | None = None
    expires_on: date | None = None
    deadline: date | None = None
    specialties: frozenset[str] = frozenset()


class DatesMissing(ValueError):
    """The enrolment lacks dates that its programme cannot be judged without."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"the enrolment has no {' and no '.join(missing)}")
        self.missing = tuple(missing)


class RuleState(StrEnum):
    MET = "met"
    OPEN = "open"
    UPCOMING = "upcoming"  # its period has not begun
    LOST = "lost"  # the last day for it is over, and hours are missing


class Standing(StrEnum):
    """How the hours for the exam stand to the deadline."""

    OPEN = "open"
    WARN = "warn"
    LATE = "late"  # after the deadline; accepted all the same
    REFUSED = "refused"  # too late for good
    IN_TIME = "in_time"  # finished, not later than the deadline


class Counted(msgspec.Struct, frozen=True, gc=False):
    """How much of one ledger entry counted, in hundredths; it may be split where a year makes up for another."""

    entry_id: int
    hours: int


class RuleHours(msgspec.Struct, frozen=True):
    """One rule in one period. Hours in hundredths; `counted` may be more than `required`.

    `begins` and `ends` are inclusive (`ends` None: open); `last_day` is the last one on which missing hours can be
    earned, later than `ends` where they can be made up. `label` names the year or years, e.g. `2021`.
    """

    rule: str
    name: Name
    gate: Gate
    label: str
    begins: date
    ends: date | None
    last_day: date | None
    state: RuleState
    required: int
    counted: int
    entries: tuple[Counted, ...]

    @property
    def missing(self) -> int:
        return max(0, self.required - self.counted)

    @property
    def met(self) -> bool:
        return self.counted >= self.required


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer for one enrolment on one day. `days_left` counts calendar days and is negative after the deadline.

    `online_open`: every rule that online study has to wait for is met.
    """

    rules: tuple[RuleHours, ...]
    deadline: date | None
    days_left: int | None
    standing: Standing
    online_open: bool

    @property
    def exam(self) -> bool:
        """Whether the exam may be taken. A programme that asks for nothing before it is asked for as a whole."""
        return self.standing is not Standing.REFUSED and _holds(self.rules, "exam")

    @property
    def complete(self) -> bool:
        """Whether nothing at all is missing. Where nothing can be asked for yet, nothing is complete."""
        return self.standing is not Standing.REFUSED and _holds(self.rules, "cycle")


def evaluate(entries: Iterable[Entry], enrolment: Enrolment, programme: Programme, today: date) -> Evaluation:
    """How this enrolment stands on `today` (a calendar day in China).

    Entries of later days do not count yet; reversals count from the start, because what they take back was never
    right. Raises DatesMissing.
    """
    _require_dates(enrolment, programme)
    hours = _valid(entries, enrolment, programme, today)
    rules = _all_rules(hours, enrolment, programme, today)
    deadline = _deadline(enrolment, programme)
    waiting = [each for each in rules if each.rule in programme.online_after]
    return Evaluation(
        rules=rules,
        deadline=deadline,
        days_left=None if deadline is None else (deadline - today).days,
        standing=_standing(hours, rules, enrolment, programme, today),
        online_open=all(each.met for each in waiting),
    )


class _Hours(msgspec.Struct, frozen=True, gc=False):
    """An entry that stands, on its day in China."""

    day: date
    entry: Entry


def _require_dates(enrolment: Enrolment, programme: Programme) -> None:
    missing = []
    if programme.needs_issue and enrolment.issued_on is None:
        missing.append("issue date")
    if programme.needs_expiry and enrolment.expires_on is None:
        missing.append("expiry date")
    if missing:
        raise DatesMissing(missing)


def _valid(entries: Iterable[Entry], enrolment: Enrolment, programme: Programme, today: date) -> list[_Hours]:
    by_id = {each.id: each for each in entries}
    reversed_ids = {each.reverses for each in by_id.values() if each.reverses is not None}
    valid = [
        _Hours(china_day(each.occurred_at), each)
        for each in by_id.values()
        if each.reverses is None and each.id not in reversed_ids and each.hours > 0
        if each.specialty is None or each.subject in programme.shared or each.specialty in enrolment.specialties
    ]
    # In a fixed order, so that a split for a make-up always falls on the same entries.
    return sorted((each for each in valid if each.day <= today), key=lambda each: (each.day, each.entry.id))


def _all_rules(
    hours: Sequence[_Hours], enrolment: Enrolment, programme: Programme, today: date
) -> tuple[RuleHours, ...]:
    return tuple(
        result
        for key, rule in programme.rules.items()
        for result in _one_rule(key, rule, hours, enrolment, programme, today)
    )


def _one_rule(
    key: str, rule: Rule, hours: Sequence[_Hours], enrolment: Enrolment, programme: Programme, today: date
) -> Iterable[RuleHours]:
    matching = [each for each in hours if each.entry.kind in rule.kinds and each.entry.subject in rule.subjects]
    # Hundredths of an entry that an earlier year has taken. A year's gap is filled before the following year keeps
    # anything for itself: its own gap has a later last day, so this order completes whatever can be completed.
    taken: dict[int, int] = {}
    for span in spans(
        rule.period,
        today,
        enrolled_on=enrolment.enrolled_on,
        issued_on=enrolment.issued_on,
        expires_on=enrolment.expires_on,
        first_year=1 if programme.years_begin == "one_year_after_issue" else 0,
    ):
        inside = [each.entry for each in matching if span.holds(each.day)]
        if taken:
            counted = [
                Counted(each.id, each.hours - taken.get(each.id, 0))
                for each in inside
                if each.hours > taken.get(each.id, 0)
            ]
        else:
            counted = [Counted(each.id, each.hours) for each in inside]
        earned = sum(each.hours for each in counted)
        last_day = span.ends
        if rule.make_up and span.make_up_until is not None and span.ends is not None:
            last_day = span.make_up_until
            later = [each.entry for each in matching if span.ends < each.day <= span.make_up_until]
            # A year that can no longer be filled takes nothing: those hours do more good where they were earned.
            if today <= span.make_up_until or earned + sum(each.hours for each in later) >= rule.hours:
                made_up = _take(later, rule.hours - earned, taken)
                counted += made_up
                earned += sum(each.hours for each in made_up)
        yield RuleHours(
            rule=key,
            name=rule.name,
            gate=rule.gate,
            label=span.label,
            begins=span.begins,
            ends=span.ends,
            last_day=last_day,
            state=_state(earned >= rule.hours, span, last_day, today),
            required=rule.hours,
            counted=earned,
            entries=tuple(counted),
        )


def _take(entries: Sequence[Entry], wanted: int, taken: dict[int, int]) -> list[Counted]:
    """Take up to `wanted` hundredths from these entries, the earliest first, and note them in `taken`."""
    parts = []
    for entry in entries:
        part = min(wanted, entry.hours)
        if part <= 0:
            break
        taken[entry.id] = part
        wanted -= part
        parts.append(Counted(entry.id, part))
    return parts


def _state(met: bool, span: Span, last_day: date | None, today: date) -> RuleState:
    if met:
        return RuleState.MET
    if today < span.begins:
        return RuleState.UPCOMING
    return RuleState.LOST if last_day is not None and last_day < today else RuleState.OPEN


def _holds(rules: Collection[RuleHours], gate: Gate) -> bool:
    """Whether the rules of this gate are met; the cycle's gate asks for all of them."""
    behind = [each for each in rules if each.gate == "exam"] if gate == "exam" else []
    asked = behind or rules
    return bool(asked) and all(each.met for each in asked)


def _deadline(enrolment: Enrolment, programme: Programme) -> date | None:
    if enrolment.deadline is not None:
        return enrolment.deadline
    if programme.finish is None or enrolment.expires_on is None:
        return None
    return enrolment.expires_on - timedelta(days=programme.finish.days_before_expiry)


def _standing(
    hours: Sequence[_Hours], rules: Sequence[RuleHours], enrolment: Enrolment, programme: Programme, today: date
) -> Standing:
    deadline = _deadline(enrolment, programme)
    if deadline is None:
        return Standing.OPEN

    def finished_by(day: date) -> bool:
        if not _holds(rules, "exam"):
            return False
        early = [each for each in hours if each.day <= day]
        return len(early) == len(hours) or _holds(_all_rules(early, enrolment, programme, today), "exam")

    if finished_by(deadline):
        return Standing.IN_TIME
    finish = programme.finish
    if finish is not None and enrolment.expires_on is not None:
        last_day = deadline if finish.refuse_after == "deadline" else enrolment.expires_on
        if today > last_day and not finished_by(last_day):
            return Standing.REFUSED
        warn_from = enrolment.expires_on - timedelta(days=finish.warn_days_before_expiry)
        if warn_from <= today <= deadline:
            return Standing.WARN
    return Standing.LATE if today > deadline else Standing.OPEN


@lru_cache(maxsize=4096)
def as_decimal(hundredths: int) -> str:
    """Always with two places, for interfaces: 150 → "1.50", -50 → "-0.50"."""
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{rest:02d}"


def as_words(hundredths: int) -> str:
    """Without needless zeros, for pages: 150 → "1.5", 200 → "2"."""
    return as_decimal(hundredths).rstrip("0").rstrip(".")
