"""What an institution's staff see of their learners in a list: from the roll-ups, as the list's filters do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.concerns import State, state_case
from player_server.learning.roster import Filters, order_of, standing_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.storage import audit
from player_server.storage.standing_tables import course_standing, standing
from player_server.storage.tables import course, learner, person, playback

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class StaffLearner:
    """A learner as staff see it: name and ID number are masked already."""

    learner_id: int
    masked_name: str
    masked_id: str
    class_name: str | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class RosterLine(StaffLearner):
    """One line of the list. Hours in hundredths of all courses, times in UTC ms; `deadline` is the earliest of the
    courses that are not complete, else of all; `courses` are titles."""

    state: State
    courses: tuple[str, ...]
    earned: int
    required: int
    complete: bool
    offline_missing: bool
    deadline: int | None
    studied_at: int | None


@dataclass(frozen=True, slots=True)
class LearnersPage:
    """PAGE_SIZE learners of `total`; `number` from 1 to `pages`."""

    learners: tuple[RosterLine, ...]
    total: int
    number: int
    pages: int


async def learners_page(
    services: Services, scope: StaffScope, filters: Filters, *, number: int, address: str
) -> LearnersPage:
    """The learners of this scope that fit, in the order asked for. A page beyond the last one is the last one."""
    where = standing_where(services, scope, filters)
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        total = int(await conn.scalar(select(func.count()).select_from(standing).where(*where)) or 0)
        pages = max(1, -(-total // PAGE_SIZE))
        number = max(1, min(number, pages))
        # First the ids alone: what a deep page skips is then read from the index, and sorted in little memory.
        here = (
            select(standing.c.learner_id)
            .where(*where)
            .order_by(*order_of(filters))
            .limit(PAGE_SIZE)
            .offset((number - 1) * PAGE_SIZE)
            .subquery()
        )
        shown = select(standing, state_case(now).label("state")).join(
            here, here.c.learner_id == standing.c.learner_id
        )
        found = (await conn.execute(shown.order_by(*order_of(filters)))).all()
        ids = [row.learner_id for row in found]
        people = await _people(conn, scope, ids)
        titles = await _titles(conn, ids)
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="list_learners",
            target=_asked(filters),
            result=f"{len(people)} of {total}",
            address=address,
        )
    learners = tuple(
        _line(services, row, people[row.learner_id], titles[row.learner_id])
        for row in found
        if row.learner_id in people
    )
    return LearnersPage(learners, total, number, pages)


async def find_own_learner(services: Services, scope: StaffScope, learner_id: int) -> StaffLearner | None:
    """One of the learners of this scope; None alike for foreign and for absent ones."""
    query = (
        select(learner, person.c.name, person.c.id_cipher)
        .join(person, person.c.id == learner.c.person_id)
        .where(learner.c.id == learner_id, *scope.learners())
    )
    async with services.db.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    return StaffLearner(
        learner_id=row.id,
        masked_name=mask_name(row.name),
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        class_name=row.class_name,
        disabled=row.disabled_at is not None,
    )


async def classes_of(services: Services, scope: StaffScope) -> list[str]:
    """The classes of this scope by name. It looks at every learner: keep what it returns (see Dashboards)."""
    if scope.classes is not None:
        return sorted(scope.classes)
    query = (
        select(standing.c.class_name)
        .where(standing.c.class_name.is_not(None), *scope.over(standing.c))
        .distinct()
        .order_by(standing.c.class_name)
    )
    async with services.db.read() as conn:
        return [name for name in await conn.scalars(query) if name is not None]


async def courses_for_filters(services: Services, scope: StaffScope) -> list[tuple[int, str]]:
    """(id, title) of the institution's courses; none for a regulator that looks at all institutions."""
    if scope.institution_id is None:
        return []
    query = select(course.c.id, course.c.title).where(course.c.institution_id == scope.institution_id)
    async with services.db.read() as conn:
        return [(row.id, row.title) for row in await conn.execute(query.order_by(course.c.title))]


async def _people(conn: AsyncConnection, scope: StaffScope, ids: list[int]) -> dict[int, Any]:
    """Names, ID numbers, and when somebody played last who is playing now."""
    live = and_(playback.c.person_id == learner.c.person_id, playback.c.learner_id == learner.c.id)
    query = (
        select(learner.c.id, person.c.name, person.c.id_cipher, playback.c.clock_ms)
        .join(person, person.c.id == learner.c.person_id)
        .outerjoin(playback, live)
        # The scope once more: a roll-up alone never opens a door.
        .where(learner.c.id.in_(ids), *scope.learners())
    )
    return {row.id: row for row in await conn.execute(query)}


async def _titles(conn: AsyncConnection, ids: list[int]) -> dict[int, list[str]]:
    query = (
        select(course_standing.c.learner_id, course.c.title)
        .join(course, course.c.id == course_standing.c.course_id)
        .where(course_standing.c.learner_id.in_(ids))
        .order_by(course_standing.c.course_id)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for row in await conn.execute(query):
        found[row.learner_id].append(row.title)
    return found


def _line(services: Services, row: Any, who: Any, titles: list[str]) -> RosterLine:
    return RosterLine(
        learner_id=row.learner_id,
        masked_name=mask_name(who.name),
        masked_id=mask_id_number(services.keys.decrypt(who.id_cipher)),
        class_name=row.class_name,
        disabled=bool(row.disabled),
        state=State(row.state),
        courses=tuple(titles),
        earned=row.earned,
        required=row.required,
        complete=bool(row.complete),
        offline_missing=bool(row.offline_missing),
        deadline=row.deadline,
        studied_at=max((at for at in (row.studied_at, who.clock_ms) if at is not None), default=None),
    )


def _asked(filters: Filters) -> str | None:
    """What a list was narrowed down by, for the audit: never what was searched for, which may be a name."""
    return ",".join(f"{key}={value}" for key, value in filters.query().items() if key != "q")[:200] or None
