"""Endpoints, deliveries and the order of the outbox, as rows. What is sent and when is decided elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import outbox
from player_server.storage.webhook_tables import webhook_delivery, webhook_endpoint

_ADVISORY_LOCK = 0x78756F62  # "xuob"


async def place_events(conn: AsyncConnection, *, limit: int, now_ms: int) -> int:
    """Give waiting events their positions, and each endpoint that wants one its delivery. Returns how many.

    One worker at a time does it: a reader who has seen a position has seen all before it.
    """
    if conn.dialect.name == "postgresql" and not await conn.scalar(
        text(f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})")
    ):
        return 0
    query = select(outbox).where(outbox.c.position.is_(None)).order_by(outbox.c.id).limit(limit)
    events = (await conn.execute(query)).all()
    if not events:
        return 0
    endpoints = (await conn.execute(select(webhook_endpoint).where(webhook_endpoint.c.disabled_at.is_(None)))).all()
    position = int(await conn.scalar(select(func.max(outbox.c.position))) or 0)
    deliveries = []
    for event in events:
        position += 1
        wanted = [each for each in endpoints if _wants(each, event)]
        done = None if wanted else now_ms
        await conn.execute(
            update(outbox).where(outbox.c.id == event.id).values(position=position, delivered_at=done)
        )
        deliveries += [
            {
                "endpoint_id": each.id,
                "outbox_id": event.id,
                "position": position,
                "learner_id": event.learner_id,
                "state": "waiting",
                "attempts": 0,
                "next_at": now_ms,
            }
            for each in wanted
        ]
    if deliveries:
        await conn.execute(insert(webhook_delivery), deliveries)
    return len(events)


async def has_unplaced(conn: AsyncConnection) -> bool:
    """Whether an event waits for its position."""
    return await conn.scalar(select(outbox.c.id).where(outbox.c.position.is_(None)).limit(1)) is not None


def _wants(endpoint: Any, event: Any) -> bool:
    mine = endpoint.institution_id is None or endpoint.institution_id == event.institution_id
    return mine and event.topic in endpoint.topics.split(" ")


class FeedEvent(NamedTuple):
    """One event in the order in which everybody sees it; `payload` is JSON text."""

    position: int
    id: int
    topic: str
    institution_id: int
    learner_id: int
    payload: str
    created_at: int


async def feed(
    conn: AsyncConnection, institution_id: int | None, topics: Collection[str], *, after: int, limit: int
) -> Sequence[FeedEvent]:
    """Events behind a position, of one institution or (None) of all."""
    row = outbox.c
    query = (
        select(row.position, row.id, row.topic, row.institution_id, row.learner_id, row.payload, row.created_at)
        .where(row.position > after, row.topic.in_(topics))
        .order_by(row.position)
        .limit(limit)
    )
    if institution_id is not None:
        query = query.where(row.institution_id == institution_id)
    return [FeedEvent(*each) for each in (await conn.execute(query)).all()]


async def oldest_position(conn: AsyncConnection) -> int | None:
    """The first position that is still kept; None if there is none at all."""
    found: int | None = await conn.scalar(select(func.min(outbox.c.position)))
    return found


async def busy_endpoints(conn: AsyncConnection, now_ms: int) -> Sequence[int]:
    """Endpoints for which something is due."""
    row = webhook_delivery.c
    due = exists().where(row.endpoint_id == webhook_endpoint.c.id, *_due(now_ms))
    query = select(webhook_endpoint.c.id).where(webhook_endpoint.c.disabled_at.is_(None), due)
    return (await conn.scalars(query)).all()


def _due(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    row = webhook_delivery.c
    free = or_(row.claimed_until.is_(None), row.claimed_until <= now_ms)
    return (row.state == "waiting", row.next_at <= now_ms, free)


async def claim(
    conn: AsyncConnection, endpoint_id: int, *, limit: int, token: str, now_ms: int, until: int
) -> Sequence[Any]:
    """Take deliveries that are due: for each learner only the first one that is not done. Nobody else has them."""
    row = webhook_delivery.c
    earlier = webhook_delivery.alias("earlier")
    first = ~exists().where(
        earlier.c.endpoint_id == row.endpoint_id,
        earlier.c.learner_id == row.learner_id,
        earlier.c.state == "waiting",
        earlier.c.position < row.position,
    )
    found = await conn.scalars(
        select(row.id)
        .where(row.endpoint_id == endpoint_id, *_due(now_ms), first)
        .order_by(row.next_at, row.position)
        .limit(limit)
    )
    claimed = []
    for delivery_id in found.all():
        taken = await conn.execute(
            update(webhook_delivery)
            .where(row.id == delivery_id, *_due(now_ms))
            .values(claimed_by=token, claimed_until=until)
        )
        if taken.rowcount == 1:
            claimed.append(delivery_id)
    if not claimed:
        return []
    query = (
        select(
            webhook_delivery,
            outbox.c.topic,
            outbox.c.payload,
            outbox.c.created_at.label("event_at"),
            webhook_endpoint.c.url,
            webhook_endpoint.c.kind,
            webhook_endpoint.c.secret_seed,
        )
        .join_from(webhook_delivery, outbox, outbox.c.id == row.outbox_id)
        .join(webhook_endpoint, webhook_endpoint.c.id == row.endpoint_id)
        .where(row.id.in_(claimed))
        .order_by(row.position)
    )
    return (await conn.execute(query)).all()


async def finish(conn: AsyncConnection, delivery: Any, token: str, **values: object) -> bool:
    """Write down how a claimed delivery went; False if the claim ran out and somebody else has it now."""
    row = webhook_delivery.c
    written = await conn.execute(
        update(webhook_delivery)
        .where(row.id == delivery.id, row.claimed_by == token, row.state == "waiting")
        .values(claimed_by=None, claimed_until=None, **values)
    )
    if written.rowcount != 1:
        return False
    if values.get("state", "waiting") != "waiting":
        await close_events(conn, row.outbox_id == delivery.outbox_id)
    else:
        # What waits behind it for the same learner need not be looked at before.
        await conn.execute(
            update(webhook_delivery)
            .where(
                row.endpoint_id == delivery.endpoint_id,
                row.learner_id == delivery.learner_id,
                row.state == "waiting",
                row.next_at < values["next_at"],
            )
            .values(next_at=values["next_at"])
        )
    return True


async def close_events(conn: AsyncConnection, of_deliveries: ColumnElement[bool]) -> None:
    """Mark the events of these deliveries as done where nobody waits for them any more."""
    row = webhook_delivery.c
    waiting = webhook_delivery.alias("waiting")
    now_ms = func.coalesce(
        select(func.max(row.last_at)).where(row.outbox_id == outbox.c.id).scalar_subquery(), outbox.c.created_at
    )
    await conn.execute(
        update(outbox)
        .where(
            outbox.c.id.in_(select(row.outbox_id).where(of_deliveries)),
            outbox.c.delivered_at.is_(None),
            ~exists().where(waiting.c.outbox_id == outbox.c.id, waiting.c.state == "waiting"),
        )
        .values(delivered_at=now_ms)
    )


async def drop_waiting(conn: AsyncConnection, endpoint_id: int, why: str) -> int:
    """Nothing more goes to this endpoint; what waited is shown as dropped, and can be sent again."""
    row = webhook_delivery.c
    mine = and_(row.endpoint_id == endpoint_id, row.state == "waiting")
    ids = (await conn.scalars(select(row.id).where(mine))).all()
    await conn.execute(
        update(webhook_delivery)
        .where(mine)
        .values(state="dropped", claimed_by=None, claimed_until=None, last_error=func.coalesce(row.last_error, why))
    )
    await close_events(conn, and_(row.endpoint_id == endpoint_id, row.state == "dropped"))
    return len(ids)


async def send_again(conn: AsyncConnection, endpoint_id: int, delivery_id: int, now_ms: int) -> bool:
    """Have a delivery tried at once, with all its attempts before it; False if the endpoint has no such one."""
    row = webhook_delivery.c
    again = await conn.execute(
        update(webhook_delivery)
        .where(row.id == delivery_id, row.endpoint_id == endpoint_id)
        .values(
            state="waiting",
            next_at=now_ms,
            first_at=case((row.state == "waiting", row.first_at)),
            attempts=case((row.state == "waiting", row.attempts), else_=0),
        )
    )
    if again.rowcount != 1:
        return False
    of_delivery = select(row.outbox_id).where(row.id == delivery_id)
    await conn.execute(update(outbox).where(outbox.c.id.in_(of_delivery)).values(delivered_at=None))
    return True


async def forget_events(conn: AsyncConnection, before_ms: int, *, limit: int) -> int:
    """Delete events that were done before this moment, with their deliveries, oldest first and without a gap.

    The newest one stays for ever, so that no position and no id is used twice. One that still waits keeps all
    behind it, so that whoever reads the feed can tell from the oldest position whether something was missed.
    """
    row, waiting = outbox.c, outbox.alias("waiting")
    newest = select(func.max(waiting.c.position)).scalar_subquery()
    newest_id = select(func.max(waiting.c.id)).scalar_subquery()
    open_ = waiting.c.delivered_at.is_(None) | (waiting.c.delivered_at >= before_ms)
    first_open = select(func.min(waiting.c.position)).where(open_).scalar_subquery()
    query = (
        select(row.id)
        .where(row.delivered_at < before_ms, row.position < newest, row.id < newest_id)
        .where(row.position < func.coalesce(first_open, newest))
        .order_by(row.position)
        .limit(limit)
    )
    ids = (await conn.scalars(query)).all()
    if ids:
        await conn.execute(delete(webhook_delivery).where(webhook_delivery.c.outbox_id.in_(ids)))
        await conn.execute(delete(outbox).where(row.id.in_(ids)))
    return len(ids)
