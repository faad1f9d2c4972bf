"""Which learners a list or an export is about: the filters of an address, and the predicates they mean.

The same filters stand in the address of the list of learners, in the figures of the dashboard, which lead there,
and in the arguments of an export. What is wrong in an address is left out, as if it had not been asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, exists, select

from player_server.auth.identity import TAIL, id_tail_hash
from player_server.learning.concerns import Concern, Share, State, concerns, share_case, state_case
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.storage.clock import wall_ms
from player_server.storage.standing_tables import course_standing, standing
from player_server.storage.tables import (
    enrolment,
    enrolment_course,
    learner,
    person,
)

#: Nobody's name or class is longer; what is, is cut.
LONGEST_TEXT = 50
_TAIL = re.compile(rf"[0-9]{{{TAIL - 1}}}[0-9Xx]")
_NUMBER = re.compile(r"[0-9]{1,15}")
_EPOCH = date(1970, 1, 1)


class Sort(StrEnum):
    """What a list is ordered by."""

    CLASS = "class"
    NAME = "name"
    HOURS = "hours"
    DEADLINE = "deadline"
    STUDIED = "studied"


_STATES = {each.value: each for each in State}
_CONCERNS = {each.value: each for each in Concern}
_SHARES = {each.value: each for each in Share}
_SORTS = {each.value: each for each in Sort}
#: How a class with no name is asked for.
NO_CLASS = "-"


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows a list down, and its order. Empty means: not asked for.

    `due_from` and `due_to` are days in China, both counted in, and ask for an enrolment with such a deadline.
    `share` is of all hours, or of those of `course_id` if there is one.
    """

    search: str = ""  # part of a name, or the last characters of an ID number
    class_name: str = ""  # NO_CLASS: those without one
    state: State | None = None
    concern: Concern | None = None
    share: Share | None = None
    programme: str = ""
    course_id: int | None = None
    institution_id: int | None = None  # within the scope: for a regulator that looks at all of them
    due_from: date | None = None
    due_to: date | None = None
    sort: Sort = Sort.CLASS
    descending: bool = False

    def query(self) -> dict[str, str]:
        """The reverse of `filters_from`: what to put into an address or into the arguments of a job."""
        values = {
            "q": self.search,
            "class": self.class_name,
            "state": self.state.value if self.state else "",
            "concern": self.concern.value if self.concern else "",
            "share": self.share.value if self.share else "",
            "programme": self.programme,
            "course": str(self.course_id or ""),
            "institution": str(self.institution_id or ""),
            "from": self.due_from.isoformat() if self.due_from else "",
            "to": self.due_to.isoformat() if self.due_to else "",
            "sort": "" if self.sort is Sort.CLASS else self.sort.value,
            "order": "desc" if self.descending else "",
        }
        return {name: value for name, value in values.items() if value}

    def without(self, name: str) -> Filters:
        """The same without the filter of this name in the query."""
        return filters_from({key: value for key, value in self.query().items() if key != name})

    @property
    def narrow(self) -> bool:
        """Whether anything is asked for but the order."""
        return replace(self, sort=Sort.CLASS, descending=False) != Filters()


def filters_from(query: Mapping[str, str]) -> Filters:
    """The filters of an address's query string (see `Filters.query` for the names)."""
    course, institution = query.get("course", ""), query.get("institution", "")
    return Filters(
        search=_text(query.get("q", "")),
        class_name=_text(query.get("class", "")),
        state=_STATES.get(query.get("state", "")),
        concern=_CONCERNS.get(query.get("concern", "")),
        share=_SHARES.get(query.get("share", "")),
        programme=_text(query.get("programme", "")),
        course_id=int(course) if _NUMBER.fullmatch(course) else None,
        institution_id=int(institution) if _NUMBER.fullmatch(institution) else None,
        due_from=china_day_of(query.get("from", "")),
        due_to=china_day_of(query.get("to", "")),
        sort=_SORTS.get(query.get("sort", ""), Sort.CLASS),
        descending=query.get("order") == "desc",
    )


