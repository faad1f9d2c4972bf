"""Ending the live player of somebody who may not play any more."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import playback

Reason = Literal["signed_out", "disabled", "course"]


async def end_players(
    conn: AsyncConnection, person_id: int, login_hash: str | None = None, reason: Reason = "signed_out"
) -> bool:
    """End the person's live player if it belongs to this log-in (None: to any); tell whether there was one.

    The higher epoch shuts the page out of the row at once. What was earned stays in it. After the commit the
    caller publishes `Hint(person_id, "signed_out")`, so that the node with the socket closes it without a beat.
    """
    # A hello that is under way holds this lock; without waiting for it the row would be judged as it was before.
    await conn.execute(select(playback.c.epoch).where(playback.c.person_id == person_id).with_for_update())
    ended = (
        update(playback)
        .where(playback.c.person_id == person_id, playback.c.ended_reason.is_(None))
        .values(epoch=playback.c.epoch + 1, ended_reason=reason)
    )
    if login_hash is not None:
        ended = ended.where(playback.c.login_hash == login_hash)
    return (await conn.execute(ended)).rowcount > 0
