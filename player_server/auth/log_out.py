"""Logging out: the log-in ends at once, and with it the live player it opened."""

from __future__ import annotations

from player_server.auth.login_sessions import Client, end_login, find_learner, find_staff
from player_server.learning.services import Services
from player_server.storage.audit import record
from player_server.storage.hints import Hint


async def log_out(services: Services, client: Client) -> None:
    """End the log-in of the browser's cookie, whoever it belongs to. Twice does no harm."""
    learner = await find_learner(services, client.token)
    staff = await find_staff(services, client.token)
    async with services.db.write() as conn:
        person_id = await end_login(conn, client.token)
        if learner is not None or staff is not None:
            account = learner.account if learner is not None else staff
            await record(
                conn,
                at=(await services.clock.read(conn)).ms,
                actor=f"person:{learner.person_id}" if learner else f"staff:{staff.staff_id if staff else 0}",
                action="log_out",
                result="ok",
                institution_id=account.institution_id if account else None,
                address=client.address,
            )
    if person_id is not None:
        await services.hints.publish(Hint(person_id, "signed_out"))
