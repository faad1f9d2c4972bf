"""Log-ins in SQL: a random cookie, of which only the SHA-256 is kept.

What belongs here makes, finds, renews and ends log-ins. Whether somebody may have one is decided in log_in.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.policy.roles import Role, role_of
from player_server.storage.ended_players import end_players
from player_server.storage.staff_tables import staff_class
from player_server.storage.tables import institution, learner, login_session, person, playback, staff

TOKEN_BYTES = 32
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Client:
    """The browser that asks: its address, what it calls itself, and the log-in cookie it brought."""

    address: str
    device: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account at one institution."""

    learner_id: int
    institution_id: int
    institution_name: str


@dataclass(frozen=True, slots=True)
class LearnerLogin:
    """A log-in of a person. `account` is None until one of several was chosen.

    `must_change`: this log-in opens nothing but the change-password page.
    """

    login_hash: str
    person_id: int
    name: str
    must_change: bool
    account: Account | None


@dataclass(frozen=True, slots=True)
class StaffLogin:
    """A log-in of staff. A regulator has no institution. `classes`: a teacher's own; None for all other roles.

    `must_change`: this log-in opens nothing but the change-password page.
    """

    login_hash: str
    staff_id: int
    institution_id: int | None
    institution_name: str | None
    username: str
    name: str
    role: Role
    classes: frozenset[str] | None
    must_change: bool


def hash_token(token: str) -> str:
    """What SQL keeps of a cookie: the value has 256 random bits, so a plain hash cannot be searched."""
    return sha256(token.encode()).hexdigest()


async def find_learner(services: Services, token: str | None) -> LearnerLogin | None:
    """The valid learner's log-in of this cookie; None if absent, expired, ended, or the account is disabled."""
    row = await _find(services, token)
    if row is None or row.person_id is None or row.learner_disabled_at is not None:
        return None
    account = None
    if row.learner_id is not None:
        account = Account(row.learner_id, row.learner_institution_id, row.learner_institution)
    return LearnerLogin(row.token_hash, row.person_id, row.person_name, row.must_change, account)


async def find_staff(services: Services, token: str | None) -> StaffLogin | None:
    """The valid staff log-in of this cookie; None if absent, expired, ended, or the account is disabled."""
    row = await _find(services, token)
    if row is None or row.staff_id is None or row.staff_disabled_at is not None:
        return None
    role = role_of(row.role)
    # Only a regulator may be without an institution: anybody else would then see all of them.
    if role is None or (row.staff_institution_id is None) != (role is Role.REGULATOR):
        return None
    classes = None
    if role is Role.TEACHER:
        async with services.db.read() as conn:
            own = select(staff_class.c.class_name).where(staff_class.c.staff_id == row.staff_id)
            classes = frozenset(await conn.scalars(own))
    return StaffLogin(
        login_hash=row.token_hash,
        staff_id=row.staff_id,
        institution_id=row.staff_institution_id,
        institution_name=row.staff_institution,
        username=row.username,
        name=row.staff_name,
        role=role,
        classes=classes,
        must_change=bool(row.must_change),
    )


_learner_institution = institution.alias("learner_institution")
_staff_institution = institution.alias("staff_institution")
_FIND = (
    select(
        login_session.c.token_hash,
        login_session.c.person_id,
        login_session.c.learner_id,
        login_session.c.staff_id,
        login_session.c.must_change,
        login_session.c.expires_at,
        person.c.name.label("person_name"),
        learner.c.disabled_at.label("learner_disabled_at"),
        learner.c.institution_id.label("learner_institution_id"),
        _learner_institution.c.name.label("learner_institution"),
        staff.c.institution_id.label("staff_institution_id"),
        staff.c.username,
        staff.c.name.label("staff_name"),
        staff.c.role,
        staff.c.disabled_at.label("staff_disabled_at"),
        _staff_institution.c.name.label("staff_institution"),
    )
    .select_from(login_session)
    .outerjoin(person, person.c.id == login_session.c.person_id)
    .outerjoin(learner, learner.c.id == login_session.c.learner_id)
    .outerjoin(_learner_institution, _learner_institution.c.id == learner.c.institution_id)
    .outerjoin(staff, staff.c.id == login_session.c.staff_id)
    .outerjoin(_staff_institution, _staff_institution.c.id == staff.c.institution_id)
)


async def _find(services: Services, token: str | None) -> Any:
    if token is None:
        return None
    async with services.db.read() as conn:
        row = (await conn.execute(_FIND.where(login_session.c.token_hash == hash_token(token)))).one_or_none()
        if row is None or row.expires_at <= (await services.clock.read(conn)).ms:
            return None
        return row


async def still_logged_in(services: Services, login_hash: str) -> bool:
    """Whether the log-in with this hash (see `hash_token`) has neither ended nor expired."""
    async with services.db.read() as conn:
        query = select(login_session.c.expires_at).where(login_session.c.token_hash == login_hash)
        expires_at = await conn.scalar(query)
        return expires_at is not None and expires_at > (await services.clock.read(conn)).ms


async def open_login(
    services: Services,
    conn: AsyncConnection,
    *,
    person_id: int | None = None,
    learner_id: int | None = None,
    staff_id: int | None = None,
    must_change: bool = False,
    client: Client,
) -> str:
    """Write a new log-in and return its cookie value. Expired ones of everybody are swept on the way."""
    now = (await services.clock.read(conn)).ms
    await conn.execute(delete(login_session).where(login_session.c.expires_at <= now))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await conn.execute(
        insert(login_session).values(
            token_hash=hash_token(token),
            person_id=person_id,
            learner_id=learner_id,
            staff_id=staff_id,
            must_change=must_change,
            created_at=now,
            expires_at=now + round(services.settings.sign_in.session_hours * HOUR_MS),
            address=client.address,
            device=client.device,
        )
    )
    return token


async def renew_login(conn: AsyncConnection, person_id: int, login_hash: str, **changes: object) -> str | None:
    """Give a log-in a new cookie value together with its new rights; None if it has ended meanwhile."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    renewed = await conn.execute(
        update(login_session)
        .where(login_session.c.token_hash == login_hash)
        .values(token_hash=hash_token(token), **changes)
    )
    if renewed.rowcount != 1:
        return None
    # A player that was opened by this log-in goes on, and has to end with it; also one whose hello is under way.
    await conn.execute(select(playback.c.epoch).where(playback.c.person_id == person_id).with_for_update())
    await conn.execute(
        update(playback)
        .where(playback.c.person_id == person_id, playback.c.login_hash == login_hash)
        .values(login_hash=hash_token(token))
    )
    return token


async def end_login(conn: AsyncConnection, token: str | None) -> int | None:
    """End the log-in of this cookie and its live player; the person, if it was a learner's (see `end_players`)."""
    if token is None:
        return None
    ended = login_session.c.token_hash == hash_token(token)
    person_id: int | None = await conn.scalar(
        delete(login_session).where(ended).returning(login_session.c.person_id)
    )
    if person_id is not None:
        await end_players(conn, person_id, hash_token(token))
    return person_id


async def end_logins_of_person(conn: AsyncConnection, person_id: int) -> None:
    """End every log-in and the live player of a person, wherever they are."""
    await conn.execute(delete(login_session).where(login_session.c.person_id == person_id))
    await end_players(conn, person_id)
