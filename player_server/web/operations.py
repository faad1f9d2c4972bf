"""What every operation of the REST interface has in common: who asks, how often, in which form, and what comes
back.

An `Operation` is a handler with everything that is said about it; the same value makes the route and its part of
the OpenAPI document (`web/openapi.py`), so that neither can say what the other does not do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

from player_server.auth.gate import Pace
from player_server.auth.service_clients import Scope, ServiceClient
from player_server.auth.service_tokens import BadServiceToken, verify_access_token
from player_server.learning.services import Services
from player_server.observe import log
from player_server.storage.clock import wall_ms
from player_server.web.address import address_of
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_CHALLENGE = 'Bearer realm="xueshi"'


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: `query` and `body` are of the types that the operation names."""

    request: web.Request
    services: Services
    client: ServiceClient
    query: Any
    body: Any

    @property
    def address(self) -> str:
        """Where it comes from, for the audit trail."""
        return address_of(self.request)


@dataclass(frozen=True, slots=True)
class Reply:
    """`body`: a value of the operation's answer type, JSON that was encoded before, or None for no content."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `scope` None: open to everybody; `weight`: what a call counts for the client's pace.

    `answers`: the body's type by status, None where there is no body. `problems`: statuses that come as
    problem+json, beside those that every operation may give. `headers`: by name, what a request header means,
    and whether it must be there.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    handler: Callable[[Call], Awaitable[Reply]]
    answers: Mapping[int, Any]
    scope: Scope | None = None
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    body_type: str = JSON
    problems: Mapping[int, str] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    weight: Callable[[Any], int] = lambda _body: 1
    description: str = ""

    def route(self) -> web.RouteDef:
        """Where aiohttp finds it."""
        return web.route(self.method, self.path, self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        client = ServiceClient("anonymous", None, frozenset())
        headers: dict[str, str] = {}
        if self.scope is not None:
            client = await require_client(request, self.scope)
        query = _query(request, self.query) if self.query is not None else None
        body = await _body(request, self) if self.body is not None else None
        if self.scope is not None:
            headers = await _keep_pace(services, client, self.weight(body))
        try:
            reply = await self.handler(Call(request, services, client, query, body))
        except Problem as problem:
            problem.headers = {**headers, **problem.headers}
            raise
        headers.update(reply.headers)
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers)
        text = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        return web.Response(status=reply.status, body=text, content_type=JSON, headers=headers)


async def require_client(request: web.Request, scope: Scope) -> ServiceClient:
    """The service behind this request, or a 401 problem that does not say what was wrong, or 403 without the
    scope."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise BadServiceToken("missing")
        client = await verify_access_token(request.app[SERVICES], token.strip())
    except BadServiceToken as error:
        log.warning("service_token_refused", reason=error.reason, client=(error.client_id or "")[:100])
        raise Problem(
            401,
            "invalid_token",
            "Ask for an access token at /api/v1/oauth/token and send it as a bearer token.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        ) from None
    if scope not in client.scopes:
        raise Problem(
            403,
            "insufficient_scope",
            f"This needs the scope {scope}.",
            headers={"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
        )
    return client


async def _keep_pace(services: Services, client: ServiceClient, cost: int) -> dict[str, str]:
    limit = services.settings.exam.requests_per_minute
    pace = await services.gate.pace(services.redis, client.client_id, limit, cost, wall_ms() / 1000)
    headers = _pace_headers(pace)
    if not pace.allowed:
        raise Problem(
            429,
            "too_many_requests",
            f"This client may ask {limit} times a minute. Go on in {pace.reset_s} seconds.",
            headers={**headers, "Retry-After": str(pace.reset_s)},
        )
    return headers


def _pace_headers(pace: Pace) -> dict[str, str]:
    # As in draft-ietf-httpapi-ratelimit-headers: a policy, and how the client stands to it.
    return {
        "RateLimit-Policy": f'"minute";q={pace.limit};w=60',
        "RateLimit": f'"minute";r={pace.remaining};t={pace.reset_s}',
    }


def _query(request: web.Request, shape: type[msgspec.Struct]) -> Any:
    # A name that stands twice is one key here, but two items.
    if len(request.query) != len(set(request.query)):
        raise Problem(400, "bad_request", "A parameter stands twice.")
    try:
        return msgspec.convert(dict(request.query), shape, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise Problem(400, "bad_request", f"query: {error}") from None


async def _body(request: web.Request, operation: Operation) -> Any:
    if request.content_type != operation.body_type:
        raise Problem(415, "unsupported_media_type", f"Send the body as {operation.body_type}.")
    try:
        if operation.body_type == FORM:
            form = await request.post()
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            if len(fields) != len(form):
                raise Problem(400, "bad_request", "A field stands twice.", error="invalid_request")
            return msgspec.convert(fields, operation.body or msgspec.Struct, strict=False)
        return _decode(await request.read(), operation.body or msgspec.Struct)
    except (msgspec.DecodeError, ValueError) as error:
        if operation.body_type != FORM:
            raise Problem(400, "bad_request", f"body: {error}") from None
        raise Problem(400, "bad_request", f"body: {error}", error="invalid_request") from None


def _decode(text: bytes, shape: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError:
        # To JSON Schema 4.0 is the integer 4; msgspec takes it for a number only.
        return msgspec.convert(_whole(msgspec.json.decode(text)), shape)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
