"""Stored progress: where a frontier rests when no live player moves it. Frontiers only ever grow."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import media, video, watch_progress
from player_server.storage.upsert import insert
from telemetry.rules import watched_from_ms


async def store_frontier(conn: AsyncConnection, row: Any, now_ms: int) -> None:
    """Move the frontier of this playback row into the stored progress; marks the video watched if it is."""
    duration = await conn.scalar(select(media.c.duration_ms).where(media.c.sha == row.media_sha))
    if duration is None:
        return
    watched = row.frontier_ms >= watched_from_ms(duration)
    statement = insert(conn, watch_progress).values(
        learner_id=row.learner_id,
        video_id=row.video_id,
        round=row.round,
        frontier_ms=row.frontier_ms,
        position_ms=row.position_ms,
        media_sha=row.media_sha,
        watched_at=now_ms if watched else None,
        updated_at=now_ms,
    )
    new = statement.excluded
    old = watch_progress.c
    greatest = func.max if conn.dialect.name == "sqlite" else func.greatest
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=[old.learner_id, old.video_id, old.round],
            set_={
                "frontier_ms": greatest(old.frontier_ms, new.frontier_ms),
                "position_ms": new.position_ms,
                "media_sha": new.media_sha,
                "watched_at": func.coalesce(old.watched_at, new.watched_at),
                "updated_at": new.updated_at,
            },
        )
    )


async def open_round(conn: AsyncConnection, learner_id: int, video_id: int, round_: int, now_ms: int) -> int:
    """Make sure that this round, or a later one, is the newest; it begins at the start of the newest file.

    Returns the newest round. Opening a round twice changes nothing.
    """
    row = watch_progress.c
    of_pair = (row.learner_id == learner_id, row.video_id == video_id)
    newest = await conn.scalar(select(func.max(row.round)).where(*of_pair))
    if newest is not None and newest >= round_:
        return int(newest)
    sha = await conn.scalar(select(video.c.media_sha).where(video.c.id == video_id))
    new = insert(conn, watch_progress).values(
        learner_id=learner_id,
        video_id=video_id,
        round=round_,
        frontier_ms=0,
        position_ms=0,
        media_sha=sha,
        updated_at=now_ms,
    )
    await conn.execute(new.on_conflict_do_nothing())
    return round_
