"""Which learners a member of staff sees. Every query of the staff's pages takes its predicates from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, false, select

from player_server.learning.services import Services
from player_server.policy.roles import Permission
from player_server.storage import audit
from player_server.storage.hidden import is_there
from player_server.storage.tables import institution, learner


class _ScopeColumns(Protocol):
    """The columns of a table that says of which institution and class a learner is."""

    institution_id: ColumnElement[int]
    class_name: ColumnElement[str]


@dataclass(frozen=True, slots=True)
class StaffScope:
    """`institution_id` None: all institutions (a regulator that has chosen none). `classes` None: all classes."""

    staff_id: int
    institution_id: int | None
    classes: frozenset[str] | None

    def learners(self) -> list[ColumnElement[bool]]:
        """Predicates over table `learner`: foreign learners are simply not there."""
        return self.over(learner.c)

    def over(self, columns: object) -> list[ColumnElement[bool]]:
        """The same over any table with `institution_id` and `class_name`; `columns` is its `.c`."""
        found: list[ColumnElement[bool]] = []
        of: _ScopeColumns = columns  # type: ignore[assignment]  # SQLAlchemy's column collections are not typed.
        if self.institution_id is not None:
            found.append(of.institution_id == self.institution_id)
        if self.classes is not None:
            # A teacher without a class sees nobody.
            found.append(of.class_name.in_(sorted(self.classes)) if self.classes else false())
        # Nobody sees the first half of an import.
        whose = learner.c.id if columns is learner.c else getattr(of, "learner_id", None)
        if whose is not None:
            found.append(is_there(whose))
        return found

    @property
    def actor(self) -> str:
        """Who acts, for the audit."""
        return f"staff:{self.staff_id}"


async def find_institution(services: Services, institution_id: int | None) -> str | None:
    """The name of an institution, for a regulator; None if there is none of this id."""
    if institution_id is None:
        return None
    async with services.db.read() as conn:
        name: str | None = await conn.scalar(select(institution.c.name).where(institution.c.id == institution_id))
    return name


async def list_institutions(services: Services) -> list[tuple[int, str]]:
    """(id, name) of every institution by name, for a regulator's choice."""
    async with services.db.read() as conn:
        rows = await conn.execute(select(institution.c.id, institution.c.name).order_by(institution.c.name))
        return [(row.id, row.name) for row in rows]


async def note_refusal(
    services: Services, scope: StaffScope, asked: str, permission: Permission, address: str
) -> None:
    """Write down that somebody asked for a page (method and route, no ids) without the permission for it."""
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action="refused",
            target=asked,
            result=permission.value,
            address=address,
        )
