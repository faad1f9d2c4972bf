"""Staff choose their own password. With one that somebody else made this is the only page that opens."""

from __future__ import annotations

from aiohttp import web

from player_server.auth.log_in import LoggedIn
from player_server.auth.login_sessions import StaffLogin
from player_server.auth.staff_password import change_staff_password
from player_server.pages.language import N_, translator
from player_server.pages.password import WEAKNESSES
from player_server.pages.redirects import logged_in, see_other
from player_server.pages.render import render
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.turns import await_turn, client_of
from player_server.web.viewer import go_to_log_in, optional_staff, staff_login_of

HOME = "/staff"
REJECTIONS = WEAKNESSES | {
    "same": N_("新密码不能和现在的密码相同，也不能包含用户名。"),
    "differ": N_("两次输入的新密码不一样，请重新输入。"),
    "wrong_current": N_("现在的密码不正确，请重新输入。"),
}


async def staff_password_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/password"""
    return await _form(request, await _login(request))


async def staff_password_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/password"""
    form = await require_form(request)
    login = await _login(request)
    new = text_field(form, "new")
    if new != text_field(form, "repeat"):
        return await _form(request, login, "differ")
    attempt = await await_turn(request, "change_staff_password", str(login.staff_id))
    result = await change_staff_password(
        request.app[SERVICES], login, text_field(form, "current"), new, client_of(request), attempt
    )
    if isinstance(result, LoggedIn):
        return logged_in(request, result, HOME)
    if result.reason == "ended":
        return see_other("/staff/login")
    return await _form(request, login, result.reason)


async def _login(request: web.Request) -> StaffLogin:
    login = await staff_login_of(request)
    if login is None:
        go_to_log_in(request, "/staff/login")
    return login


async def _form(request: web.Request, login: StaffLogin, rejected: str = "") -> web.Response:
    _ = translator(request)
    return render(
        request,
        "staff/password_first.html" if login.must_change else "staff/password.html",
        page_title=_("设置您的密码") if login.must_change else _("修改密码"),
        viewer=await optional_staff(request),
        status=422 if rejected else 200,
        back_office=True,
        username=login.username,
        current_error=_(REJECTIONS[rejected]) if rejected == "wrong_current" else "",
        new_error=_(REJECTIONS[rejected]) if rejected and rejected != "wrong_current" else "",
    )
