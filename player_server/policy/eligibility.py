"""May this learner go through this gate, and if not, what is missing? The answer for the exam service, worked out.

What belongs here: the question, the answer's shape (the same that is sent and signed), and facts in, answer out.
Facts are read in `learning/eligibility_facts.py`; how rules count is in `hours.py`.

An enrolment is judged by the rules of its programme (`basis` rules). Where that cannot be, because the
certificate's dates are not recorded or this installation does not have the programme, it is judged by its
courses (`basis` courses): each of them must have all its hours. Whoever must rely on rules looks at `basis`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated, Literal

import msgspec

from .hours import DatesMissing, Enrolment, Entry, Evaluation, RuleHours, Standing, as_decimal, evaluate
from .periods import china_day
from .programmes import Gate, Name, Programme

Hours = Annotated[str, msgspec.Meta(pattern=r"^-?\d+\.\d\d$", description="Hours with two decimal places.")]
Day = Annotated[str, msgspec.Meta(description="A calendar day in China, YYYY-MM-DD.")]
Moment = Annotated[str, msgspec.Meta(description="RFC 3339, UTC.")]
Reason = Literal[
    "hours_missing",
    "too_late",
    "exam_passed",
    "not_enrolled",
    "learner_disabled",
    "date_out_of_range",
    "not_found",
]
#: Days outside of these are not judged: rules by anniversary have no end by themselves.
FIRST_DAY = date(2000, 1, 1)
DAYS_AHEAD = 3660


class EntryAnswer(msgspec.Struct, frozen=True, gc=False):
    """How much of one ledger entry counted."""

    entry: int
    hours: Hours


class RuleAnswer(msgspec.Struct, frozen=True, gc=False):
    """One rule in one period; by courses, one course. `begins`, `ends` and `last_day` are inclusive.

    `label`: the year or years, e.g. 2021; empty for a cycle, a round or a course. `last_day`: missing hours can be
    earned until then.
    """

    rule: str
    name: Name
    gate: Gate
    label: str
    begins: Day
    ends: Day | None
    last_day: Day | None
    state: Literal["met", "open", "upcoming", "lost"]
    required_hours: Hours
    counted_hours: Hours
    missing_hours: Hours
    entries: tuple[EntryAnswer, ...]


class EnrolmentAnswer(msgspec.Struct, frozen=True, gc=False):
    """One enrolment. `exam` passed: the exam is over, with `score` (points, decimal) if the exam service told one.

    `rule_version`: SHA-256 of the programme's rules. `days_left` is negative after the deadline.
    """

    enrolment: int
    programme: str
    name: Name | None
    basis: Literal["rules", "courses"]
    rule_version: str | None
    courses: tuple[int, ...]
    eligible: bool
    reasons: tuple[Reason, ...]
    standing: Literal["open", "warn", "late", "refused", "in_time"] | None
    deadline: Day | None
    days_left: int | None
    exam: Literal["open", "passed"]
    score: str | None
    rules: tuple[RuleAnswer, ...]


class LedgerPosition(msgspec.Struct, frozen=True, gc=False):
    """Where the ledger stood: its newest entry, and how many entries were in the signed log."""

    entry: int
    logged: int


class EligibilityAnswer(msgspec.Struct, frozen=True):
    """`eligible`: there is an enrolment that was asked for, and every one of them is eligible.

    `programme` and `course` repeat the question. Everything credited until `as_of` is in.
    """

    learner: int
    gate: Gate
    date: Day
    programme: str | None
    course: int | None
    eligible: bool
    reasons: tuple[Reason, ...]
    enrolments: tuple[EnrolmentAnswer, ...]
    as_of: Moment
    ledger: LedgerPosition


class Question(msgspec.Struct, frozen=True, gc=False):
    """`day` None: today. `programme` and `course` None: every enrolment."""

    learner_id: int
    gate: Gate = "exam"
    day: date | None = None
    programme: str | None = None
    course_id: int | None = None


class CourseFacts(msgspec.Struct, frozen=True, gc=False):
    """`videos`: (id, hundredths of hours) of those that are not withdrawn."""

    id: int
    title: str
    videos: tuple[tuple[int, int], ...] = ()


class CreditFacts(msgspec.Struct, frozen=True, gc=False):
    """A ledger entry, and the video and round it is of, if it is a video's."""

    entry: Entry
    video_id: int | None
    round: int


class EnrolmentFacts(msgspec.Struct, frozen=True, gc=False):
    """`programme` None: this installation does not have it. `score`: hundredths of a point of a pass that
    stands."""

    id: int
    programme_id: str
    programme: Programme | None
    version: str | None
    terms: Enrolment
    courses: tuple[CourseFacts, ...]
    passed: bool
    score: int | None


class LearnerFacts(msgspec.Struct, frozen=True, gc=False):
    """`rounds`: the newest round of each video that has more than one."""

    learner_id: int
    disabled: bool
    enrolments: tuple[EnrolmentFacts, ...]
    credits: tuple[CreditFacts, ...]
    rounds: dict[int, int]


