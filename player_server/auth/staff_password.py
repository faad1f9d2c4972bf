"""Staff choose a password of their own. It ends every log-in of theirs; the own one is made anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select, update

from player_server.auth.log_in import LoggedIn
from player_server.auth.login_sessions import Client, StaffLogin, open_login
from player_server.auth.passwords import hash_password, verify_password
from player_server.auth.throttle import Attempt, forgive
from player_server.learning.services import Services
from player_server.policy.passwords import Weakness, weakness
from player_server.storage.audit import record
from player_server.storage.tables import login_session, staff

#: Staff have no ID number here, so no part of one can be in a password.
_NO_ID_NUMBER = ""


@dataclass(frozen=True, slots=True)
class StaffRejected:
    """The password stays as it is. `ended`: this log-in was ended meanwhile, log in again."""

    reason: Weakness | Literal["wrong_current", "same", "ended"]


async def change_staff_password(
    services: Services, login: StaffLogin, current: str, new: str, client: Client, attempt: Attempt
) -> LoggedIn | StaffRejected:
    """Set a new password; `current` is always asked for, also when somebody else made it.

    The door has counted and awaited `attempt`. Raises passwords.TooBusy.
    """
    async with services.db.read() as conn:
        known: str | None = await conn.scalar(select(staff.c.password_hash).where(staff.c.id == login.staff_id))
    rejected = await _judge(login, known, current, new)
    new_hash = None if rejected else await hash_password(new)
    async with services.db.write() as conn:
        result: LoggedIn | StaffRejected = rejected or StaffRejected("ended")
        if new_hash is not None:
            # Of two changes at the same time, and of a change and a reset, only one goes through.
            changed = await conn.execute(
                update(staff)
                .where(staff.c.id == login.staff_id, staff.c.password_hash == known, staff.c.disabled_at.is_(None))
                .values(password_hash=new_hash, must_change=False)
            )
            if changed.rowcount == 1:
                await conn.execute(delete(login_session).where(login_session.c.staff_id == login.staff_id))
                token = await open_login(services, conn, staff_id=login.staff_id, client=client)
                result = LoggedIn(token, "signed_in")
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"staff:{login.staff_id}",
            action="change_staff_password",
            result=result.reason if isinstance(result, StaffRejected) else "ok",
            institution_id=login.institution_id,
            address=client.address,
        )
    if isinstance(result, LoggedIn):
        await forgive(services, attempt)
    return result


async def _judge(login: StaffLogin, known: str | None, current: str, new: str) -> StaffRejected | None:
    if not await verify_password(current, known):
        return StaffRejected("wrong_current")
    weak = weakness(new, _NO_ID_NUMBER)
    if weak is not None:
        return StaffRejected(weak)
    if new == current or login.username.lower() in new.lower():
        return StaffRejected("same")
    return None
