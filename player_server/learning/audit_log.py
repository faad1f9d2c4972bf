"""The audit for people: who did what to whom, when, with which result; newest first, a page at a time by key.

Writing it is `storage/audit.py`'s. Reading it is itself written down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.roster import china_day_of, start_of_day_ms
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.names import mask_name
from player_server.storage import audit as trail
from player_server.storage.tables import audit, learner, person, staff

PAGE_SIZE = 50
LONGEST_TEXT = 80
_NUMBER = re.compile(r"[0-9]{1,18}")
_STAFF = re.compile(r"staff:([0-9]{1,18})")
_PERSON = re.compile(r"person:([0-9]{1,18})")
_LEARNER = re.compile(r"learner:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Empty means: not asked for. `actor` is `staff:1`, `person:1`, `client:exam`, `system` or the word before the
    colon; `target` the same. Days are China's, both counted in. `before` is the id from where to go on."""

    actor: str = ""
    action: str = ""
    target: str = ""
    since: date | None = None
    until: date | None = None
    before: int | None = None

    def query(self) -> dict[str, str]:
        """What to put into an address."""
        values = {
            "actor": self.actor,
            "action": self.action,
            "target": self.target,
            "from": self.since.isoformat() if self.since else "",
            "to": self.until.isoformat() if self.until else "",
            "before": str(self.before or ""),
        }
        return {name: value for name, value in values.items() if value}

    @property
    def narrow(self) -> bool:
        """Whether anything is asked for but where to go on."""
        return replace(self, before=None) != AuditFilters()


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One row; `at` in UTC ms. `who` is a name where one is known: staff's own, a learner's masked. `learner_id` of
    the target, if it is a learner of the scope."""

    id: int
    at: int
    actor: str
    who: str
    action: str
    target: str
    learner_id: int | None
    result: str
    address: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """PAGE_SIZE lines at most; `next_before` is where the next page begins, None on the last one."""

    lines: tuple[AuditLine, ...]
    next_before: int | None


def audit_filters_from(query: Mapping[str, str]) -> AuditFilters:
    """The filters of an address; what is wrong is left out."""
    before = query.get("before", "")
    return AuditFilters(
        actor=_text(query.get("actor", "")),
        action=_text(query.get("action", "")),
        target=_text(query.get("target", "")),
        since=china_day_of(query.get("from", "")),
        until=china_day_of(query.get("to", "")),
        before=int(before) if _NUMBER.fullmatch(before) else None,
    )


async def audit_page(services: Services, scope: StaffScope, filters: AuditFilters, address: str) -> AuditPage:
    """The newest rows of the institution that fit, from `filters.before` on. Of all of them for a regulator."""
    query = select(audit).where(*_where(scope, filters)).order_by(audit.c.id.desc()).limit(PAGE_SIZE + 1)
    async with services.db.read() as conn:
        rows = (await conn.execute(query)).all()
        shown = rows[:PAGE_SIZE]
        names = await _names(conn, {row.actor for row in shown})
        known = await _learners(conn, scope, {row.target or "" for row in shown})
        now = (await services.clock.read(conn)).ms
    async with services.db.write() as conn:
        await trail.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="read_audit",
            target=",".join(f"{key}={value}" for key, value in filters.query().items())[:200] or None,
            result=str(len(shown)),
            address=address,
        )
    lines = tuple(
        AuditLine(
            id=row.id,
            at=row.at,
            actor=row.actor,
            who=names.get(row.actor, row.actor),
            action=row.action,
            target=row.target or "",
            learner_id=known.get(row.target or ""),
            result=row.result,
            address=row.address or "",
        )
        for row in shown
    )
    return AuditPage(lines, shown[-1].id if len(rows) > PAGE_SIZE else None)


async def staff_for_filters(services: Services, scope: StaffScope) -> list[tuple[str, str]]:
    """(actor, name) of the institution's staff."""
    query = select(staff.c.id, staff.c.name).order_by(staff.c.name)
    if scope.institution_id is not None:
        query = query.where(staff.c.institution_id == scope.institution_id)
    async with services.db.read() as conn:
        return [(f"staff:{row.id}", row.name) for row in await conn.execute(query.limit(PAGE_SIZE * 4))]


def _where(scope: StaffScope, filters: AuditFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if scope.institution_id is not None:
        found.append(audit.c.institution_id == scope.institution_id)
    for column, text in ((audit.c.actor, filters.actor), (audit.c.target, filters.target)):
        if text:
            found.append(column == text if ":" in text else column.startswith(text, autoescape=True))
    if filters.action:
        found.append(audit.c.action == filters.action)
    if filters.since is not None:
        found.append(audit.c.at >= start_of_day_ms(filters.since))
    if filters.until is not None:
        found.append(audit.c.at < start_of_day_ms(filters.until + timedelta(days=1)))
    if filters.before is not None:
        found.append(audit.c.id < filters.before)
    return found


async def _names(conn: AsyncConnection, actors: set[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    ids = [int(found[1]) for each in actors if (found := _STAFF.fullmatch(each))]
    for row in await conn.execute(select(staff.c.id, staff.c.name).where(staff.c.id.in_(ids))):
        names[f"staff:{row.id}"] = row.name
    ids = [int(found[1]) for each in actors if (found := _PERSON.fullmatch(each))]
    for row in await conn.execute(select(person.c.id, person.c.name).where(person.c.id.in_(ids))):
        names[f"person:{row.id}"] = mask_name(row.name)
    return names


async def _learners(conn: AsyncConnection, scope: StaffScope, targets: set[str]) -> dict[str, int]:
    ids = [int(found[1]) for each in targets if (found := _LEARNER.fullmatch(each))]
    query = select(learner.c.id).where(learner.c.id.in_(ids), *scope.learners())
    return {f"learner:{each}": each for each in await conn.scalars(query)}


def _text(value: str) -> str:
    return value.replace("\0", "").encode(errors="ignore").decode()[:LONGEST_TEXT].strip()
