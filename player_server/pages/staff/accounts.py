"""The accounts of the institution's staff, for its owners: list, open, change, close, a new password."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from player_server.learning.staff import classes_of
from player_server.learning.staff_accounts import (
    OWN_ROLES,
    Fault,
    Member,
    StaffFault,
    Wanted,
    change_account,
    close_account,
    find_member,
    list_members,
    open_account,
    renew_password,
)
from player_server.pages.language import N_, translator
from player_server.pages.redirects import see_other
from player_server.pages.render import render
from player_server.pages.staff.navigation import ROLE_NAMES
from player_server.pages.times import minute_text
from player_server.policy.roles import Permission, Role
from player_server.storage.audit import record
from player_server.web.address import address_of
from player_server.web.csrf import Form, require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

LIST = "/staff/accounts"
#: Names of classes that are offered; with more, they are typed.
MOST_OFFERED = 200

FAULTS = {
    Fault.USERNAME: N_("用户名应为 3 到 40 位字母、数字、点、横线、下划线或 @。"),
    Fault.TAKEN: N_("这个用户名已被使用，请换一个。"),
    Fault.NAME: N_("请填写姓名，最多 50 个字。"),
    Fault.ROLE: N_("请选择角色。"),
    Fault.CLASSES: N_("请为教师填写至少一个班级，最多 200 个。"),
    Fault.OWN: N_("不能更改自己的角色，也不能停用自己的账户。请让另一位管理员操作。"),
    Fault.LAST_OWNER: N_("机构必须保留至少一位可以登录的管理员。"),
}
#: Which field of the form a fault belongs to.
FIELDS = {Fault.USERNAME: "username", Fault.TAKEN: "username", Fault.NAME: "name", Fault.CLASSES: "classes"}
RIGHTS = {
    Role.OWNER: N_("查看和管理全机构：学员、导入、导出、申诉、工作人员和审计记录"),
    Role.TEACHER: N_("只看自己班级的学员，可以处理账户和申诉"),
    Role.AUDITOR: N_("查看全机构和审计记录，不能更改任何内容"),
}


async def accounts(request: web.Request) -> web.StreamResponse:
    """GET /staff/accounts"""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    services = request.app[SERVICES]
    members = await list_members(services, viewer.own_institution())
    async with services.db.write() as conn:
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=viewer.scope.actor,
            institution_id=viewer.institution_id,
            action="list_staff_accounts",
            result=str(len(members)),
            address=address_of(request),
        )
    _ = translator(request)
    return render(
        request,
        "staff/accounts.html",
        viewer=viewer,
        page_title=_("工作人员"),
        members=members,
        roles={role: _(name) for role, name in ROLE_NAMES.items()},
        minute=minute_text,
    )


async def new_account(request: web.Request) -> web.StreamResponse:
    """GET /staff/accounts/new"""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    return await _form(request, viewer, None, {})


async def open_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/accounts/new"""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    form = await require_form(request)
    username = text_field(form, "username").strip()
    wanted = _wanted(form)
    try:
        staff_id, secret = await open_account(
            request.app[SERVICES],
            actor=viewer.scope.actor,
            institution_id=viewer.own_institution(),
            username=username,
            wanted=wanted,
            address=address_of(request),
        )
    except StaffFault as error:
        return await _form(request, viewer, None, _filled(wanted, username), error.fault)
    return await _secret(request, viewer, staff_id, secret)


async def account(request: web.Request) -> web.StreamResponse:
    """GET /staff/accounts/{staff}"""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    member = await _member(request, viewer)
    return await _form(request, viewer, member, _filled(Wanted(member.name, member.role, member.classes)))


async def change_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/accounts/{staff}"""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    form = await require_form(request)
    member = await _member(request, viewer)
    wanted = _wanted(form)
    try:
        await change_account(request.app[SERVICES], viewer.scope, member.staff_id, wanted, address_of(request))
    except StaffFault as error:
        return await _form(request, viewer, member, _filled(wanted), error.fault)
    return see_other(LIST)


async def close_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/accounts/{staff}/close, with the box of the confirmation ticked."""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    form = await require_form(request)
    member = await _member(request, viewer)
    filled = _filled(Wanted(member.name, member.role, member.classes))
    if text_field(form, "confirm") != "yes":
        return await _form(request, viewer, member, filled, unconfirmed="close")
    try:
        await close_account(request.app[SERVICES], viewer.scope, member.staff_id, address_of(request))
    except StaffFault as error:
        return await _form(request, viewer, member, filled, error.fault)
    return see_other(LIST)


async def password_submit(request: web.Request) -> web.StreamResponse:
    """POST /staff/accounts/{staff}/password, with the box of the confirmation ticked."""
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    form = await require_form(request)
    member = await _member(request, viewer)
    if text_field(form, "confirm") != "yes":
        filled = _filled(Wanted(member.name, member.role, member.classes))
        return await _form(request, viewer, member, filled, unconfirmed="password")
    secret = await renew_password(request.app[SERVICES], viewer.scope, member.staff_id, address_of(request))
    if secret is None:
        raise web.HTTPNotFound
    return await _secret(request, viewer, member.staff_id, secret)


async def _member(request: web.Request, viewer: StaffViewer) -> Member:
    staff_id = database_id(request.match_info["staff"])
    found = None
    if staff_id is not None:
        found = await find_member(request.app[SERVICES], viewer.own_institution(), staff_id)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _form(
    request: web.Request,
    viewer: StaffViewer,
    member: Member | None,
    filled: dict[str, Any],
    fault: Fault | None = None,
    unconfirmed: str = "",
) -> web.Response:
    _ = translator(request)
    field = FIELDS.get(fault, "") if fault else ""
    classes = await classes_of(request.app[SERVICES], viewer.scope)
    return render(
        request,
        "staff/account.html",
        viewer=viewer,
        status=422 if fault or unconfirmed else 200,
        page_title=_("新的工作人员") if member is None else member.name,
        member=member,
        filled={"username": "", "name": "", "role": "", "classes": ""} | filled,
        errors={"username": "", "name": "", "classes": ""} | ({field: _(FAULTS[fault])} if fault and field else {}),
        problem=_(FAULTS[fault]) if fault and not field else "",
        unconfirmed=unconfirmed,
        roles=[(role.value, _(ROLE_NAMES[role]), _(RIGHTS[role])) for role in OWN_ROLES],
        offered=classes[:MOST_OFFERED],
    )


async def _secret(request: web.Request, viewer: StaffViewer, staff_id: int, secret: str) -> web.Response:
    _ = translator(request)
    member = await find_member(request.app[SERVICES], viewer.own_institution(), staff_id)
    return render(
        request,
        "staff/account_secret.html",
        viewer=viewer,
        page_title=_("初始密码"),
        member=member,
        secret=secret,
    )


def _wanted(form: Form) -> Wanted:
    lines = (each.strip() for each in text_field(form, "classes").splitlines())
    return Wanted(
        name=text_field(form, "name").strip(),
        role=text_field(form, "role"),
        classes=tuple(dict.fromkeys(each for each in lines if each)),
    )


def _filled(wanted: Wanted, username: str = "") -> dict[str, Any]:
    return {
        "username": username,
        "name": wanted.name,
        "role": str(wanted.role),
        "classes": "\n".join(wanted.classes),
    }
