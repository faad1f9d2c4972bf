"""Delivering events: each is sent to each endpoint that wants it, at least once, one learner's in their order.

The outbox and the deliveries are the truth. A worker claims a delivery for a minute, sends, and writes down how it
went; a worker that dies leaves a claim that runs out, and the message is sent again under the same `webhook-id`. A
message that fails is tried again for three days, and those of the same learner wait behind it; then it is given up,
which staff see and can undo.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import update

from player_server.learning.events import envelope, message_id
from player_server.learning.services import Services
from player_server.learning.webhooks import secret_of
from player_server.learning.xapi import XAPI, statements_request
from player_server.observe import log, metrics
from player_server.policy.webhooks import headers, is_delivered, is_gone, next_try_ms
from player_server.storage.outgoing import NotSent, Outgoing
from player_server.storage.webhook_tables import webhook_endpoint
from player_server.storage.webhooks import (
    busy_endpoints,
    claim,
    drop_waiting,
    finish,
    forget_events,
    has_unplaced,
    place_events,
)

#: Events that one transaction places: with a few endpoints some hundred rows.
PLACED_AT_ONCE = 100
#: Deliveries that one worker has under way to one endpoint. Others wait in SQL.
AT_ONCE = 4
#: Longer than any attempt takes, so that a claim only runs out when its worker is dead.
CLAIM_MS = 60_000
LONGEST_ERROR = 200
DAY_MS = 86_400_000
FORGOTTEN_AT_ONCE = 200
CONFLICT = 409


async def place(services: Services) -> int:
    """Give new events their place in the order and hand them to the endpoints; returns how many."""
    async with services.db.read() as conn:
        if not await has_unplaced(conn):
            return 0
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        return await place_events(conn, limit=PLACED_AT_ONCE, now_ms=now)


async def endpoints_with_work(services: Services) -> Sequence[int]:
    """Endpoints for which something is due now."""
    async with services.db.read() as conn:
        return await busy_endpoints(conn, (await services.clock.read(conn)).ms)


async def claim_some(services: Services, endpoint_id: int) -> tuple[str, Sequence[Any]]:
    """Take what is due for an endpoint: a token and the deliveries, at most AT_ONCE, each of another learner."""
    token = secrets.token_hex(8)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        return token, await claim(conn, endpoint_id, limit=AT_ONCE, token=token, now_ms=now, until=now + CLAIM_MS)


async def deliver(services: Services, outgoing: Outgoing, token: str, delivery: Any) -> bool:
    """Send one claimed delivery and write down how it went; True if the receiver has it."""
    async with services.db.read() as conn:
        started = (await services.clock.read(conn)).ms
    status: int | None = None
    error: str | None = None
    url, body, fields = _request(services, delivery, started)
    try:
        answer = await outgoing.post(url, fields, body)
        status = answer.status
        # A record store says 409 of a statement that it has already.
        if not (is_delivered(status) or (delivery.kind == XAPI and status == CONFLICT)):
            error = f"HTTP {status}"
    except NotSent as failure:
        error = str(failure)[:LONGEST_ERROR]
    await _write_down(services, token, delivery, status, error)
    return error is None


def _request(services: Services, delivery: Any, now_ms: int) -> tuple[str, bytes, dict[str, str]]:
    """Address, body and headers."""
    if delivery.kind == XAPI:
        return statements_request(services, delivery.url, delivery.payload)
    body = envelope(delivery.outbox_id, delivery.topic, delivery.event_at, delivery.payload)
    secret = secret_of(services, delivery.secret_seed)
    return delivery.url, body, dict(headers(secret, message_id(delivery.outbox_id), now_ms // 1000, body))


async def _write_down(services: Services, token: str, delivery: Any, status: int | None, error: str | None) -> None:
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        first = delivery.first_at or now
        attempts = delivery.attempts + 1
        values: dict[str, object] = {
            "attempts": attempts,
            "first_at": first,
            "last_at": now,
            "last_status": status,
            "last_error": error,
        }
        outcome = "delivered"
        if error is None:
            values["state"] = "delivered"
        else:
            again = next_try_ms(attempts, first, now, random.random())  # noqa: S311  # Only spreads retries.
            outcome = "failed" if again is not None else "given_up"
            values |= {"state": "given_up"} if again is None else {"next_at": again}
        mine = await finish(conn, delivery, token, **values)
        if mine and status is not None and is_gone(status) and delivery.kind != XAPI:
            # The receiver's way to say: never again. Staff see it and can switch the endpoint on.
            await conn.execute(
                update(webhook_endpoint)
                .where(webhook_endpoint.c.id == delivery.endpoint_id, webhook_endpoint.c.disabled_at.is_(None))
                .values(disabled_at=now, disabled_reason="gone")
            )
            await drop_waiting(conn, delivery.endpoint_id, "HTTP 410")
    metrics.deliveries.labels(outcome).inc()
    if error is not None:
        log.warning(
            "webhook_failed", endpoint=delivery.endpoint_id, delivery=delivery.id, attempts=attempts, error=error
        )


async def forget(services: Services) -> int:
    """Delete events that every endpoint has had for longer than `webhooks.keep_days`; returns how many."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        before = now - round(services.settings.webhooks.keep_days * DAY_MS)
        return await forget_events(conn, before, limit=FORGOTTEN_AT_ONCE)
