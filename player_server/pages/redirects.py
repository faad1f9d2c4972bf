"""Answers to forms that worked: on to the next page."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from player_server.auth.log_in import LoggedIn
from player_server.web import cookies
from player_server.web.address import local_path

_PAGES = {"must_change": "/password", "choose_account": "/login/account"}


def see_other(path: str) -> web.Response:
    """303: the browser gets `path`, and a reload does not send the form again."""
    return web.Response(status=303, headers={"Location": path})


def with_next(page: str, next_path: str) -> str:
    """`page?next=…`, unless the next page is the usual one anyway."""
    return page if next_path == "/" else f"{page}?next={quote(next_path, safe='')}"


def logged_in(request: web.Request, result: LoggedIn, next_path: str) -> web.Response:
    """Set the new cookie and go where the log-in leads. `next_path` may come from the client."""
    target = local_path(next_path)
    page = _PAGES.get(result.way)
    response = see_other(target if page is None else with_next(page, target))
    cookies.set_login_token(request, response, result.token)
    return response
