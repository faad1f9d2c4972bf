"""Webhooks of an institution: who is told of its events, and what became of each message.

Sending them is in deliveries.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import TOPICS
from player_server.learning.services import Services
from player_server.policy.addresses import is_surely_private
from player_server.policy.webhooks import make_secret
from player_server.storage import audit
from player_server.storage.outgoing import url_fault
from player_server.storage.tables import outbox
from player_server.storage.webhook_tables import webhook_delivery, webhook_endpoint
from player_server.storage.webhooks import drop_waiting, send_again

LONGEST_NAME = 60
#: Endpoints in use of one institution, or of all of them: each event is written once for each of them.
MOST_ENDPOINTS = 20
PAGE_SIZE = 50


class Fault(StrEnum):
    """Why an endpoint is not taken."""

    NAME = "name"
    MALFORMED = "malformed"
    NOT_HTTPS = "not_https"
    NOT_PUBLIC = "not_public"
    WITH_PASSWORD = "with_password"  # noqa: S105  # A word for a fault.
    TOPICS = "topics"
    TOO_MANY = "too_many"


class State(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"  # after three days
    DROPPED = "dropped"  # the endpoint was disabled meanwhile


@dataclass(frozen=True, slots=True)
class Hand:
    """Who acts, and for whom. `staff_id` None: the operator; `institution_id` None: for all institutions."""

    staff_id: int | None
    institution_id: int | None
    address: str | None

    @property
    def actor(self) -> str:
        """For the audit."""
        return "operator" if self.staff_id is None else f"staff:{self.staff_id}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. Times in UTC ms; `waiting` and `given_up` are numbers of deliveries."""

    id: int
    name: str
    url: str
    topics: tuple[str, ...]
    created_at: int
    disabled_at: int | None
    disabled_reason: str | None  # staff | gone
    waiting: int = 0
    given_up: int = 0
    last_error: str | None = None  # of the newest delivery that waits after a failure
    last_at: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one endpoint. Times in UTC ms."""

    id: int
    topic: str
    learner_id: int
    event_at: int
    state: State
    attempts: int
    next_at: int
    last_at: int | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Newest first; `number` from 1."""

    deliveries: tuple[Delivery, ...]
    number: int
    pages: int
    total: int


def secret_of(services: Services, seed: str) -> str:
    """The secret of an endpoint. The database alone, or a copy of it, tells nobody."""
    return make_secret(services.keys.derive(f"webhook secret {seed}"))


async def add_endpoint(
    services: Services, hand: Hand, *, name: str, url: str, topics: list[str]
) -> tuple[int, str] | Fault:
    """A new endpoint: its id and its secret, which is told once; or what is wrong. It gets events from now on."""
    name, url = name.strip(), url.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        return Fault.NAME
    fault = url_fault(url, allow_http=services.settings.webhooks.allow_private)
    if fault is not None:
        return Fault(fault)
    if not services.settings.webhooks.allow_private and is_surely_private(urlsplit(url).hostname or ""):
        # A name is looked up for each message; this one would be refused each time, three days long.
        return Fault.NOT_PUBLIC
    chosen = [topic for topic in TOPICS if topic in topics]
    if not chosen:
        return Fault.TOPICS
    seed = secrets.token_hex(16)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        made = webhook_endpoint.c
        mine = (made.institution_id == hand.institution_id, made.disabled_at.is_(None))
        count = await conn.scalar(select(func.count()).select_from(webhook_endpoint).where(*mine))
        if (count or 0) >= MOST_ENDPOINTS:
            return Fault.TOO_MANY
        row = insert(webhook_endpoint).values(
            kind="webhook",
            institution_id=hand.institution_id,
            name=name,
            url=url,
            secret_seed=seed,
            topics=" ".join(chosen),
            created_by=hand.actor,
            created_at=now,
        )
        endpoint_id = int((await conn.execute(row.returning(webhook_endpoint.c.id))).scalar_one())
        await _record(conn, hand, "webhook.add", endpoint_id, now)
    return endpoint_id, secret_of(services, seed)


async def endpoints_of(services: Services, institution_id: int | None) -> list[Endpoint]:
    """All of an institution (None: those told of all), newest first, with how they stand."""
    row, made = webhook_delivery.c, webhook_endpoint.c
    async with services.db.read() as conn:
        found = await conn.execute(
            select(webhook_endpoint)
            .where(made.institution_id == institution_id, made.kind == "webhook")
            .order_by(made.id.desc())
        )
        endpoints = found.all()
        ids = [each.id for each in endpoints]
        counts = await conn.execute(
            select(row.endpoint_id, row.state, func.count())
            .where(row.endpoint_id.in_(ids), row.state.in_((State.WAITING, State.GIVEN_UP)))
            .group_by(row.endpoint_id, row.state)
        )
        numbers = {(endpoint_id, state): count for endpoint_id, state, count in counts}
        failing = {}
        for endpoint_id in ids:
            newest = (
                select(row.last_error, row.last_at)
                .where(row.endpoint_id == endpoint_id, row.last_error.is_not(None), row.state != State.DELIVERED)
                .order_by(row.position.desc())
                .limit(1)
            )
            failing[endpoint_id] = (await conn.execute(newest)).one_or_none()
    return [
        _endpoint(
            each,
            waiting=numbers.get((each.id, State.WAITING), 0),
            given_up=numbers.get((each.id, State.GIVEN_UP), 0),
            failing=failing[each.id],
        )
        for each in endpoints
    ]


