"""GET /api/v1/eligibility/{learner}: the exam service asks whether all hours are complete.

`Authorization: Bearer <JWT>` as in `auth/service_tokens.py`; `{learner}` is the learner's id. The answer is an
`EligibilityAnswer`. Errors are problem+json: 401 `invalid_token`, 404 `not_found` for learners that do not exist
and alike for those of other institutions.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web

from player_server.auth.service_tokens import BadServiceToken, ServiceClient, verify_client
from player_server.learning.eligibility import Eligibility, eligibility
from player_server.observe import log
from player_server.policy.hours import as_decimal
from player_server.web.address import address_of
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem


class CourseAnswer(msgspec.Struct, frozen=True):
    """One course. Hours are decimal strings with two places."""

    course: int
    title: str
    complete: bool
    required_hours: str
    earned_hours: str
    missing_hours: str
    deadline: str | None  # RFC 3339, UTC


class EligibilityAnswer(msgspec.Struct, frozen=True):
    """`complete`: there is at least one course, and each of them is complete."""

    learner: int
    complete: bool
    courses: tuple[CourseAnswer, ...]
    as_of: str  # RFC 3339, UTC: whatever was credited until then is in


async def get_eligibility(request: web.Request) -> web.StreamResponse:
    """The door."""
    client = await require_client(request)
    learner_id = database_id(request.match_info["learner"])
    found = await eligibility(request.app[SERVICES], client, learner_id, address=address_of(request))
    if found is None:
        raise Problem(404, "not_found", "There is no such learner.")
    return web.Response(body=msgspec.json.encode(_answer(found)), content_type="application/json")


async def require_client(request: web.Request) -> ServiceClient:
    """The service behind this request, or a 401 problem that does not say what was wrong."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise BadServiceToken("missing")
        return await verify_client(request.app[SERVICES], token.strip())
    except BadServiceToken as error:
        log.warning("service_token_refused", reason=error.reason, client=(error.client_id or "")[:100])
        raise Problem(
            401,
            "invalid_token",
            "Send a fresh token, signed with the key registered for this client.",
            headers={"WWW-Authenticate": 'Bearer realm="xueshi"'},
        ) from None


def _answer(found: Eligibility) -> EligibilityAnswer:
    return EligibilityAnswer(
        learner=found.learner_id,
        complete=found.complete,
        courses=tuple(
            CourseAnswer(
                course=each.course_id,
                title=each.title,
                complete=each.complete,
                required_hours=as_decimal(each.required),
                earned_hours=as_decimal(each.earned),
                missing_hours=as_decimal(each.required - each.earned),
                deadline=None if each.deadline is None else _rfc3339(each.deadline),
            )
            for each in found.courses
        ),
        as_of=_rfc3339(found.as_of),
    )


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
