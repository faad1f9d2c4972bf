"""The figures of the staff's first page: what needs action, how far everybody is, hours a day, exams, findings.

All of it is counted from roll-ups and from what happened lately, so that it does not grow with the history.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.concerns import (
    RECENT_DAYS,
    Share,
    State,
    exam_failed,
    exam_passed,
    found_lately,
    is_near,
    missed_lately,
    share_case,
    state_case,
)
from player_server.learning.services import Services
from player_server.learning.staff import classes_of
from player_server.learning.staff_scope import StaffScope
from player_server.policy.findings import DAY_MS, Rating, china_day, rate
from player_server.storage.job_tables import job
from player_server.storage.person_tables import appeal
from player_server.storage.standing_tables import course_standing, daily_hours, standing, standing_change
from player_server.storage.tables import course, institution
from telemetry.findings import FindingKind

#: The chart of hours has so many days, today included.
DAYS = 30
#: Figures are worked out at most once in so many seconds for one scope, however many look at them.
FRESH_S = 5.0
#: A class that was just made may be missing in the filters so long.
CLASSES_S = 30.0
#: Scopes whose figures are kept; the oldest go first.
MOST_KEPT = 200
#: So many changes that nobody has worked off yet take longer than people wait without a word.
MANY = 1_000

Scope = tuple[int | None, frozenset[str] | None]


@dataclass(slots=True)
class Group:
    """A class, a course, or for a regulator an institution. `key` is what a filter asks for; None: no class."""

    key: str | None
    name: str | None
    total: int = 0
    shares: Counter[Share] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)

    @property
    def behind(self) -> int:
        """How many of them somebody should look after."""
        return self.states[State.LATE] + self.states[State.BEHIND]


@dataclass(frozen=True, slots=True)
class FoundKind:
    """Learners with findings of one kind that are worth a look."""

    kind: FindingKind
    learners: int
    serious: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page but who watches now. Counts are learners unless the name says otherwise; `as_of` is
    UTC ms of the store's clock, `hours` are (China day, hundredths of hours)."""

    as_of: int
    following: bool  # so much was changed at once that the figures are still behind
    total: int
    states: Counter[State]
    near: int
    missed: int
    appeals: int  # not learners: each waits for an answer
    failed_imports: int  # jobs
    groups: tuple[Group, ...]  # classes, or institutions of a regulator; who needs help first
    by_institution: bool
    courses: tuple[Group, ...]
    hours: tuple[tuple[int, int], ...]
    exam_passed: int
    exam_failed: int
    findings: tuple[FoundKind, ...]
    found: int  # learners with any finding worth a look


class Dashboards:
    """The figures of each scope, worked out once for all who look within FRESH_S."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: dict[Scope, tuple[float, asyncio.Task[Figures]]] = {}
        self._classes: dict[Scope, tuple[float, list[str]]] = {}

    async def classes(self, scope: StaffScope) -> list[str]:
        """The names of the scope's classes, at most CLASSES_S old: for what a filter offers."""
        key, now = (scope.institution_id, scope.classes), time.monotonic()
        made_at, found = self._classes.get(key, (0.0, None))
        if found is None or now - made_at > CLASSES_S:
            _make_room(self._classes)
            found = await classes_of(self._services, scope)
            self._classes[key] = (now, found)
        return found

    async def figures(self, scope: StaffScope) -> Figures:
        """At most FRESH_S old."""
        key = (scope.institution_id, scope.classes)
        made_at, task = self._kept.get(key, (0.0, None))
        now = time.monotonic()
        if task is None or now - made_at > FRESH_S or (task.done() and task.exception() is not None):
            self._kept.pop(key, None)
            _make_room(self._kept)
            task = asyncio.create_task(read_figures(self._services, scope))
            self._kept[key] = (now, task)
        # Who goes away must not take the figures from others who wait for them.
        return await asyncio.shield(task)


def _make_room(kept: dict[Scope, Any]) -> None:
    while len(kept) >= MOST_KEPT:
        kept.pop(next(iter(kept)))


