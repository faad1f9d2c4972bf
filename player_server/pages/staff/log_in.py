"""Log-in and log-out of an institution's staff."""

from __future__ import annotations

from aiohttp import web

from player_server.auth.log_in import LoggedIn
from player_server.auth.staff_log_in import log_in_staff, staff_key
from player_server.pages.language import translator
from player_server.pages.login import leave
from player_server.pages.redirects import logged_in, see_other
from player_server.pages.render import render
from player_server.web.address import local_path
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.turns import await_turn, client_of
from player_server.web.viewer import staff_login_of

HOME = "/staff"


async def staff_login_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/login"""
    next_path = local_path(request.query.get("next"), HOME)
    login = await staff_login_of(request)
    if login is not None:
        return see_other("/staff/password" if login.must_change else next_path)
    return _form(request, next_path)


async def staff_login_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/login"""
    form = await require_form(request)
    services = request.app[SERVICES]
    next_path = local_path(text_field(form, "next"), HOME)
    username, password = text_field(form, "username"), text_field(form, "password")
    attempt = await await_turn(request, "staff_log_in", staff_key(services, username))
    result = await log_in_staff(services, username, password, client_of(request), attempt)
    if isinstance(result, LoggedIn):
        return logged_in(request, result, next_path)
    return _form(request, next_path, username, translator(request)("用户名或密码不正确，请核对后再试。"))


async def staff_logout_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/logout"""
    return await leave(request, "/staff/login")


def _form(request: web.Request, next_path: str, username: str = "", error: str = "") -> web.Response:
    return render(
        request,
        "staff/log_in.html",
        page_title=translator(request)("机构登录"),
        status=422 if error else 200,
        back_office=True,
        next_path=next_path,
        username=username,
        error=error,
    )
