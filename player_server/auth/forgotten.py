"""A forgotten password: set anew from the enrolled phone, or with a code from the institution."""

from __future__ import annotations

import hmac
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.change_password import set_password
from player_server.auth.identity import id_hash
from player_server.auth.initial_secrets import initial_hash, new_initial_secret
from player_server.auth.login_sessions import Client, hash_token
from player_server.auth.passwords import hash_password
from player_server.auth.throttle import Attempt, forgive
from player_server.learning.services import Services
from player_server.policy.id_number import normalise_id_number
from player_server.policy.names import same_name
from player_server.policy.passwords import Weakness, weakness
from player_server.storage import staff_actions
from player_server.storage.audit import record
from player_server.storage.hints import Hint
from player_server.storage.staff_actions import Action
from player_server.storage.tables import learner, login_session, person, phone

Reset = Literal["ok", "refused"] | Weakness


async def reset_by_phone(
    services: Services,
    credential: str | None,
    name: str,
    id_number: str,
    new: str,
    client: Client,
    attempt: Attempt,
) -> Reset:
    """Set a new password if this browser is the person's enrolled phone and name and ID number are the person's.

    `refused` does not tell which of the three was wrong. The door has counted and awaited `attempt`.
    Raises passwords.TooBusy.
    """
    number = normalise_id_number(id_number)
    weak = weakness(new, number)
    if weak is not None:
        return weak
    # Hashed before anything is looked up, so that the time tells nothing.
    new_hash = await hash_password(new)
    async with services.db.write() as conn:
        owner = (
            await conn.execute(
                select(person.c.id, person.c.name, person.c.id_hash)
                .join(phone, phone.c.person_id == person.c.id)
                .where(phone.c.credential_hash == hash_token(credential or ""), phone.c.revoked_at.is_(None))
                .with_for_update(of=person, key_share=True)
            )
        ).one_or_none()
        matches = (
            owner is not None
            and hmac.compare_digest(owner.id_hash, id_hash(services.keys, number))
            and same_name(owner.name, name)
        )
        if owner is not None and matches:
            await set_password(services, conn, owner.id, new_hash)
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"person:{owner.id}" if owner is not None else "anonymous",
            action="reset_password",
            result="ok" if matches else "refused",
            address=client.address,
        )
    if owner is None or not matches:
        return "refused"
    await forgive(services, attempt)
    await services.hints.publish(Hint(owner.id, "signed_out"))
    return "ok"


#: What staff confirm with a tick before they get a code, kept beside the learner as the reason.
SECRET_REASON = "已核实，是学员本人提出的要求"  # noqa: S105


class OpenedElsewhere(Exception):
    """Another institution opened this person's first account, and the person has a password already."""


async def issue_initial_secret(
    services: Services, *, staff_id: int, institution_id: int, learner_id: int, address: str
) -> str | None:
    """A new code for a learner of the staff's own institution, shown once; None if there is no such learner.

    The old password stays good until the code was used, so that a code asked for by somebody else locks nobody out.
    An older code, and whoever is just choosing a password with it, is ended.

    One person has one password, whatever the number of institutions. So that no institution can let itself in to an
    account at another one, only the institution that opened the first account may replace a chosen password:
    raises OpenedElsewhere otherwise.
    """
    secret = new_initial_secret()
    async with services.db.write() as conn:
        person_id = await conn.scalar(
            select(learner.c.person_id).where(
                learner.c.id == learner_id,
                learner.c.institution_id == institution_id,
                learner.c.disabled_at.is_(None),
            )
        )
        elsewhere = person_id is not None and await is_opened_elsewhere(conn, person_id, learner_id)
        if person_id is not None and not elsewhere:
            await conn.execute(
                update(person)
                .where(person.c.id == person_id)
                .values(initial_hash=initial_hash(services.keys, secret))
            )
            await conn.execute(
                delete(login_session).where(login_session.c.person_id == person_id, login_session.c.must_change)
            )
        now = (await services.clock.read(conn)).ms
        if person_id is not None and not elsewhere:
            await staff_actions.add(
                conn,
                Action.NEW_SECRET,
                institution_id=institution_id,
                staff_id=staff_id,
                learner_id=learner_id,
                reason=SECRET_REASON,
                at=now,
            )
        await record(
            conn,
            at=now,
            actor=f"staff:{staff_id}",
            action=Action.NEW_SECRET.value,
            target=f"learner:{learner_id}",
            result="not_found" if person_id is None else "opened_elsewhere" if elsewhere else "ok",
            institution_id=institution_id,
            address=address,
        )
    if elsewhere:
        raise OpenedElsewhere
    return secret if person_id is not None else None


async def is_opened_elsewhere(conn: AsyncConnection, person_id: int, learner_id: int) -> bool:
    """Whether a living account at another institution is older, and its owner has chosen a password."""
    found = await conn.scalar(
        select(learner.c.id)
        .join(person, person.c.id == learner.c.person_id)
        .where(
            learner.c.person_id == person_id,
            learner.c.id < learner_id,
            learner.c.disabled_at.is_(None),
            person.c.password_hash.is_not(None),
        )
        .limit(1)
    )
    return found is not None
