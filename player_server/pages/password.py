"""Choosing a password. With an initial secret this is the only page that opens."""

from __future__ import annotations

from aiohttp import web

from player_server.auth.change_password import change_password
from player_server.auth.log_in import LoggedIn
from player_server.auth.login_sessions import LearnerLogin
from player_server.pages.language import N_, translator
from player_server.pages.redirects import logged_in, see_other
from player_server.pages.render import render
from player_server.web.address import local_path
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.turns import await_turn, client_of
from player_server.web.viewer import go_to_log_in, login_of, optional_learner

WEAKNESSES = {
    "short": N_("密码太短，至少要 8 位。"),
    "long": N_("密码太长，最多 128 位。"),
    "id_number": N_("密码里不能有身份证号中的一段，例如后六位或生日。"),
    "uniform": N_("密码里不同的字符太少，请至少用 4 种不同的字符。"),
    "sequence": N_("密码不能是连续的数字或字母。"),
    "common": N_("这个密码太常见，很容易被猜到，请换一个。"),
}
REJECTIONS = WEAKNESSES | {
    "same": N_("新密码不能和现在的密码或初始密码相同。"),
    "differ": N_("两次输入的新密码不一样，请重新输入。"),
    "wrong_current": N_("现在的密码不正确，请重新输入。"),
}


async def password_page(request: web.Request) -> web.StreamResponse:
    """GET /password"""
    login = await _login(request)
    return await _form(request, login, local_path(request.query.get("next")))


async def password_submit(request: web.Request) -> web.StreamResponse:
    """POST /password"""
    form = await require_form(request)
    login = await _login(request)
    next_path = local_path(text_field(form, "next"))
    new = text_field(form, "new")
    if new != text_field(form, "repeat"):
        return await _form(request, login, next_path, "differ")
    # Counted per person, apart from log-ins: guessing the present password from a session left open is slow too.
    attempt = await await_turn(request, "change_password", str(login.person_id))
    result = await change_password(
        request.app[SERVICES], login, text_field(form, "current"), new, client_of(request), attempt
    )
    if isinstance(result, LoggedIn):
        return logged_in(request, result, next_path)
    if result.reason == "ended":
        return see_other("/login")
    return await _form(request, login, next_path, result.reason)


async def _login(request: web.Request) -> LearnerLogin:
    login = await login_of(request)
    if login is None:
        go_to_log_in(request, "/login")
    return login


async def _form(request: web.Request, login: LearnerLogin, next_path: str, rejected: str = "") -> web.Response:
    _ = translator(request)
    return render(
        request,
        "password.html",
        page_title=_("设置您的密码") if login.must_change else _("修改密码"),
        viewer=await optional_learner(request),
        status=422 if rejected else 200,
        first=login.must_change,
        next_path=next_path,
        current_error=_(REJECTIONS[rejected]) if rejected == "wrong_current" else "",
        new_error=_(REJECTIONS[rejected]) if rejected and rejected != "wrong_current" else "",
    )
