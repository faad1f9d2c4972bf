"""Choosing a new password. It ends every log-in and the live player of the person; the own log-in is made anew."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.initial_secrets import initial_hash
from player_server.auth.log_in import LoggedIn
from player_server.auth.login_sessions import Client, LearnerLogin, end_logins_of_person, open_login
from player_server.auth.passwords import hash_password, verify_password
from player_server.auth.throttle import Attempt, forgive
from player_server.learning.services import Services
from player_server.policy.passwords import Weakness, weakness
from player_server.storage.audit import record
from player_server.storage.hints import Hint
from player_server.storage.tables import login_session, person


@dataclass(frozen=True, slots=True)
class Rejected:
    """The password stays as it is. `ended`: this log-in was ended meanwhile, log in again."""

    reason: Weakness | Literal["wrong_current", "same", "ended"]


async def change_password(
    services: Services, login: LearnerLogin, current: str, new: str, client: Client, attempt: Attempt
) -> LoggedIn | Rejected:
    """Set a new password. `current` is asked for unless the log-in was by an initial secret.

    The door has counted and awaited `attempt`. Raises passwords.TooBusy.
    """
    async with services.db.read() as conn:
        found = (await conn.execute(_secrets_of(login.person_id))).one()
    rejected = await _judge(services, login, found, current, new)
    new_hash = None if rejected else await hash_password(new)
    async with services.db.write() as conn:
        result: LoggedIn | Rejected
        if rejected is not None:
            result = rejected
        elif new_hash is None or not await _claim(conn, login, found):
            result = Rejected("ended")
        else:
            await set_password(services, conn, login.person_id, new_hash)
            result = await _open_again(services, conn, login, client)
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"person:{login.person_id}",
            action="change_password",
            result=result.reason if isinstance(result, Rejected) else "ok",
            institution_id=login.account.institution_id if login.account else None,
            address=client.address,
        )
    if isinstance(result, LoggedIn):
        await forgive(services, attempt)
        await services.hints.publish(Hint(login.person_id, "signed_out"))
    return result


async def set_password(services: Services, conn: AsyncConnection, person_id: int, password_hash: str) -> None:
    """Write the new hash and end everything that stood on the old one, also an unused initial secret.

    After the commit the caller publishes `Hint(person_id, "signed_out")`.
    """
    await conn.execute(
        update(person)
        .where(person.c.id == person_id)
        .values(
            password_hash=password_hash,
            initial_hash=None,
            password_changed_at=(await services.clock.read(conn)).ms,
        )
    )
    await end_logins_of_person(conn, person_id)


async def _judge(
    services: Services, login: LearnerLogin, found: Row[Any], current: str, new: str
) -> Rejected | None:
    if not login.must_change and not await verify_password(current, found.password_hash):
        return Rejected("wrong_current")
    weak = weakness(new, services.keys.decrypt(found.id_cipher))
    if weak is not None:
        return Rejected(weak)
    used_secret = hmac.compare_digest(
        initial_hash(services.keys, new).encode(), (found.initial_hash or "").encode()
    )
    if used_secret or await verify_password(new, found.password_hash):
        return Rejected("same")
    return None


async def _claim(conn: AsyncConnection, login: LearnerLogin, found: Row[Any]) -> bool:
    """Of two changes at the same time, and of a change and a log-out, only one goes through."""
    locked = (await conn.execute(_secrets_of(login.person_id).with_for_update(key_share=True))).one()
    own = delete(login_session).where(login_session.c.token_hash == login.login_hash)
    return bool(locked == found) and (await conn.execute(own)).rowcount == 1


async def _open_again(services: Services, conn: AsyncConnection, login: LearnerLogin, client: Client) -> LoggedIn:
    chosen = login.account.learner_id if login.account is not None else None
    token = await open_login(services, conn, person_id=login.person_id, learner_id=chosen, client=client)
    return LoggedIn(token, "choose_account" if chosen is None else "signed_in")


def _secrets_of(person_id: int) -> Select[Any]:
    return select(person.c.id_cipher, person.c.password_hash, person.c.initial_hash).where(person.c.id == person_id)
