"""Which learners a list or an export is about: the filters of an address, and the predicates they mean.

The same filters stand in the address of the list of learners, in the figures of the dashboard, which lead there,
and in the arguments of an export. What is wrong in an address is left out, as if it had not been asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, select

from player_server.auth.identity import TAIL, id_tail_hash
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.storage.tables import enrolment, enrolment_course, learner, person

#: Nobody's name or class is longer; what is, is cut.
LONGEST_TEXT = 50
_TAIL = re.compile(rf"[0-9]{{{TAIL - 1}}}[0-9Xx]")
_NUMBER = re.compile(r"[0-9]{1,15}")
_EPOCH = date(1970, 1, 1)


class State(StrEnum):
    """Where a learner stands; each is in exactly one state, the first of this list that fits."""

    DISABLED = "disabled"
    COMPLETE = "complete"  # every course has its hours
    OFFLINE_MISSING = "offline_missing"  # the player stays shut until the hours in class are recorded
    LATE = "late"  # the deadline is over
    NOT_STARTED = "not_started"
    BEHIND = "behind"  # a smaller share of the hours than of the time is over
    ON_TIME = "on_time"


_STATES = {each.value: each for each in State}


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows a list down. Empty means: not asked for. `due_from` and `due_to` are days in China, both counted
    in, and ask for an enrolment with such a deadline."""

    search: str = ""  # part of a name, or the last characters of an ID number
    class_name: str = ""
    state: State | None = None
    programme: str = ""
    course_id: int | None = None
    due_from: date | None = None
    due_to: date | None = None

    def query(self) -> dict[str, str]:
        """The reverse of `filters_from`: what to put into an address or into the arguments of a job."""
        values = {
            "q": self.search,
            "class": self.class_name,
            "state": self.state.value if self.state else "",
            "programme": self.programme,
            "course": str(self.course_id or ""),
            "from": self.due_from.isoformat() if self.due_from else "",
            "to": self.due_to.isoformat() if self.due_to else "",
        }
        return {name: value for name, value in values.items() if value}


def filters_from(query: Mapping[str, str]) -> Filters:
    """The filters of an address's query string (see `Filters.query` for the names)."""
    state, course = query.get("state", ""), query.get("course", "")
    return Filters(
        search=_text(query.get("q", "")),
        class_name=_text(query.get("class", "")),
        state=_STATES.get(state),
        programme=_text(query.get("programme", "")),
        course_id=int(course) if _NUMBER.fullmatch(course) else None,
        due_from=_day(query.get("from", "")),
        due_to=_day(query.get("to", "")),
    )


def roster_where(services: Services, scope: StaffScope, filters: Filters) -> list[ColumnElement[bool]]:
    """Predicates over table `learner`: who is in this scope and fits these filters."""
    return [*scope.learners(), *_search(services, filters), *_enrolled(filters)]


def _search(services: Services, filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.class_name:
        found.append(learner.c.class_name == filters.class_name)
    if filters.search:
        if _TAIL.fullmatch(filters.search):
            who = person.c.id_tail_hash == id_tail_hash(services.keys, filters.search.upper())
        else:
            who = person.c.name.icontains(filters.search, autoescape=True)
        found.append(learner.c.person_id.in_(select(person.c.id).where(who)))
    return found


def _enrolled(filters: Filters) -> list[ColumnElement[bool]]:
    """One enrolment must fit everything that is asked about enrolments."""
    wanted: list[ColumnElement[bool]] = []
    if filters.programme:
        wanted.append(enrolment.c.programme == filters.programme)
    if filters.due_from is not None:
        wanted.append(enrolment.c.deadline >= _start_ms(filters.due_from))
    if filters.due_to is not None:
        wanted.append(enrolment.c.deadline < _start_ms(filters.due_to + timedelta(days=1)))
    if filters.course_id is not None:
        wanted.append(
            exists().where(
                enrolment_course.c.enrolment_id == enrolment.c.id,
                enrolment_course.c.course_id == filters.course_id,
            )
        )
    if not wanted:
        return []
    return [
        exists().where(
            and_(enrolment.c.learner_id == learner.c.id, enrolment.c.withdrawn_at.is_(None), *wanted),
        )
    ]


def _text(value: str) -> str:
    # PostgreSQL refuses a NUL in a text, and nobody has one in the name.
    return value.replace("\0", "").encode(errors="ignore").decode()[:LONGEST_TEXT].strip()


def _day(value: str) -> date | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if 1980 <= day.year <= 2100 else None


def _start_ms(day: date) -> int:
    """When this day began in China, UTC ms."""
    return (day - _EPOCH).days * DAY_MS - CHINA_OFFSET_MS
