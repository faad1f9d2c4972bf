"""A forgotten password: set anew on the enrolled phone, or with a code from the institution."""

from __future__ import annotations

from aiohttp import web

from player_server.auth.forgotten import reset_by_phone
from player_server.auth.log_in import account_key
from player_server.pages.language import translator
from player_server.pages.login import id_fault
from player_server.pages.password import REJECTIONS
from player_server.pages.render import render
from player_server.web import cookies
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.turns import await_turn, client_of


async def forgot_page(request: web.Request) -> web.StreamResponse:
    """GET /forgot"""
    return _form(request)


async def forgot_submit(request: web.Request) -> web.StreamResponse:
    """POST /forgot"""
    form = await require_form(request)
    services, _ = request.app[SERVICES], translator(request)
    name, id_number = text_field(form, "name"), text_field(form, "id_number")
    new = text_field(form, "new")
    fault = id_fault(_, id_number)
    if fault:
        return _form(request, name, id_number, id_error=fault)
    if new != text_field(form, "repeat"):
        return _form(request, name, id_number, rejected="differ")
    attempt = await await_turn(request, "reset_password", account_key(services, id_number))
    credential = cookies.phone_credential(request)
    result = await reset_by_phone(services, credential, name, id_number, new, client_of(request), attempt)
    if result == "ok":
        response = render(request, "forgot_done.html", page_title=_("密码已重新设置"))
        cookies.forget_login(request, response)
        return response
    if result == "refused":
        error = _(
            "无法确认是您本人：姓名、身份证号或这部手机与登记的不一致。请核对，或向培训机构索取新的初始密码。"
        )
        return _form(request, name, id_number, error=error)
    return _form(request, name, id_number, rejected=result)


def _form(
    request: web.Request,
    name: str = "",
    id_number: str = "",
    *,
    id_error: str = "",
    rejected: str = "",
    error: str = "",
) -> web.Response:
    _ = translator(request)
    return render(
        request,
        "forgot.html",
        page_title=_("忘记密码"),
        status=422 if id_error or rejected or error else 200,
        is_phone=cookies.phone_credential(request) is not None,
        name=name,
        id_number=id_number,
        id_error=id_error,
        new_error=_(REJECTIONS[rejected]) if rejected else "",
        error=error,
    )
