"""What somebody should look at: each concern as a predicate over table `standing`, for lists and for counts."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS, SCALES
from player_server.storage.exam_tables import exam_result
from player_server.storage.person_tables import appeal
from player_server.storage.standing_tables import standing
from player_server.storage.tables import challenge, finding, learner, playback

#: A deadline is near from so many days before it on.
NEAR_DAYS = 14
#: What happened within so many days is recent.
RECENT_DAYS = 7


class State(StrEnum):
    """Where a learner stands; each is in exactly one state, the first of this list that fits."""

    DISABLED = "disabled"
    NO_COURSE = "no_course"
    COMPLETE = "complete"  # every course has its hours
    LATE = "late"  # the deadline is over
    OFFLINE_MISSING = "offline_missing"  # the player stays shut until the hours in class are recorded
    NOT_STARTED = "not_started"
    BEHIND = "behind"  # a smaller share of the hours than of the time is over
    ON_TIME = "on_time"


class Concern(StrEnum):
    """What somebody should look at; a learner may be in several."""

    NEAR = "near"  # the deadline is near and hours are missing
    MISSED = "missed"  # missed a check recently
    REVIEW = "review"  # has recent findings worth a look
    APPEAL = "appeal"  # waits for an answer
    WATCHING = "watching"  # has a live player
    EXAM_PASSED = "exam_passed"
    EXAM_FAILED = "exam_failed"  # sat the exam and has not passed it


class Share(StrEnum):
    """How much of the hours somebody has, in steps; the value stands in addresses."""

    NONE = "0"
    FIRST = "1-24"
    SECOND = "25-49"
    THIRD = "50-74"
    FOURTH = "75-99"
    ALL = "100"


def concerns(concern: Concern, now: int) -> ColumnElement[bool]:
    """Who it is about at `now` (UTC ms)."""
    match concern:
        case Concern.NEAR:
            return is_near(now)
        case Concern.MISSED:
            return missed_lately(now)
        case Concern.REVIEW:
            lately = found_lately(now).subquery()
            return standing.c.learner_id.in_(select(lately.c.learner_id))
        case Concern.APPEAL:
            return standing.c.learner_id.in_(select(appeal.c.learner_id).where(appeal.c.state == "open"))
        case Concern.WATCHING:
            live = select(playback.c.learner_id).where(playback.c.ended_reason.is_(None))
            return standing.c.learner_id.in_(live)
        case Concern.EXAM_PASSED:
            return exam_passed()
        case Concern.EXAM_FAILED:
            return exam_failed()


def state_case(now: int) -> ColumnElement[str]:
    """The state of a row of `standing` at `now` (UTC ms), as the value of a `State`."""
    row = standing.c
    return case(
        (row.disabled, State.DISABLED.value),
        (row.courses == 0, State.NO_COURSE.value),
        (row.complete, State.COMPLETE.value),
        (row.deadline < now, State.LATE.value),
        (row.offline_missing, State.OFFLINE_MISSING.value),
        (and_(row.studied_at.is_(None), row.earned == 0), State.NOT_STARTED.value),
        (row.earned * (row.deadline - row.begins) < row.required * (now - row.begins), State.BEHIND.value),
        else_=State.ON_TIME.value,
    )


def share_case(columns: Any) -> ColumnElement[str]:
    """The share of a row of `standing` or `course_standing`, as the value of a `Share`; `columns` is its `.c`."""
    earned, required = columns.earned * 100, columns.required
    return case(
        (columns.earned <= 0, Share.NONE.value),
        (earned < 25 * required, Share.FIRST.value),
        (earned < 50 * required, Share.SECOND.value),
        (earned < 75 * required, Share.THIRD.value),
        (earned < 100 * required, Share.FOURTH.value),
        else_=Share.ALL.value,
    )


def is_near(now: int) -> ColumnElement[bool]:
    """A deadline that comes soon, with too few hours: who is on time will manage, the others need a call."""
    row = standing.c
    soon = func.coalesce(and_(row.deadline >= now, row.deadline < now + NEAR_DAYS * DAY_MS), False)
    return and_(
        soon,
        state_case(now).in_([State.BEHIND.value, State.NOT_STARTED.value, State.OFFLINE_MISSING.value]),
    )


def missed_lately(now: int) -> ColumnElement[bool]:
    """Missed a check recently."""
    row = challenge.c
    since = now - RECENT_DAYS * DAY_MS
    missed = select(row.learner_id).where(row.outcome == "missed", row.issued_at >= since)
    return standing.c.learner_id.in_(missed)


def exam_passed() -> ColumnElement[bool]:
    """Has a pass that stands."""
    row = exam_result.c
    return standing.c.learner_id.in_(select(row.learner_id).where(row.outcome == "passed", row.voided_at.is_(None)))


def exam_failed() -> ColumnElement[bool]:
    """Has a result, but no pass that stands."""
    return and_(standing.c.learner_id.in_(select(exam_result.c.learner_id)), ~exam_passed())


def found_lately(now: int) -> Select[Any]:
    """`learner_id`, `kind`, `times` and `measure` of recent findings that are rated more than informational, put
    together by learner, kind and China day as policy.findings.rate wants them."""
    row = finding.c
    day = (row.last_at + CHINA_OFFSET_MS) // DAY_MS
    times, measure = func.sum(row["count"]), func.max(row.worst)
    reached = [
        and_(row.kind == kind.value, reached)
        for kind, scale in SCALES.items()
        for limit, value in ((scale.review_count, times), (scale.review_measure, measure))
        if limit is not None
        for reached in (value >= limit,)
    ]
    return (
        select(learner.c.id.label("learner_id"), row.kind, times.label("times"), measure.label("measure"))
        .join(learner, learner.c.person_id == row.person_id)
        # What concerns the person, and not one account, concerns all of the person's institutions.
        .where(
            row.last_at >= now - RECENT_DAYS * DAY_MS, or_(row.learner_id.is_(None), row.learner_id == learner.c.id)
        )
        .group_by(learner.c.id, row.kind, day)
        .having(or_(*reached))
    )