def answer(
    facts: LearnerFacts, question: Question, *, today: date, as_of: str, ledger: LedgerPosition
) -> EligibilityAnswer:
    """The answer of this day; `today` is the calendar day in China."""
    day = question.day or today
    asked = [each for each in facts.enrolments if _is_asked(each, question)]
    judged: tuple[EnrolmentAnswer, ...] = ()
    if not FIRST_DAY <= day <= today + timedelta(days=DAYS_AHEAD):
        reasons: tuple[Reason, ...] = ("date_out_of_range",)
    elif facts.disabled:
        reasons = ("learner_disabled",)
    elif not asked:
        reasons = ("not_enrolled",)
    else:
        judged = tuple(judge(each, facts, question, day) for each in asked)
        reasons = tuple(dict.fromkeys(reason for each in judged for reason in each.reasons))
    return EligibilityAnswer(
        learner=facts.learner_id,
        gate=question.gate,
        date=day.isoformat(),
        programme=question.programme,
        course=question.course_id,
        eligible=bool(judged) and all(each.eligible for each in judged),
        reasons=reasons,
        enrolments=judged,
        as_of=as_of,
        ledger=ledger,
    )


def nobody(question: Question, *, today: date, as_of: str, ledger: LedgerPosition) -> EligibilityAnswer:
    """The answer in a batch for a learner that does not exist, or not for who asks."""
    return EligibilityAnswer(
        learner=question.learner_id,
        gate=question.gate,
        date=(question.day or today).isoformat(),
        programme=question.programme,
        course=question.course_id,
        eligible=False,
        reasons=("not_found",),
        enrolments=(),
        as_of=as_of,
        ledger=ledger,
    )


def judge(enrolment: EnrolmentFacts, facts: LearnerFacts, question: Question, day: date) -> EnrolmentAnswer:
    """One enrolment on one day."""
    evaluation = None
    if question.course_id is None and enrolment.programme is not None:
        try:
            evaluation = evaluate((each.entry for each in facts.credits), enrolment.terms, enrolment.programme, day)
        except DatesMissing:
            evaluation = None
    if evaluation is None:
        courses = [each for each in enrolment.courses if question.course_id in (None, each.id)]
        rules = tuple(_course_rule(each, enrolment, facts, day) for each in courses)
        enough = bool(rules) and all(rule.state == "met" for rule in rules)
        late = False
    else:
        rules = tuple(_rule(each) for each in evaluation.rules)
        enough = evaluation.exam if question.gate == "exam" else evaluation.complete
        late = evaluation.standing is Standing.REFUSED
    reasons: list[Reason] = []
    if not enough:
        reasons.append("too_late" if late else "hours_missing")
    if question.gate == "exam" and enrolment.passed:
        reasons.append("exam_passed")
    deadline = enrolment.terms.deadline if evaluation is None else evaluation.deadline
    return EnrolmentAnswer(
        enrolment=enrolment.id,
        programme=enrolment.programme_id,
        name=None if enrolment.programme is None else enrolment.programme.name,
        basis="courses" if evaluation is None else "rules",
        rule_version=None if evaluation is None else enrolment.version,
        courses=tuple(each.id for each in enrolment.courses),
        eligible=not reasons,
        reasons=tuple(reasons),
        standing=None if evaluation is None else _standing(evaluation),
        deadline=_day(deadline),
        days_left=None if deadline is None else (deadline - day).days,
        exam="passed" if enrolment.passed else "open",
        score=None if enrolment.score is None else as_decimal(enrolment.score),
        rules=rules,
    )


def credited_videos(facts: LearnerFacts, day: date) -> dict[int, CreditFacts]:
    """By video: the entry that gave its hours in its newest round, not later than this day, and that stands."""
    taken_back = {each.entry.reverses for each in facts.credits if each.entry.reverses is not None}
    return {
        each.video_id: each
        for each in facts.credits
        if each.video_id is not None
        and each.entry.reverses is None
        and each.entry.id not in taken_back
        and each.entry.hours > 0
        and each.round >= facts.rounds.get(each.video_id, 1)
        and china_day(each.entry.occurred_at) <= day
    }


def _is_asked(enrolment: EnrolmentFacts, question: Question) -> bool:
    if question.programme is not None and enrolment.programme_id != question.programme:
        return False
    return question.course_id is None or any(each.id == question.course_id for each in enrolment.courses)


def _course_rule(course: CourseFacts, enrolment: EnrolmentFacts, facts: LearnerFacts, day: date) -> RuleAnswer:
    credited = credited_videos(facts, day)
    counted = [(credited[video], hours) for video, hours in course.videos if video in credited]
    required = sum(hours for _, hours in course.videos)
    earned = sum(hours for _, hours in counted)
    # A course without videos is never complete: nobody has said yet what there is to earn.
    met = bool(course.videos) and len(counted) == len(course.videos)
    return RuleAnswer(
        rule=f"course:{course.id}",
        name=Name(course.title[:200], course.title[:200]),
        gate="exam",
        label="",
        begins=enrolment.terms.enrolled_on.isoformat(),
        ends=None,
        last_day=None,
        state="met" if met else "open",
        required_hours=as_decimal(required),
        counted_hours=as_decimal(earned),
        missing_hours=as_decimal(required - earned),
        entries=_entries((credit.entry.id, hours) for credit, hours in counted),
    )


def _rule(rule: RuleHours) -> RuleAnswer:
    return RuleAnswer(
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
        entries=_entries((each.entry_id, each.hours) for each in rule.entries),
    )


def _entries(counted: Iterable[tuple[int, int]]) -> tuple[EntryAnswer, ...]:
    return tuple([EntryAnswer(entry, as_decimal(hours)) for entry, hours in counted])


def _standing(evaluation: Evaluation) -> Literal["open", "warn", "late", "refused", "in_time"]:
    return evaluation.standing.value


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
