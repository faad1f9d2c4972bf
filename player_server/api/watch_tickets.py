"""POST /api/v1/watch-tickets: a logged-in learner's page gets a single-use ticket for the player's WebSocket."""

from __future__ import annotations

import msgspec
from aiohttp import web
from redis.exceptions import RedisError

from player_server.observe import metrics
from player_server.storage import tickets
from player_server.storage.tickets import TICKET_SECONDS, Ticket
from player_server.web.csrf import require_csrf
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem
from player_server.web.viewer import require_learner
from telemetry.messages import VideoId


class TicketRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which video the page wants to play."""

    video: VideoId


class TicketAnswer(msgspec.Struct, frozen=True):
    """`url` is the path to open, with the ticket; good once, for `expires_in` seconds."""

    ticket: str
    url: str
    expires_in: int


async def post_watch_ticket(request: web.Request) -> web.StreamResponse:
    """200 TicketAnswer; 400 bad body, 401 not logged in, 403 forged, 503 Redis is away (with Retry-After).

    Whether the learner may watch this video is decided at the hello, by the same code for every page.
    """
    viewer = await require_learner(request)
    require_csrf(request)
    try:
        wanted = msgspec.json.decode(await request.read(), type=TicketRequest)
    except msgspec.DecodeError as error:
        raise Problem(400, "bad_request", str(error)) from None
    ticket = Ticket(viewer.person_id, viewer.learner_id, wanted.video, viewer.login_hash)
    try:
        name = await tickets.issue(request.app[SERVICES].redis, ticket)
    except (RedisError, OSError):
        metrics.redis_failures.labels("ticket").inc()
        raise Problem(503, "try_later", "The player cannot be opened now. Try again in a moment.") from None
    answer = TicketAnswer(name, f"/ws/watch?ticket={name}", TICKET_SECONDS)
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
