"""Logging in as an institution's staff, with user name and password."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from player_server.auth.log_in import LoggedIn, Refused
from player_server.auth.login_sessions import Client, end_login, open_login
from player_server.auth.passwords import verify_password
from player_server.auth.throttle import Attempt, forgive
from player_server.learning.services import Services
from player_server.observe import metrics
from player_server.storage.audit import record
from player_server.storage.hints import Hint
from player_server.storage.tables import staff


def staff_key(services: Services, username: str) -> str:
    """What attempts at this user name are counted under (see throttle.count_attempt)."""
    return services.keys.mac("staff user name", username.strip())


async def log_in_staff(
    services: Services, username: str, password: str, client: Client, attempt: Attempt
) -> LoggedIn | Refused:
    """Log in; the same reply and time for unknown and disabled users. The door has counted and awaited `attempt`.

    Raises passwords.TooBusy.
    """
    async with services.db.read() as conn:
        found = (await conn.execute(_secrets_of(username))).one_or_none()
    right = await verify_password(password, found.password_hash if found else None)
    async with services.db.write() as conn:
        current = (await conn.execute(_secrets_of(username).with_for_update())).one_or_none()
        result: LoggedIn | Refused = Refused("wrong")
        former = None
        if right and current is not None and current == found and current.disabled_at is None:
            former = await end_login(conn, client.token)
            token = await open_login(
                services, conn, staff_id=current.id, must_change=bool(current.must_change), client=client
            )
            result = LoggedIn(token, "signed_in")
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"staff:{current.id}" if current else "anonymous",
            action="staff_log_in",
            result="ok" if isinstance(result, LoggedIn) else "wrong",
            institution_id=current.institution_id if current else None,
            address=client.address,
        )
    metrics.sign_ins.labels("staff" if isinstance(result, LoggedIn) else "staff_refused").inc()
    if former is not None:
        await services.hints.publish(Hint(former, "signed_out"))
    if isinstance(result, LoggedIn):
        await forgive(services, attempt)
    return result


def _secrets_of(username: str) -> Select[Any]:
    row = staff.c
    return select(row.id, row.institution_id, row.password_hash, row.must_change, row.disabled_at).where(
        row.username == username.strip()
    )