def _endpoint(row: Any, *, waiting: int = 0, given_up: int = 0, failing: Any = None) -> Endpoint:
    return Endpoint(
        id=row.id,
        name=row.name,
        url=row.url,
        topics=tuple(row.topics.split(" ")),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        waiting=waiting,
        given_up=given_up,
        last_error=failing.last_error if failing else None,
        last_at=failing.last_at if failing else None,
    )


async def find_endpoint(services: Services, institution_id: int | None, endpoint_id: int | None) -> Endpoint | None:
    """One of this institution, without its numbers; None for all others."""
    async with services.db.read() as conn:
        row = await _own(conn, institution_id, endpoint_id)
    return None if row is None else _endpoint(row)


async def _own(conn: AsyncConnection, institution_id: int | None, endpoint_id: int | None) -> Any:
    if endpoint_id is None:
        return None
    made = webhook_endpoint.c
    query = select(webhook_endpoint).where(
        made.id == endpoint_id, made.institution_id == institution_id, made.kind == "webhook"
    )
    return (await conn.execute(query)).one_or_none()


async def deliveries_page(
    services: Services, endpoint_id: int, *, state: State | None, number: int
) -> DeliveryPage:
    """The messages to an endpoint, newest first. The caller has found the endpoint."""
    row = webhook_delivery.c
    wanted = [row.endpoint_id == endpoint_id]
    if state is not None:
        wanted.append(row.state == state)
    async with services.db.read() as conn:
        total = await conn.scalar(select(func.count()).select_from(webhook_delivery).where(*wanted)) or 0
        pages = max(1, -(-total // PAGE_SIZE))
        number = min(number, pages)
        found = await conn.execute(
            select(webhook_delivery, outbox.c.topic, outbox.c.created_at.label("event_at"))
            .join_from(webhook_delivery, outbox, outbox.c.id == row.outbox_id)
            .where(*wanted)
            .order_by(row.position.desc())
            .offset((number - 1) * PAGE_SIZE)
            .limit(PAGE_SIZE)
        )
        deliveries = tuple(
            Delivery(
                id=each.id,
                topic=each.topic,
                learner_id=each.learner_id,
                event_at=each.event_at,
                state=State(each.state),
                attempts=each.attempts,
                next_at=each.next_at,
                last_at=each.last_at,
                last_status=each.last_status,
                last_error=each.last_error,
            )
            for each in found
        )
    return DeliveryPage(deliveries, number, pages, total)


async def set_disabled(services: Services, hand: Hand, endpoint_id: int, *, disabled: bool) -> bool:
    """Stop telling an endpoint, or go on from now; False if there is no such one.

    What waited is dropped: it is shown as that, and can be sent again.
    """
    async with services.db.write() as conn:
        found = await _own(conn, hand.institution_id, endpoint_id)
        if found is None:
            return False
        now = (await services.clock.read(conn)).ms
        if disabled != (found.disabled_at is not None):
            await conn.execute(
                update(webhook_endpoint)
                .where(webhook_endpoint.c.id == endpoint_id)
                .values(disabled_at=now if disabled else None, disabled_reason="staff" if disabled else None)
            )
            if disabled:
                await drop_waiting(conn, endpoint_id, "disabled")
            await _record(conn, hand, "webhook.disable" if disabled else "webhook.enable", endpoint_id, now)
    return True


async def resend(services: Services, hand: Hand, endpoint_id: int, delivery_id: int | None) -> bool:
    """Try one delivery again at once; False if this institution's endpoint has no such one, or is disabled."""
    async with services.db.write() as conn:
        found = await _own(conn, hand.institution_id, endpoint_id)
        if found is None or found.disabled_at is not None or delivery_id is None:
            return False
        now = (await services.clock.read(conn)).ms
        if not await send_again(conn, endpoint_id, delivery_id, now):
            return False
        await _record(conn, hand, "webhook.resend", endpoint_id, now, f"delivery:{delivery_id}")
    return True


async def _record(
    conn: AsyncConnection, hand: Hand, action: str, endpoint_id: int, now: int, target: str = ""
) -> None:
    await audit.record(
        conn,
        at=now,
        actor=hand.actor,
        action=action,
        result="done",
        institution_id=hand.institution_id,
        target=target or f"webhook:{endpoint_id}",
        address=hand.address,
    )
