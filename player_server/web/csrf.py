"""Forms and fetches that change something must come from our own pages, in the browser that got them.

Two locks: a token bound to the log-in cookie (or, before log-in, to a visitor cookie), and the browser's own
statement of where the request comes from (Origin, Sec-Fetch-Site).
"""

from __future__ import annotations

import hmac
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy

from player_server.web import cookies
from player_server.web.address import is_own_origin
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem, is_api

FIELD = "csrf"
HEADER = "X-CSRF-Token"
_NEW_VISITOR = web.RequestKey("new_visitor", str)

Form = MultiDictProxy[Any]


class ForgedRequest(web.HTTPForbidden):
    """Answered with 403 and the advice to load the page again."""


def token_for(request: web.Request, bound_to: str) -> str:
    """The token of a browser that holds this cookie value."""
    return request.app[SERVICES].keys.mac("csrf", bound_to)


def csrf_token(request: web.Request) -> str:
    """The token for the forms of the page that answers `request`. `keep_visitor` must see that answer."""
    bound_to = cookies.login_token(request) or cookies.visitor_token(request)
    if bound_to is None:
        bound_to = request.setdefault(_NEW_VISITOR, cookies.new_token())
    return token_for(request, bound_to)


def keep_visitor(request: web.Request, response: web.StreamResponse) -> None:
    """Set the visitor cookie if `csrf_token` had to make one."""
    visitor = request.get(_NEW_VISITOR)
    if visitor is not None:
        cookies.set_visitor_token(request, response, visitor)


async def require_form(request: web.Request) -> Form:
    """The fields of a POST that came from our own page. Raises 403 (page) or a 403 problem (/api/)."""
    _check_origin(request)
    form = await request.post()
    field = form.get(FIELD)
    _check_token(request, field if isinstance(field, str) else request.headers.get(HEADER))
    return form


def require_token(request: web.Request, token: str | None) -> None:
    """The same for an upload that is read piece by piece: its first field is the token. Raises the same."""
    _check_origin(request)
    _check_token(request, token)


def require_csrf(request: web.Request) -> None:
    """The same for `fetch` with a JSON body: the token stands in the header X-CSRF-Token."""
    _check_origin(request)
    _check_token(request, request.headers.get(HEADER))


def text_field(form: Form, name: str) -> str:
    """One text field, or "" if it is absent or an uploaded file. Without NUL, which nobody types and which
    PostgreSQL refuses in a text."""
    value = form.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""


def _check_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    # A client that sends neither is no browser of today; the token still has to be right.
    if site not in ("same-origin", "none") or (origin is not None and not is_own_origin(request, origin)):
        _refuse(request)


def _check_token(request: web.Request, token: str | None) -> None:
    bound_to = cookies.login_token(request) or cookies.visitor_token(request)
    right = None if bound_to is None else token_for(request, bound_to)
    if right is None or token is None or not hmac.compare_digest(token.encode(errors="replace"), right.encode()):
        _refuse(request)


def _refuse(request: web.Request) -> None:
    if is_api(request):
        raise Problem(403, "csrf", "Load the page again and repeat.")
    raise ForgedRequest