def roster_where(services: Services, scope: StaffScope, filters: Filters) -> list[ColumnElement[bool]]:
    """Predicates over table `learner`: who is in this scope and fits these filters."""
    found = scope.learners()
    if filters.narrow:
        found.append(
            learner.c.id.in_(select(standing.c.learner_id).where(*standing_where(services, scope, filters)))
        )
    return found


def standing_where(services: Services, scope: StaffScope, filters: Filters) -> list[ColumnElement[bool]]:
    """The same over table `standing`, which has a row for each learner."""
    # The wall clock: a list shows where people stand, nothing is counted from it.
    now = wall_ms()
    found = [*scope.over(standing.c), *_search(services, filters), *_enrolled(filters)]
    if filters.class_name == NO_CLASS:
        found.append(standing.c.class_name.is_(None))
    elif filters.class_name:
        found.append(standing.c.class_name == filters.class_name)
    if filters.institution_id is not None:
        found.append(standing.c.institution_id == filters.institution_id)
    if filters.state is not None:
        found.append(state_case(now) == filters.state.value)
    if filters.share is not None and filters.course_id is None:
        found.append(share_case(standing.c) == filters.share.value)
    if filters.concern is not None:
        found.append(concerns(filters.concern, now))
    return found


def order_of(filters: Filters) -> list[ColumnElement[Any]]:
    """What to order rows of `standing` by; the learner's id makes it one order."""
    row = standing.c
    first: dict[Sort, list[Column[Any]]] = {
        Sort.CLASS: [row.class_name],
        Sort.NAME: [row.name],
        Sort.HOURS: [row.earned],
        Sort.DEADLINE: [row.deadline],
        Sort.STUDIED: [row.studied_at],
    }
    columns = first[filters.sort]
    ordered = [each.desc() if filters.descending else each.asc() for each in columns]
    # Said where it changes nothing, it would keep PostgreSQL from going through the index backwards.
    if any(each.nullable for each in columns):
        ordered = [each.nulls_last() for each in ordered]
    return [*ordered, row.learner_id.desc() if filters.descending else row.learner_id.asc()]


def _search(services: Services, filters: Filters) -> list[ColumnElement[bool]]:
    if not filters.search:
        return []
    if _TAIL.fullmatch(filters.search):
        who = person.c.id_tail_hash == id_tail_hash(services.keys, filters.search.upper())
        found = select(learner.c.id).join(person, person.c.id == learner.c.person_id).where(who)
        return [standing.c.learner_id.in_(found)]
    return [standing.c.name.icontains(filters.search, autoescape=True)]


def _enrolled(filters: Filters) -> list[ColumnElement[bool]]:
    """One enrolment must fit everything that is asked about enrolments."""
    wanted: list[ColumnElement[bool]] = []
    if filters.programme:
        wanted.append(enrolment.c.programme == filters.programme)
    if filters.due_from is not None:
        wanted.append(enrolment.c.deadline >= start_of_day_ms(filters.due_from))
    if filters.due_to is not None:
        wanted.append(enrolment.c.deadline < start_of_day_ms(filters.due_to + timedelta(days=1)))
    if filters.course_id is not None:
        course = enrolment_course.c
        wanted.append(exists().where(course.enrolment_id == enrolment.c.id, course.course_id == filters.course_id))
    found: list[ColumnElement[bool]] = []
    if wanted:
        own = and_(enrolment.c.learner_id == standing.c.learner_id, enrolment.c.withdrawn_at.is_(None), *wanted)
        found.append(exists().where(own))
    if filters.course_id is not None and filters.share is not None:
        found.append(
            exists().where(
                course_standing.c.learner_id == standing.c.learner_id,
                course_standing.c.course_id == filters.course_id,
                share_case(course_standing.c) == filters.share.value,
            )
        )
    return found


def _text(value: str) -> str:
    # PostgreSQL refuses a NUL in a text, and nobody has one in the name.
    return value.replace("\0", "").encode(errors="ignore").decode()[:LONGEST_TEXT].strip()


def china_day_of(value: str) -> date | None:
    """A day as addresses have it, `2026-11-20`; None for anything else, and for years that are a slip."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    return day if 1980 <= day.year <= 2100 else None


def start_of_day_ms(day: date) -> int:
    """When this day began in China, UTC ms."""
    return (day - _EPOCH).days * DAY_MS - CHINA_OFFSET_MS
