"""GET /api/v1/learners/{learner}/hours: a learner's ledger entries, a page at a time."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from player_server.auth.service_clients import Scope
from player_server.learning.eligibility import rfc3339
from player_server.learning.ledger_pages import LARGEST_PAGE, read_page
from player_server.policy.eligibility import Hours
from player_server.policy.hours import as_decimal
from player_server.web.ids import database_id
from player_server.web.operations import Call, Operation, Reply
from player_server.web.problems import Problem

Cursor = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)]


class HoursQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`after`: the `next` of the page before; `limit`: entries a page."""

    after: Cursor = 0
    limit: Limit = 100


class HoursEntry(msgspec.Struct, frozen=True):
    """One entry. A reversal has negative hours and `reverses` the entry that it takes back.

    `position`: its place in the signed log, from 0; null until it is logged.
    """

    entry: int
    occurred_at: str
    kind: Literal["online", "offline", "employer", "test"]
    subject: Literal["public", "professional", "elective"]
    entry_type: Literal["credit", "reversal"]
    hours: Hours
    course: int | None
    video: int | None
    round: int
    reverses: int | None
    rule_version: str
    position: int | None


class HoursPage(msgspec.Struct, frozen=True):
    """Entries in the order in which they were written; `next` null: there are no more now."""

    learner: int
    entries: list[HoursEntry]
    next: int | None


async def _get(call: Call) -> Reply:
    wanted: HoursQuery = call.query
    learner_id = database_id(call.request.match_info["learner"])
    page = None
    if learner_id is not None:
        page = await read_page(
            call.services, call.client, learner_id, after=wanted.after, limit=wanted.limit, address=call.address
        )
    if page is None or learner_id is None:
        raise Problem(404, "not_found", "There is no such learner.")
    entries = [
        HoursEntry(
            entry=row.id,
            occurred_at=rfc3339(row.occurred_at),
            kind=row.kind,
            subject=row.subject,
            entry_type=row.entry_type,
            hours=as_decimal(row.hours),
            course=row.course_id,
            video=row.video_id,
            round=row.round,
            reverses=row.reverses,
            rule_version=row.rule_version,
            position=row.position,
        )
        for row in page.rows
    ]
    return Reply(HoursPage(learner_id, entries, page.next))


HOURS = Operation(
    method="GET",
    path="/api/v1/learners/{learner}/hours",
    name="learner_hours",
    summary="A learner's ledger entries",
    handler=_get,
    scope=Scope.HOURS,
    query=HoursQuery,
    answers={200: HoursPage},
    problems={404: "There is no such learner, or not for this client."},
)
