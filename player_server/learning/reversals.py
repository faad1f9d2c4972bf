"""Taking credited hours back: one ledger entry that names the other, and a new round in which to earn them again.

What belongs here: the story of a reversal. The hours that were taken back stay in the ledger; nothing is deleted.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import tell_of_entries
from player_server.learning.services import Services
from player_server.learning.staff_actions import Action, Hand, Outcome, act
from player_server.learning.watch import end_row
from player_server.storage.attempts import take_turn
from player_server.storage.hints import Hint
from player_server.storage.ledger_corrections import Entry, add_reversal, find_credit
from player_server.storage.tables import playback
from player_server.storage.watch_progress import open_round

#: Stands in every reversal: when the conditions change it gets a new name.
RULE_VERSION = "reversal-1"


async def reverse_credit(services: Services, hand: Hand, learner_id: int, entry_id: int) -> Outcome:
    """Take one entry back. A video's hours can be earned again from its beginning, in a new round.

    A player that is live at this very video is ended and comes back by itself, at the new round's beginning.
    """
    interrupted: list[int] = []

    async def change(conn: AsyncConnection, row: Any, now: int) -> dict[str, object] | Outcome:
        player = await lock_person(conn, row.person_id, row.id)
        entry = await find_credit(conn, entry_id, row.id)
        if entry is None:
            return Outcome.ABSENT
        if entry.is_reversed:
            return Outcome.ALREADY
        if await end_at(conn, player, entry, now):
            interrupted.append(row.person_id)
        return await reverse_in(services, conn, hand, entry, now)

    outcome = await act(services, hand, learner_id, Action.REVERSE, change)
    for person_id in interrupted:
        await services.hints.publish(Hint(person_id, "ended"))
    return outcome


async def reverse_in(
    services: Services, conn: AsyncConnection, hand: Hand, entry: Entry, now: int
) -> dict[str, object] | Outcome:
    """Write the reversal in a transaction that holds the person's lock, and open the new round."""
    evidence: dict[str, object] = {"staff": hand.scope.staff_id}
    reversal_id = await add_reversal(conn, entry, evidence=evidence, rule_version=RULE_VERSION, now_ms=now)
    if reversal_id is None:
        return Outcome.ALREADY
    details: dict[str, object] = {"entry": entry.id, "hours": entry.hours, "reversal": reversal_id}
    if entry.video_id is not None:
        details["video"] = entry.video_id
        details["round"] = await open_round(conn, entry.learner_id, entry.video_id, entry.round + 1, now)
    await tell_of_entries(conn, services.programmes, [reversal_id], now)
    return details


async def lock_person(conn: AsyncConnection, person_id: int, learner_id: int) -> Any:
    """The person's playback row, locked; None and the learner's turn taken if nobody ever played."""
    query = select(playback).where(playback.c.person_id == person_id).with_for_update()
    player = (await conn.execute(query)).one_or_none()
    if player is None:
        await take_turn(conn, learner_id)
    return player


async def end_at(conn: AsyncConnection, player: Any, entry: Entry, now: int) -> bool:
    """End the live player of the round whose hours go, so that no beat moves a round that is over."""
    at = (entry.learner_id, entry.video_id, entry.round)
    if (
        player is None
        or player.ended_reason is not None
        or (player.learner_id, player.video_id, player.round) != at
    ):
        return False
    await end_row(conn, player, "silent", now)
    return True
