"""The accounts of an institution's staff: opened, changed and closed by its owners; the first one by the operator.

An institution always keeps an owner who can log in, nobody changes the own role, and a password that somebody else
made opens nothing but the page where the own one is chosen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.initial_secrets import new_initial_secret
from player_server.auth.passwords import hash_password
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.roles import Role, role_of
from player_server.storage import audit
from player_server.storage.staff_tables import staff_class
from player_server.storage.tables import login_session, staff
from player_server.storage.upsert import insert

#: Roles that an owner may give; a regulator belongs to no institution.
OWN_ROLES = (Role.OWNER, Role.TEACHER, Role.AUDITOR)
#: User names are the same for all institutions of an installation.
_USERNAME = re.compile(r"[\w.@-]{3,40}")
LONGEST_NAME = 50
#: A teacher of more classes is no teacher of classes.
MOST_CLASSES = 200


class Fault(StrEnum):
    """Why nothing was changed."""

    USERNAME = "username"  # not 3 to 40 letters, digits, dots, dashes, underscores or @
    TAKEN = "taken"  # somebody has this user name, here or elsewhere
    NAME = "name"  # empty or too long
    ROLE = "role"
    CLASSES = "classes"  # a teacher without any, or too many
    OWN = "own"  # one's own role, or closing one's own account
    LAST_OWNER = "last_owner"


class StaffFault(Exception):
    """Raised with the reason; the caller's transaction changed nothing."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Member:
    """One account. Times in UTC ms; `classes` of a teacher, by name."""

    staff_id: int
    username: str
    name: str
    role: Role
    classes: tuple[str, ...]
    disabled: bool
    must_change: bool
    logged_in_at: int | None  # of a log-in that still stands
    created_at: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody filled in. `classes` only count for a teacher."""

    name: str
    role: str
    classes: tuple[str, ...]


async def list_members(services: Services, institution_id: int) -> list[Member]:
    """Everybody with an account at this institution, who can log in first."""
    async with services.db.read() as conn:
        return await _members(conn, institution_id)


async def find_member(services: Services, institution_id: int, staff_id: int) -> Member | None:
    """One of them; None alike for foreign and for absent ones."""
    return next((each for each in await list_members(services, institution_id) if each.staff_id == staff_id), None)


async def open_account(
    services: Services, *, actor: str, institution_id: int | None, username: str, wanted: Wanted, address: str
) -> tuple[int, str]:
    """Open an account; returns its id and the password to hand over, shown once. Raises StaffFault.

    Only the operator opens a regulator's, with `institution_id` None.
    """
    role = _checked(wanted, regulator=institution_id is None)
    if not _USERNAME.fullmatch(username):
        raise StaffFault(Fault.USERNAME)
    secret = new_initial_secret()
    password_hash = await hash_password(secret)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        staff_id = await conn.scalar(
            insert(conn, staff)
            .values(
                institution_id=institution_id,
                username=username,
                name=wanted.name,
                role=role.value,
                password_hash=password_hash,
                must_change=True,
                created_at=now,
            )
            .on_conflict_do_nothing(index_elements=["username"])
            .returning(staff.c.id)
        )
        if staff_id is None:
            raise StaffFault(Fault.TAKEN)
        await _set_classes(conn, staff_id, role, wanted.classes)
        await _note(services, conn, actor, institution_id, "open_staff_account", staff_id, role.value, address)
    return staff_id, secret


async def change_account(
    services: Services, scope: StaffScope, staff_id: int, wanted: Wanted, address: str
) -> bool:
    """Another name, role or classes; False if the institution has no such account. Raises StaffFault."""
    role = _checked(wanted)
    async with services.db.write() as conn:
        current = await _lock(conn, scope, staff_id)
        if current is None:
            return False
        if staff_id == scope.staff_id and role is not current:
            raise StaffFault(Fault.OWN)
        if role is not Role.OWNER:
            await _keep_an_owner(conn, scope, staff_id)
        await conn.execute(update(staff).where(staff.c.id == staff_id).values(name=wanted.name, role=role.value))
        await _set_classes(conn, staff_id, role, wanted.classes)
        result = f"{current.value}>{role.value}" if current is not role else role.value
        await _note(
            services, conn, scope.actor, scope.institution_id, "change_staff_account", staff_id, result, address
        )
    return True


async def close_account(services: Services, scope: StaffScope, staff_id: int, address: str) -> bool:
    """Nobody gets in with it any more, and whoever is in is out at once. Raises StaffFault; False as above."""
    async with services.db.write() as conn:
        if await _lock(conn, scope, staff_id) is None:
            return False
        if staff_id == scope.staff_id:
            raise StaffFault(Fault.OWN)
        await _keep_an_owner(conn, scope, staff_id)
        now = (await services.clock.read(conn)).ms
        await conn.execute(update(staff).where(staff.c.id == staff_id).values(disabled_at=now))
        await conn.execute(delete(login_session).where(login_session.c.staff_id == staff_id))
        await _note(
            services, conn, scope.actor, scope.institution_id, "close_staff_account", staff_id, "ok", address
        )
    return True


async def renew_password(services: Services, scope: StaffScope, staff_id: int, address: str) -> str | None:
    """A new password to hand over, shown once; opens a closed account again. None if there is no such account.

    The old one and every log-in with it end.
    """
    secret = new_initial_secret()
    password_hash = await hash_password(secret)
    async with services.db.write() as conn:
        if await _lock(conn, scope, staff_id) is None:
            return None
        await conn.execute(
            update(staff)
            .where(staff.c.id == staff_id)
            .values(password_hash=password_hash, must_change=True, disabled_at=None)
        )
        await conn.execute(delete(login_session).where(login_session.c.staff_id == staff_id))
        await _note(
            services, conn, scope.actor, scope.institution_id, "renew_staff_password", staff_id, "ok", address
        )
    return secret


def _checked(wanted: Wanted, *, regulator: bool = False) -> Role:
    role = role_of(wanted.role)
    if role is None or (role is Role.REGULATOR) != regulator:
        raise StaffFault(Fault.ROLE)
    if not 0 < len(wanted.name) <= LONGEST_NAME:
        raise StaffFault(Fault.NAME)
    if role is Role.TEACHER and not 0 < len(wanted.classes) <= MOST_CLASSES:
        raise StaffFault(Fault.CLASSES)
    return role


async def _lock(conn: AsyncConnection, scope: StaffScope, staff_id: int) -> Role | None:
    """The account's role, and the whole institution's staff locked in one order; None if it is not theirs."""
    query = select(staff.c.id, staff.c.role).where(staff.c.institution_id == scope.institution_id)
    rows = await conn.execute(query.order_by(staff.c.id).with_for_update())
    found = {row.id: row.role for row in rows}
    return role_of(found[staff_id]) if staff_id in found else None


async def _keep_an_owner(conn: AsyncConnection, scope: StaffScope, staff_id: int) -> None:
    others = select(func.count()).where(
        staff.c.institution_id == scope.institution_id,
        staff.c.role == Role.OWNER.value,
        staff.c.disabled_at.is_(None),
        staff.c.id != staff_id,
    )
    if not await conn.scalar(others):
        raise StaffFault(Fault.LAST_OWNER)


async def _set_classes(conn: AsyncConnection, staff_id: int, role: Role, classes: Collection[str]) -> None:
    await conn.execute(delete(staff_class).where(staff_class.c.staff_id == staff_id))
    if role is Role.TEACHER:
        rows = [{"staff_id": staff_id, "class_name": each} for each in sorted(set(classes))]
        await conn.execute(insert(conn, staff_class), rows)


async def _members(conn: AsyncConnection, institution_id: int) -> list[Member]:
    logged_in = (
        select(login_session.c.staff_id, func.max(login_session.c.created_at).label("at"))
        .group_by(login_session.c.staff_id)
        .subquery()
    )
    query = (
        select(staff, logged_in.c.at)
        .outerjoin(logged_in, logged_in.c.staff_id == staff.c.id)
        .where(staff.c.institution_id == institution_id)
        .order_by(staff.c.disabled_at.is_not(None), staff.c.name, staff.c.id)
    )
    rows = (await conn.execute(query)).all()
    classes: dict[int, list[str]] = defaultdict(list)
    own = select(staff_class).where(staff_class.c.staff_id.in_([row.id for row in rows]))
    for row in await conn.execute(own.order_by(staff_class.c.class_name)):
        classes[row.staff_id].append(row.class_name)
    return [
        Member(
            staff_id=row.id,
            username=row.username,
            name=row.name,
            role=Role(row.role),
            classes=tuple(classes[row.id]),
            disabled=row.disabled_at is not None,
            must_change=bool(row.must_change),
            logged_in_at=row.at,
            created_at=row.created_at,
        )
        for row in rows
        if role_of(row.role) is not None
    ]


async def _note(
    services: Services,
    conn: AsyncConnection,
    actor: str,
    institution_id: int | None,
    action: str,
    staff_id: int,
    result: str,
    address: str,
) -> None:
    await audit.record(
        conn,
        at=(await services.clock.read(conn)).ms,
        actor=actor,
        institution_id=institution_id,
        action=action,
        target=f"staff:{staff_id}",
        result=result,
        address=address,
    )
