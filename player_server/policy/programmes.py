"""What a programme is: a named set of hour rules, and its version.

What belongs here: the content that the evaluator of `policy/hours.py` works on, and which combinations make no
sense. How operators write programmes down is in `programme_document.py`; `learning/programmes.py` reads the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from .course_folder import Subject

Kind = Literal["online", "offline", "employer", "test"]
Gate = Literal["exam", "cycle"]
# cycle: from issue to expiry. year, two_years: by anniversary, one after the other. last_two_years: from the second
# year on, each year together with the one before it. round: from the day of the enrolment on.
Period = Literal["cycle", "year", "two_years", "last_two_years", "round"]

KINDS: tuple[Kind, ...] = ("online", "offline", "employer", "test")
SUBJECTS: tuple[Subject, ...] = ("public", "professional", "elective")

#: Periods that are counted by the anniversary of the issue date.
BY_ANNIVERSARY: frozenset[Period] = frozenset(("year", "two_years", "last_two_years"))

Days = Annotated[int, msgspec.Meta(ge=0, le=3660)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Name(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same name in Chinese and in English."""

    zh: Words
    en: Words


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A minimum of `hours` (hundredths) of these kinds and subjects in each period.

    `gate`: what it holds shut: `exam`, or `cycle` for what may come after the exam. `make_up`: what a year lacks
    may be earned in the year after it.
    """

    name: Name
    hours: Annotated[int, msgspec.Meta(gt=0, le=1_000_000)]
    period: Period
    gate: Gate
    kinds: tuple[Kind, ...] = KINDS
    subjects: tuple[Subject, ...] = SUBJECTS
    make_up: bool = False


class Finish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything for the exam is due `days_before_expiry`; pages warn from `warn_days_before_expiry` on.

    After the due day a learner is late but still accepted until the day `refuse_after` names.
    """

    days_before_expiry: Days
    warn_days_before_expiry: Days
    refuse_after: Literal["expiry", "deadline"] = "expiry"


class Programme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rules` by their key, in the file's order.

    `shared`: hours of these subjects count for all specialties and posts of a learner, others only for their own.
    `online_after`: rules that must be met before online study opens. `years_begin`: where the first year starts.
    """

    name: Name
    rules: dict[str, Rule]
    shared: tuple[Subject, ...] = ()
    online_after: tuple[str, ...] = ()
    years_begin: Literal["issue", "one_year_after_issue"] = "one_year_after_issue"
    finish: Finish | None = None

    @property
    def needs_issue(self) -> bool:
        """Whether an enrolment without an issue date cannot be judged."""
        return any(rule.period != "round" for rule in self.rules.values())

    @property
    def needs_expiry(self) -> bool:
        """Whether an enrolment without an expiry date cannot be judged."""
        return self.finish is not None or any(rule.period == "cycle" for rule in self.rules.values())


def encode(programme: Programme) -> bytes:
    """The canonical form: UTF-8 JSON, keys sorted, defaults written out.

    Comments, layout and the order of rules are no part of it: they change no answer.
    """
    return msgspec.json.encode(programme, order="sorted")


def version_of(programme: Programme) -> str:
    """The rule version: the SHA-256 of the canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(encode(programme)).hexdigest()


def contradictions(programme: Programme) -> Iterator[tuple[str, str]]:
    """(key, message) for everything that is well formed and still makes no sense."""
    if not programme.rules:
        yield "rules", "a programme needs at least one rule"
    for key, rule in programme.rules.items():
        for part, listed in (("kinds", rule.kinds), ("subjects", rule.subjects)):
            yield from _list_problems(f"rules.{key}.{part}", listed)
            if not listed:
                yield f"rules.{key}.{part}", "must not be empty; leave the key out if all of them count"
        if rule.make_up and rule.period != "year":
            yield f"rules.{key}.make_up", "only a rule with period: year can be made up in the year after it"
    yield from _list_problems("shared", programme.shared)
    yield from _list_problems("online_after", programme.online_after)
    for name in programme.online_after:
        wanted = programme.rules.get(name)
        if wanted is None:
            yield "online_after", f"there is no rule {name}; known: {', '.join(programme.rules)}"
        elif "online" in wanted.kinds:
            yield "online_after", f"the rule {name} counts online hours, so it could never open online study"
    finish = programme.finish
    if finish is not None:
        if finish.warn_days_before_expiry < finish.days_before_expiry:
            yield "finish.warn_days_before_expiry", "must not be less than days_before_expiry"
        if all(rule.gate != "exam" for rule in programme.rules.values()):
            yield "finish", "is about the rules with gate: exam, and there are none"


def _list_problems(key: str, listed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(set(listed)) != len(listed):
        yield key, "names something twice"
