"""Watch segments that a learning record store was not told of yet, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import String, cast, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import learner, media, outbox, video, watch_progress, watch_segment
from player_server.storage.webhook_tables import webhook_endpoint
from player_server.storage.webhooks import drop_waiting

#: A segment may be committed after others with higher numbers, but hardly after so many.
REACH = 2_000


def source_of(segment_id: int) -> str:
    """What the outbox calls the statements of a segment."""
    return f"segment:{segment_id}"


async def record_store(conn: AsyncConnection, url: str | None, topic: str, now_ms: int) -> Any | None:
    """The endpoint of this address, made on first use; every other record store is disabled. None for no address.

    A new one is told of what is watched from now on.
    """
    made = webhook_endpoint.c
    known = (await conn.execute(select(webhook_endpoint).where(made.kind == "xapi"))).all()
    for other in known:
        if other.url != url and other.disabled_at is None:
            gone = {"disabled_at": now_ms, "disabled_reason": "settings"}
            await conn.execute(update(webhook_endpoint).where(made.id == other.id).values(**gone))
            await drop_waiting(conn, other.id, "disabled")
    if url is None:
        return None
    found = next((each for each in known if each.url == url), None)
    if found is not None and found.disabled_at is None:
        return found
    newest = await conn.scalar(select(func.max(watch_segment.c.id))) or 0
    if found is not None:
        again = {"disabled_at": None, "disabled_reason": None, "told_segment": newest}
        row = update(webhook_endpoint).where(made.id == found.id).values(**again).returning(webhook_endpoint)
        return (await conn.execute(row)).one()
    new = insert(webhook_endpoint).values(
        kind="xapi",
        institution_id=None,
        name="xAPI",
        url=url,
        topics=topic,
        created_by="system",
        created_at=now_ms,
        told_segment=newest,
    )
    return (await conn.execute(new.returning(webhook_endpoint))).one()


async def known_store(conn: AsyncConnection, url: str | None) -> bool:
    """Whether the endpoints are as the settings say, so that nothing has to be written."""
    made = webhook_endpoint.c
    query = select(made.url).where(made.kind == "xapi", made.disabled_at.is_(None))
    return (await conn.scalars(query)).all() == ([] if url is None else [url])


async def new_segments(conn: AsyncConnection, url: str, *, limit: int) -> Sequence[Any]:
    """Segments that the store at `url` was not told of, oldest first, with their video and its running time."""
    row, made = watch_segment.c, webhook_endpoint.c
    store = select(webhook_endpoint).where(made.url == url, made.kind == "xapi", made.disabled_at.is_(None))
    found = (await conn.execute(store)).one_or_none()
    if found is None:
        return []
    told = literal("segment:").concat(cast(row.id, String))
    # The version that was watched; the author may have replaced the file since.
    version = func.coalesce(watch_progress.c.media_sha, video.c.media_sha)
    query = (
        select(watch_segment, video.c.title, media.c.duration_ms, learner.c.institution_id)
        .join_from(watch_segment, video, video.c.id == row.video_id)
        .join(learner, learner.c.id == row.learner_id)
        .outerjoin(
            watch_progress,
            (watch_progress.c.learner_id == row.learner_id)
            & (watch_progress.c.video_id == row.video_id)
            & (watch_progress.c.round == row.round),
        )
        .join(media, media.c.sha == version)
        .outerjoin(outbox, outbox.c.source == told)
        .where(row.id > found.told_segment - REACH, outbox.c.id.is_(None))
        # What was watched before the store was known is not told.
        .where((row.id > found.told_segment) | (row.ended_at >= found.created_at))
        .order_by(row.id)
        .limit(limit)
    )
    return (await conn.execute(query)).all()


async def segments_before(conn: AsyncConnection, segment: Any) -> Sequence[Any]:
    """The segments of the same learner, video and round before this one, in the order of watching."""
    row = watch_segment.c
    query = (
        select(row.session_id, row.from_ms, row.to_ms, row.started_at, row.ended_at)
        .where(
            row.learner_id == segment.learner_id,
            row.video_id == segment.video_id,
            row.round == segment.round,
            (row.started_at < segment.started_at)
            | ((row.started_at == segment.started_at) & (row.id < segment.id)),
        )
        .order_by(row.started_at, row.id)
    )
    return (await conn.execute(query)).all()


async def note_told(conn: AsyncConnection, url: str, segment_id: int) -> None:
    """Look from this segment on the next time."""
    made = webhook_endpoint.c
    await conn.execute(
        update(webhook_endpoint)
        .where(made.url == url, made.kind == "xapi", made.told_segment < segment_id)
        .values(told_segment=segment_id)
    )
