"""GET /api/v1/events?after=: the same events as the webhooks, in one order, for catching up."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from player_server.api.learner_hours import Cursor, Limit
from player_server.auth.service_clients import Scope
from player_server.learning.ledger_pages import read_events
from player_server.web.operations import Call, Operation, Reply

Topic = Literal[
    "hours.credited", "hours.completed", "hours.reversed", "exam.result", "finding.opened", "deadline.near"
]


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after`: the `last` of the page before."""

    after: Cursor = 0
    limit: Limit = 100


class EventBody(msgspec.Struct, frozen=True):
    """What a webhook of this event has in its body; `data` has `institution`, `learner`, and what the topic
    brings."""

    id: str
    type: Topic
    timestamp: str
    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class Event(msgspec.Struct, frozen=True):
    """`position` only grows; whoever has seen one misses none before it."""

    position: int
    event: EventBody


class EventsPage(msgspec.Struct, frozen=True):
    """`last`: what to send as `after` next time. `more`: there is more already. `forgotten`: some events behind
    `after` were deleted meanwhile, so ask eligibility anew for everybody you keep."""

    events: list[Event]
    last: int
    more: bool
    forgotten: bool


async def _get(call: Call) -> Reply:
    wanted: EventsQuery = call.query
    feed = await read_events(
        call.services, call.client, after=wanted.after, limit=wanted.limit + 1, address=call.address
    )
    events = [
        Event(position, msgspec.json.decode(body, type=EventBody)) for position, body in feed.events[: wanted.limit]
    ]
    last = events[-1].position if events else wanted.after
    return Reply(EventsPage(events, last, len(feed.events) > wanted.limit, feed.forgotten))


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