async def read_figures(services: Services, scope: StaffScope) -> Figures:
    """The figures of this moment."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        groups, states, near = await _groups(conn, scope, now)
        findings, found = await _findings(conn, scope, now)
        return Figures(
            as_of=now,
            following=await _following(conn),
            total=sum(each.total for each in groups),
            states=states,
            near=near,
            missed=await _count(conn, scope, missed_lately(now)),
            appeals=await _appeals(conn, scope),
            failed_imports=await _failed_imports(conn, scope, now),
            groups=groups,
            by_institution=scope.institution_id is None,
            courses=await _course_groups(conn, scope),
            hours=await _hours(conn, scope, now),
            exam_passed=await _count(conn, scope, exam_passed()),
            exam_failed=await _count(conn, scope, exam_failed()),
            findings=findings,
            found=found,
        )


async def _following(conn: AsyncConnection) -> bool:
    some = select(standing_change.c.id).limit(MANY).subquery()
    return await conn.scalar(select(func.count()).select_from(some)) == MANY


async def _groups(
    conn: AsyncConnection, scope: StaffScope, now: int
) -> tuple[tuple[Group, ...], Counter[State], int]:
    """Everybody by class (of all institutions: by institution), state and share: the one scan of the roll-up."""
    everywhere = scope.institution_id is None
    place: ColumnElement[Any] = standing.c.institution_id if everywhere else standing.c.class_name
    columns = (
        place.label("place"),
        state_case(now).label("state"),
        share_case(standing.c).label("share"),
        is_near(now).label("near"),
    )
    inner = select(*columns).where(*scope.over(standing.c)).subquery()
    query = select(inner, func.count().label("people")).group_by(*inner.c)
    names: dict[Any, str] = {}
    if everywhere:
        names = {row.id: row.name for row in await conn.execute(select(institution.c.id, institution.c.name))}
    found: dict[Any, Group] = {}
    states: Counter[State] = Counter()
    near = 0
    for row in await conn.execute(query):
        key = None if row.place is None else str(row.place)
        group = found.setdefault(key, Group(key, names.get(row.place, row.place)))
        _add(group, row)
        group.states[State(row.state)] += row.people
        states[State(row.state)] += row.people
        near += row.people if row.near else 0
    return tuple(sorted(found.values(), key=lambda each: (-each.behind, each.name or ""))), states, near


async def _course_groups(conn: AsyncConnection, scope: StaffScope) -> tuple[Group, ...]:
    inner = (
        select(course_standing.c.course_id, share_case(course_standing.c).label("share"))
        .where(*scope.over(course_standing.c))
        .subquery()
    )
    counts = select(inner, func.count().label("people")).group_by(*inner.c).subquery()
    query = select(counts, course.c.title).join(course, course.c.id == counts.c.course_id).order_by(course.c.title)
    found: dict[int, Group] = {}
    for row in await conn.execute(query):
        _add(found.setdefault(row.course_id, Group(str(row.course_id), row.title)), row)
    return tuple(found.values())


def _add(group: Group, row: Any) -> None:
    group.total += row.people
    group.shares[Share(row.share)] += row.people


async def _hours(conn: AsyncConnection, scope: StaffScope, now: int) -> tuple[tuple[int, int], ...]:
    today = china_day(now)
    first = today - DAYS + 1
    query = (
        select(daily_hours.c.day, func.sum(daily_hours.c.hours))
        .where(daily_hours.c.day >= first, daily_hours.c.day <= today, *scope.over(daily_hours.c))
        .group_by(daily_hours.c.day)
    )
    hours = {day: int(total) for day, total in await conn.execute(query)}
    return tuple((day, hours.get(day, 0)) for day in range(first, today + 1))


async def _count(conn: AsyncConnection, scope: StaffScope, where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(standing).where(*scope.over(standing.c), where)
    return int(await conn.scalar(query) or 0)


async def _appeals(conn: AsyncConnection, scope: StaffScope) -> int:
    query = (
        select(func.count())
        .select_from(appeal)
        .join(standing, standing.c.learner_id == appeal.c.learner_id)
        .where(appeal.c.state == "open", *scope.over(standing.c))
    )
    return int(await conn.scalar(query) or 0)


async def _failed_imports(conn: AsyncConnection, scope: StaffScope, now: int) -> int:
    where = [
        job.c.kind.like("import.%"),
        job.c.state == "failed",
        job.c.created_at >= now - RECENT_DAYS * DAY_MS,
    ]
    if scope.institution_id is not None:
        where.append(job.c.institution_id == scope.institution_id)
    return int(await conn.scalar(select(func.count()).select_from(job).where(*where)) or 0)


async def _findings(conn: AsyncConnection, scope: StaffScope, now: int) -> tuple[tuple[FoundKind, ...], int]:
    lately = found_lately(now).subquery()
    query = (
        select(lately).join(standing, standing.c.learner_id == lately.c.learner_id).where(*scope.over(standing.c))
    )
    people: dict[FindingKind, set[int]] = defaultdict(set)
    serious: dict[FindingKind, set[int]] = defaultdict(set)
    for row in await conn.execute(query):
        kind = FindingKind(row.kind)
        people[kind].add(row.learner_id)
        if rate(kind, int(row.times), int(row.measure)) is Rating.SERIOUS:
            serious[kind].add(row.learner_id)
    kinds = [FoundKind(kind, len(who), len(serious[kind])) for kind, who in people.items()]
    everybody: set[int] = set().union(*people.values())
    return tuple(sorted(kinds, key=lambda each: (-each.serious, -each.learners))), len(everybody)
