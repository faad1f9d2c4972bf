"""Log-in of learners, choice of the institution, log-out."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from player_server.auth.log_in import LoggedIn, account_key, choose_account, list_accounts, log_in
from player_server.auth.log_out import log_out
from player_server.pages.language import N_, translator
from player_server.pages.redirects import logged_in, see_other, with_next
from player_server.pages.render import render
from player_server.policy.id_number import IdNumberError, check_id_number
from player_server.policy.names import mask_name
from player_server.web import cookies
from player_server.web.address import local_path
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.turns import await_turn, client_of
from player_server.web.viewer import login_of, optional_learner

ID_FAULTS = {
    "length": N_("身份证号应为 18 位，请检查有没有漏输或多输。"),
    "characters": N_("身份证号只能是数字，最后一位可以是 X。"),
    "date": N_("身份证号里的出生日期不正确，请再核对一遍。"),
    "checksum": N_("身份证号有一位输错了，请再核对一遍。"),
}
REFUSALS = {
    "wrong": N_("身份证号或密码不正确。请核对后再试；忘记密码可以重新设置。"),
    "no_account": N_("您的学习账户已停用，请联系培训机构。"),
}


def id_fault(_: Any, id_number: str) -> str:
    """Why this is no ID number, in the viewer's language; "" if it is one. It tells nothing about accounts."""
    try:
        check_id_number(id_number)
    except IdNumberError as error:
        return str(_(ID_FAULTS[error.fault]))
    return ""


async def login_page(request: web.Request) -> web.StreamResponse:
    """GET /login"""
    next_path = local_path(request.query.get("next"))
    if await optional_learner(request) is not None:
        return see_other(next_path)
    return _form(request, next_path)


async def login_submit(request: web.Request) -> web.StreamResponse:
    """POST /login"""
    form = await require_form(request)
    services = request.app[SERVICES]
    next_path = local_path(text_field(form, "next"))
    id_number, secret = text_field(form, "id_number"), text_field(form, "password")
    fault = id_fault(translator(request), id_number)
    if fault:
        return _form(request, next_path, id_number, id_error=fault)
    attempt = await await_turn(request, "log_in", account_key(services, id_number))
    result = await log_in(services, id_number, secret, client_of(request), attempt)
    if isinstance(result, LoggedIn):
        return logged_in(request, result, next_path)
    return _form(request, next_path, id_number, error=translator(request)(REFUSALS[result.reason]))


def _form(
    request: web.Request, next_path: str, id_number: str = "", *, id_error: str = "", error: str = ""
) -> web.Response:
    return render(
        request,
        "login.html",
        page_title=translator(request)("登录"),
        status=422 if id_error or error else 200,
        next_path=next_path,
        id_number=id_number,
        id_error=id_error,
        error=error,
    )


async def account_page(request: web.Request) -> web.StreamResponse:
    """GET /login/account"""
    return await _choice(request, local_path(request.query.get("next")))


async def account_submit(request: web.Request) -> web.StreamResponse:
    """POST /login/account"""
    form = await require_form(request)
    login = await login_of(request)
    next_path = local_path(text_field(form, "next"))
    chosen = text_field(form, "learner")
    if login is not None and not login.must_change and chosen.isascii() and chosen.isdigit() and len(chosen) < 18:
        result = await choose_account(request.app[SERVICES], login, int(chosen), client_of(request))
        if result is not None:
            return logged_in(request, result, next_path)
    return await _choice(request, next_path, error=translator(request)("请选择一个培训机构。"))


async def _choice(request: web.Request, next_path: str, error: str = "") -> web.Response:
    login = await login_of(request)
    if login is None:
        return see_other(with_next("/login", next_path))
    if login.must_change:
        return see_other(with_next("/password", next_path))
    return render(
        request,
        "account.html",
        page_title=translator(request)("选择培训机构"),
        status=422 if error else 200,
        accounts=await list_accounts(request.app[SERVICES], login),
        current=login.account.learner_id if login.account else None,
        masked_name=mask_name(login.name),
        next_path=next_path,
        error=error,
    )


async def logout_submit(request: web.Request) -> web.StreamResponse:
    """POST /logout"""
    return await leave(request, "/login")


async def leave(request: web.Request, page: str) -> web.Response:
    """Log out, whoever it is, and go to `page`."""
    await require_form(request)
    await log_out(request.app[SERVICES], client_of(request))
    response = see_other(page)
    cookies.forget_login(request, response)
    return response
