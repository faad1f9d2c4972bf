"""GET /api/v1/events?after=: the same events as the webhooks, in one order, for catching up."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from player_server.api.learner_hours import Cursor, Limit
from player_server.auth.service_clients import Scope
from player_server.learning.eligibility import rfc3339
from player_server.learning.ledger_pages import read_events
from player_server.web.operations import Call, Operation, Reply

Topic = Literal[
    "hours.credited", "hours.completed", "hours.reversed", "exam.result", "finding.opened", "deadline.near"
]


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after`: the highest `position` seen so far; `topic`: only this one."""

    after: Cursor = 0
    limit: Limit = 100
    topic: Topic | None = None


class Event(msgspec.Struct, frozen=True):
    """`position` only grows. `data` is what the webhook of this event carries (docs/exam-service.md)."""

    position: int
    type: Topic
    created_at: str
    learner: int
    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class EventsPage(msgspec.Struct, frozen=True):
    """`last`: what to send as `after` next time. `more`: whether there is more already."""

    events: list[Event]
    last: int
    more: bool


async def _get(call: Call) -> Reply:
    wanted: EventsQuery = call.query
    page = await read_events(
        call.services,
        call.client,
        after=wanted.after,
        limit=wanted.limit,
        topics=[wanted.topic] if wanted.topic else [],
        address=call.address,
    )
    events = [
        Event(row.position, row.topic, rfc3339(row.created_at), row.learner_id, msgspec.Raw(row.payload.encode()))
        for row in page.rows
    ]
    return Reply(EventsPage(events, events[-1].position if events else wanted.after, page.next is not None))


EVENTS = Operation(
    method="GET",
    path="/api/v1/events",
    name="events",
    summary="What happened, in order",
    handler=_get,
    scope=Scope.EVENTS,
    query=EventsQuery,
    answers={200: EventsPage},
)
