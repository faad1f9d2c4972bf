"""Moving a learner to another institution with the hours: offered by the one, taken by the other.

What belongs here: the story of a move. Neither institution reaches into the other: the old one offers, and only
what is offered can be taken. Hours move through the ledger, one reversal at the old account and one credit at the
new one for each entry, of the same day, so that every year's rules count them where they were earned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import tell_of_entries
from player_server.learning.reversals import lock_person
from player_server.learning.services import Services
from player_server.learning.staff_actions import Action, Hand, Outcome, act
from player_server.learning.staff_scope import StaffScope
from player_server.learning.watch import end_row
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.storage import audit, staff_actions, upsert
from player_server.storage.hints import Hint
from player_server.storage.ledger_corrections import add_moved, add_reversal, unreversed_credits
from player_server.storage.person_tables import move
from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    institution,
    learner,
    login_session,
    person,
)
from player_server.storage.watch_progress import open_round

#: Stands in every entry that a move writes: when the conditions change it gets a new name.
RULE_VERSION = "move-1"
MOST_MOVES = 200


@dataclass(frozen=True, slots=True)
class Move:
    """One offered move, masked. `hours` that would come along, in hundredths; times in UTC ms."""

    id: int
    learner_id: int
    masked_name: str
    masked_id: str
    from_name: str
    to_name: str
    reason: str
    offered_at: int
    state: str  # offered | taken | declined | withdrawn
    answered_at: int | None
    incoming: bool


async def offer_move(services: Services, hand: Hand, learner_id: int, to_name: str) -> Outcome:
    """Offer a learner to the institution of exactly this name. A second offer waits until the first is answered."""

    async def change(conn: AsyncConnection, row: Any, now: int) -> dict[str, object] | Outcome:
        to_id = await conn.scalar(select(institution.c.id).where(institution.c.name == to_name))
        if to_id is None or to_id == row.institution_id:
            return Outcome.NO_INSTITUTION
        # Two who offer at once wait for each other here.
        await conn.execute(select(learner.c.id).where(learner.c.id == row.id).with_for_update(key_share=True))
        waiting = await conn.scalar(
            select(func.count()).where(move.c.learner_id == row.id, move.c.state == "offered")
        )
        if waiting or row.disabled_at is not None:
            return Outcome.ALREADY
        await conn.execute(
            insert(move).values(
                learner_id=row.id,
                from_institution_id=row.institution_id,
                to_institution_id=to_id,
                reason=hand.reason,
                offered_by=hand.scope.staff_id,
                offered_at=now,
                state="offered",
            )
        )
        return {"to": to_id}

    return await act(services, hand, learner_id, Action.OFFER_MOVE, change)


async def moves_of(services: Services, scope: StaffScope, institution_id: int, address: str) -> list[Move]:
    """The moves from and to this institution, those that wait first. The reading is in the audit.

    What comes in has no class yet, so only those who see everybody see it.
    """
    own = learner.c.id.in_(select(learner.c.id).where(*scope.learners()))
    seen: ColumnElement[bool] = (move.c.from_institution_id == institution_id) & own
    if scope.classes is None:
        seen = seen | (move.c.to_institution_id == institution_id)
    old, new = institution.alias("old"), institution.alias("new")
    query = (
        select(move, old.c.name.label("from_name"), new.c.name.label("to_name"), person.c.name, person.c.id_cipher)
        .join(learner, learner.c.id == move.c.learner_id)
        .join(person, person.c.id == learner.c.person_id)
        .join(old, old.c.id == move.c.from_institution_id)
        .join(new, new.c.id == move.c.to_institution_id)
        .where(seen)
        .order_by((move.c.state != "offered"), move.c.offered_at.desc(), move.c.id.desc())
        .limit(MOST_MOVES)
    )
    async with services.db.read() as conn:
        rows = (await conn.execute(query)).all()
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            action="list_moves",
            result=str(len(rows)),
            institution_id=institution_id,
            address=address,
        )
    return [
        Move(
            id=row.id,
            learner_id=row.learner_id if row.from_institution_id == institution_id else row.new_learner_id or 0,
            masked_name=mask_name(row.name),
            masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
            from_name=row.from_name,
            to_name=row.to_name,
            reason=row.reason,
            offered_at=row.offered_at,
            state=row.state,
            answered_at=row.answered_at,
            incoming=row.to_institution_id == institution_id,
        )
        for row in rows
    ]


async def end_offer(services: Services, hand: Hand, institution_id: int, move_id: int) -> Outcome:
    """Withdraw an offer (the old institution) or decline it (the new one)."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await _offered(conn, institution_id, move_id)
        outcome = Outcome.ABSENT
        if row is not None:
            mine = row.from_institution_id == institution_id
            outcome = await _claim(conn, hand, row.id, "withdrawn" if mine else "declined", now)
        if row is not None and outcome is Outcome.DONE:
            await _note(
                conn, hand, Action.END_OFFER, row.from_institution_id, row.learner_id, {"move": row.id}, now
            )
        await _record(conn, hand, Action.END_OFFER, institution_id, move_id, outcome, now)
    return outcome


async def take_move(services: Services, hand: Hand, institution_id: int, move_id: int) -> Outcome:
    """Take an offered learner: an account here, the hours, the enrolments; the old account is disabled."""
    interrupted: int | None = None
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await _offered(conn, institution_id, move_id)
        outcome = Outcome.ABSENT
        if row is not None and row.to_institution_id == institution_id:
            player = await lock_person(conn, row.person_id, row.learner_id)
            outcome = await _claim(conn, hand, row.id, "taken", now)
            if outcome is Outcome.DONE:
                if player is not None and player.ended_reason is None and player.learner_id == row.learner_id:
                    await end_row(conn, player, "disabled", now)
                    interrupted = row.person_id
                await _take_in(services, conn, hand, row, now)
        await _record(conn, hand, Action.TAKE_MOVE, institution_id, move_id, outcome, now)
    if interrupted is not None:
        await services.hints.publish(Hint(interrupted, "ended"))
    return outcome


