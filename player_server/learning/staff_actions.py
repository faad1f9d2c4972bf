"""What staff may do about one learner by hand: note, phone, disabling, deadline. Each needs a reason.

What belongs here: one transaction each, with its row beside the learner and its row in the audit. Taking hours back
is `reversals.py`'s, appeals are `appeals.py`'s, a move to another institution is `moves.py`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.forgotten import is_opened_elsewhere
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.storage import audit, staff_actions
from player_server.storage.challenges import revoke_phone
from player_server.storage.staff_actions import Action
from player_server.storage.tables import enrolment, learner, login_session, person

__all__ = ["Action", "Hand", "Outcome"]


class Outcome(StrEnum):
    """What came of an action; the value stands in the audit."""

    DONE = "ok"
    ABSENT = "not_found"  # foreign and absent alike
    ALREADY = "unchanged"  # nothing was left to do
    ELSEWHERE = "opened_elsewhere"  # only the institution of the person's first account may
    NOT_LATER = "not_later"  # the new deadline is not later than the present one, or over already
    NO_INSTITUTION = "no_such_institution"  # of this name, besides one's own
    BAD_FILE = "bad_file"  # no video that browsers play
    TOO_MANY_HOURS = "too_many_hours"  # more than the video has left to give


@dataclass(frozen=True, slots=True)
class Hand:
    """Who acts, on whom they may, from where, and why. `reason` is tidy and not empty."""

    scope: StaffScope
    address: str
    reason: str


#: Changes something in the transaction. Returns what changed, for people, or why nothing did.
Change = Callable[[AsyncConnection, Any, int], Awaitable[dict[str, object] | Outcome]]


async def find_learner_in(conn: AsyncConnection, scope: StaffScope, learner_id: int) -> Any:
    """The learner's row, if this member of staff sees it, else None."""
    query = (
        select(learner, person.c.name, person.c.id_cipher)
        .join(person, person.c.id == learner.c.person_id)
        .where(learner.c.id == learner_id, *scope.learners())
    )
    return (await conn.execute(query)).one_or_none()


async def act(services: Services, hand: Hand, learner_id: int, action: Action, change: Change) -> Outcome:
    """Do something about one learner: the change, the row beside the learner and the audit, or none of them."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await find_learner_in(conn, hand.scope, learner_id)
        result = Outcome.ABSENT if row is None else await change(conn, row, now)
        if not isinstance(result, Outcome):
            await staff_actions.add(
                conn,
                action,
                institution_id=row.institution_id,
                staff_id=hand.scope.staff_id,
                learner_id=learner_id,
                reason=hand.reason,
                details=result,
                at=now,
            )
        outcome = result if isinstance(result, Outcome) else Outcome.DONE
        await audit.record(
            conn,
            at=now,
            actor=hand.scope.actor,
            action=action.value,
            target=f"learner:{learner_id}",
            result=outcome.value,
            institution_id=hand.scope.institution_id,
            address=hand.address,
        )
    return outcome


async def add_note(services: Services, hand: Hand, learner_id: int) -> Outcome:
    """Keep a note beside the learner; the reason is its text."""

    async def change(_conn: AsyncConnection, _row: Any, _now: int) -> dict[str, object]:
        return {}

    return await act(services, hand, learner_id, Action.NOTE, change)


async def reset_phone(services: Services, hand: Hand, learner_id: int) -> Outcome:
    """Take the person's phone away, so that the next check binds one by name and ID number.

    The phone opens the person's account at every institution, and institutions know name and ID number. So only the
    institution of the first account may do this, as with the password.
    """

    async def change(conn: AsyncConnection, row: Any, now: int) -> dict[str, object] | Outcome:
        if await is_opened_elsewhere(conn, row.person_id, row.id):
            return Outcome.ELSEWHERE
        return {} if await revoke_phone(conn, row.person_id, now) else Outcome.ALREADY

    return await act(services, hand, learner_id, Action.RESET_PHONE, change)


async def set_disabled(services: Services, hand: Hand, learner_id: int, *, disabled: bool) -> Outcome:
    """Disable an account, or enable it again. Disabling ends its log-ins; the worker ends its live player."""

    async def change(conn: AsyncConnection, row: Any, now: int) -> dict[str, object] | Outcome:
        if (row.disabled_at is not None) is disabled:
            return Outcome.ALREADY
        await conn.execute(
            update(learner).where(learner.c.id == row.id).values(disabled_at=now if disabled else None)
        )
        if disabled:
            await conn.execute(login_session.delete().where(login_session.c.learner_id == row.id))
        return {}

    return await act(services, hand, learner_id, Action.DISABLE if disabled else Action.ENABLE, change)


async def extend_deadline(
    services: Services, hand: Hand, learner_id: int, enrolment_id: int, deadline_ms: int
) -> Outcome:
    """Give one enrolment more time, until `deadline_ms` (UTC)."""

    async def change(conn: AsyncConnection, row: Any, now: int) -> dict[str, object] | Outcome:
        mine = (
            enrolment.c.id == enrolment_id,
            enrolment.c.learner_id == row.id,
            enrolment.c.withdrawn_at.is_(None),
        )
        found = (await conn.execute(select(enrolment).where(*mine).with_for_update())).one_or_none()
        if found is None:
            return Outcome.ABSENT
        if deadline_ms <= max(now, found.deadline or 0):
            return Outcome.NOT_LATER
        await conn.execute(update(enrolment).where(*mine).values(deadline=deadline_ms))
        return {"enrolment": enrolment_id, "from": found.deadline, "to": deadline_ms}

    return await act(services, hand, learner_id, Action.EXTEND_DEADLINE, change)
