"""What surrounds every request: an id, security headers, and an answer when something goes wrong.

`install(app, error_page)` hangs all of it in. Pages get an error page, paths under /api/ a problem; neither ever
shows what broke inside, only the request id under which the log tells it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from player_server.auth.passwords import TooBusy
from player_server.observe import log
from player_server.web.address import socket_origin
from player_server.web.csrf import ForgedRequest
from player_server.web.keys import SERVICES
from player_server.web.problems import CONTENT_TYPE, Problem, is_api, problem_response

REQUEST_ID_HEADER = "X-Request-Id"

#: (request, status or "csrf", request id) → page. Handed in, because drawing pages belongs to a higher floor.
ErrorPage = Callable[[web.Request, int | Literal["csrf"], str], web.Response]

_ERROR_PAGE: web.AppKey[ErrorPage] = web.AppKey("error_page")
_REQUEST_ID = web.RequestKey("request_id", str)
_ID_BYTES = 8
_YEAR_S = 365 * 24 * 3600
#: How soon to come back when too many log in at once.
_BUSY_S = 3
#: Headers of an error that say what to do about it.
_KEPT = ("Allow", "Content-Range", "Retry-After")
_CODES: dict[int | str, str] = {
    "csrf": "csrf",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_many_requests",
    500: "internal_error",
    503: "busy",
}
_NOT_KEPT = ("text/html", "application/json", CONTENT_TYPE)


def install(app: web.Application, error_page: ErrorPage) -> None:
    """Put the middleware and the headers around every route of `app`."""
    app[_ERROR_PAGE] = error_page
    app.middlewares.append(answer_errors)
    app.on_response_prepare.append(set_headers)


def request_id(request: web.BaseRequest) -> str:
    """The id of this request: in its answer, on the error page and in every log line it causes.

    It is always made here. An id of the client's own could be used to forge log lines.
    """
    identifier: str | None = request.get(_REQUEST_ID)
    if identifier is None:
        identifier = request[_REQUEST_ID] = secrets.token_hex(_ID_BYTES)
    return identifier


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn problems, HTTP errors and bugs into answers."""
    with structlog.contextvars.bound_contextvars(request_id=request_id(request)):
        try:
            return await handler(request)
        except Problem as problem:
            return problem_response(problem, request_id(request))
        except TooBusy:
            return _answer(request, 503, {"Retry-After": str(_BUSY_S)})
        except ForgedRequest:
            return _answer(request, "csrf")
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _answer(
                request, error.status, {name: error.headers[name] for name in _KEPT if name in error.headers}
            )
        except Exception:
            # Neither query string nor form is logged: they may hold tickets and ID numbers. The pattern of the
            # route is logged instead of the path, which may hold a token as well.
            resource = request.match_info.route.resource
            log.exception(
                "request_failed", method=request.method, route=resource.canonical if resource else request.path
            )
            return _answer(request, 500)


def _answer(
    request: web.Request, status: int | Literal["csrf"], headers: Mapping[str, str] | None = None
) -> web.Response:
    if is_api(request):
        number = 403 if status == "csrf" else status
        response = problem_response(Problem(number, _CODES.get(status, f"http_{status}")), request_id(request))
    else:
        response = request.app[_ERROR_PAGE](request, status, request_id(request))
    response.headers.update(headers or {})
    return response


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer, also of redirects and of files. A handler's own value wins."""
    headers = response.headers
    headers[REQUEST_ID_HEADER] = request_id(request)
    headers.setdefault("Content-Security-Policy", content_security_policy(socket_origin(request)))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if response.status != 304 and (response.content_type in _NOT_KEPT or 300 <= response.status < 400):
        headers.setdefault("Cache-Control", "no-store")
    if not request.app[SERVICES].settings.server.insecure_http:
        headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")


@lru_cache(maxsize=64)
def content_security_policy(socket: str | None, forms: str | None = None) -> str:
    """The policy of every answer. `socket` is named because not every browser counts wss: as 'self'; `forms`:
    another origin where a form of this page may end."""
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            "media-src 'self' blob:",
            f"connect-src 'self' {socket}" if socket else "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            f"form-action 'self' {forms}" if forms else "form-action 'self'",
            "object-src 'none'",
        )
    )