async def _take_in(services: Services, conn: AsyncConnection, hand: Hand, row: Any, now: int) -> None:
    new_id = await _account(conn, row, now)
    await conn.execute(update(move).where(move.c.id == row.id).values(new_learner_id=new_id))
    taken, given, hours = [], [], 0
    for entry in await unreversed_credits(conn, row.learner_id):
        evidence: dict[str, object] = {"move": row.id, "entry": entry.id}
        reversal = await add_reversal(conn, entry, evidence=evidence, rule_version=RULE_VERSION, now_ms=now)
        credit = await add_moved(
            conn,
            entry,
            new_learner_id=new_id,
            institution_id=row.to_institution_id,
            evidence=evidence,
            rule_version=RULE_VERSION,
        )
        if reversal is None or credit is None:
            # The person's lock leaves no way here; if there is one, nothing may be half moved.
            raise RuntimeError(f"entry {entry.id} was moved already")
        if entry.video_id is not None:
            await open_round(conn, entry.learner_id, entry.video_id, entry.round + 1, now)
        taken.append(reversal)
        given.append(credit)
        hours += entry.hours
    await _copy_enrolments(conn, row, new_id, now)
    await conn.execute(update(learner).where(learner.c.id == row.learner_id).values(disabled_at=now))
    await conn.execute(login_session.delete().where(login_session.c.learner_id == row.learner_id))
    for entries in (taken, given):
        if entries:
            await tell_of_entries(conn, services.programmes, entries, now)
    details: dict[str, object] = {"move": row.id, "hours": hours}
    await _note(conn, hand, Action.TAKE_MOVE, row.from_institution_id, row.learner_id, details, now)
    await _note(conn, hand, Action.TAKE_MOVE, row.to_institution_id, new_id, details, now)


async def _account(conn: AsyncConnection, row: Any, now: int) -> int:
    """The person's account at the new institution; one that was disabled there is enabled again."""
    both = (learner.c.institution_id == row.to_institution_id, learner.c.person_id == row.person_id)
    new = upsert.insert(conn, learner).values(
        institution_id=row.to_institution_id, person_id=row.person_id, created_at=now
    )
    again = new.on_conflict_do_update(index_elements=["institution_id", "person_id"], set_={"disabled_at": None})
    await conn.execute(again)
    return int(await conn.scalar(select(learner.c.id).where(*both)) or 0)


async def _copy_enrolments(conn: AsyncConnection, row: Any, new_id: int, now: int) -> None:
    """The same programmes, dates and deadlines, with the new institution's open courses of the same specialties."""
    mine = (enrolment.c.learner_id == row.learner_id, enrolment.c.withdrawn_at.is_(None))
    for old in (await conn.execute(select(enrolment).where(*mine).order_by(enrolment.c.id))).all():
        same = (
            select(course.c.specialty, course.c.subject)
            .join(enrolment_course, enrolment_course.c.course_id == course.c.id)
            .where(enrolment_course.c.enrolment_id == old.id)
        )
        kinds = {tuple(each) for each in await conn.execute(same)}
        offered = select(course.c.id, course.c.specialty, course.c.subject).where(
            course.c.institution_id == row.to_institution_id, course.c.closed_at.is_(None)
        )
        courses = [each.id for each in await conn.execute(offered) if (each.specialty, each.subject) in kinds]
        made = await conn.execute(
            insert(enrolment)
            .values(
                learner_id=new_id,
                programme=old.programme,
                issue_date=old.issue_date,
                expiry_date=old.expiry_date,
                deadline=old.deadline,
                offline_missing=old.offline_missing,
                created_at=old.created_at,
            )
            .returning(enrolment.c.id)
        )
        enrolment_id = made.scalar_one()
        if courses:
            links = [{"enrolment_id": enrolment_id, "course_id": each} for each in sorted(courses)]
            await conn.execute(insert(enrolment_course), links)


async def _offered(conn: AsyncConnection, institution_id: int, move_id: int) -> Any:
    """A move that this institution offered or was offered, with its person; None for all others."""
    query = (
        select(move, learner.c.person_id)
        .join(learner, learner.c.id == move.c.learner_id)
        .where(
            move.c.id == move_id,
            (move.c.from_institution_id == institution_id) | (move.c.to_institution_id == institution_id),
        )
    )
    return (await conn.execute(query)).one_or_none()


async def _claim(conn: AsyncConnection, hand: Hand, move_id: int, state: str, now: int) -> Outcome:
    won = await conn.execute(
        update(move)
        .where(move.c.id == move_id, move.c.state == "offered")
        .values(state=state, answered_by=hand.scope.staff_id, answered_at=now)
    )
    return Outcome.DONE if won.rowcount == 1 else Outcome.ALREADY


async def _note(
    conn: AsyncConnection,
    hand: Hand,
    action: Action,
    institution_id: int,
    learner_id: int,
    details: dict[str, object],
    now: int,
) -> None:
    await staff_actions.add(
        conn,
        action,
        institution_id=institution_id,
        staff_id=hand.scope.staff_id,
        learner_id=learner_id,
        reason=hand.reason,
        details=details,
        at=now,
    )


async def _record(
    conn: AsyncConnection, hand: Hand, action: Action, institution_id: int, move_id: int, outcome: Outcome, now: int
) -> None:
    await audit.record(
        conn,
        at=now,
        actor=hand.scope.actor,
        action=action.value,
        target=f"move:{move_id}",
        result=outcome.value,
        institution_id=institution_id,
        address=hand.address,
    )
