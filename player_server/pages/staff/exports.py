"""Exports: what there is to ask for, narrowed down as the list on the screen; what was asked for; batches."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.exports import NotAllowed, Wish, ask, recent_exports
from player_server.learning.registry import NoInstitution, ask_batch, batches
from player_server.learning.roster import Filters, china_day_of, filters_from
from player_server.pages.language import lang_of
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.times import date_text, minute_text
from player_server.policy.roles import Permission
from player_server.storage.sheets import CONTENT_TYPES, Format
from player_server.web.address import address_of
from player_server.web.csrf import Form, require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

#: Name and what it holds, in the order of the page.
CHOICES = {
    "progress": (N_("课程进度"), N_("每位学员的每门课程一行：已得、应得、还差的学时，最近学习，截止时间。")),
    "hours": (N_("学时核算"), N_("按培训项目的每项要求一行：应修、已修、还差，期间，能否考试，是否全部修满。")),
    "ledger": (N_("学时账目"), N_("每笔入账和冲销一行，可与任何页面上的学时核对。")),
    "findings": (N_("异常记录"), N_("每条异常一行：种类、次数、首次和最近的时间。")),
    "retractions": (N_("上报后冲销"), N_("已在某一批上报、之后又有学时被冲销的学员一行一个。")),
    "challenges": (N_("播放验证"), N_("每次验证一行：发出、回答的时间和结果。")),
}
_STATES = {
    "waiting": N_("排队中"),
    "running": N_("正在处理"),
    "done": N_("已完成"),
    "failed": N_("没有成功"),
    "cancelled": N_("已取消"),
}
#: What a job says when it fails; written by learning/exports.py.
FAILURES = (N_("您的账户已没有导出权限。"),)


async def exports(request: web.Request) -> web.StreamResponse:
    """GET /staff/exports?…: the filters of the list of learners may stand in the address."""
    viewer = await require_staff(request, Permission.EXPORT)
    return await _page(request, viewer, filters_from(request.query))


async def ask_export(request: web.Request) -> web.StreamResponse:
    """POST /staff/exports: on to the job's page with its progress."""
    viewer = await require_staff(request, Permission.EXPORT)
    form = await require_form(request)
    filters = _filters(form)
    export = text_field(form, "export")
    if export not in CHOICES:
        return await _page(request, viewer, filters, problem="choose")
    if any(text_field(form, name) and china_day_of(text_field(form, name)) is None for name in ("from", "to")):
        # A list shows its filters; a file that silently had none would hold more people than were asked for.
        return await _page(request, viewer, filters, problem="dates")
    try:
        job_id = await ask(
            request.app[SERVICES],
            viewer.scope,
            Wish(export, _format(form), filters, text_field(form, "whole_ids") == "yes"),
            may_read_ids=viewer.may(Permission.READ_ID_NUMBERS),
            address=address_of(request),
        )
    except NotAllowed:
        raise web.HTTPForbidden from None
    return see_other(f"/staff/jobs/{job_id}")


async def ask_registry(request: web.Request) -> web.StreamResponse:
    """POST /staff/exports/registry: the next batch, or with `batch` the file of an older one again."""
    viewer = await require_staff(request, Permission.EXPORT)
    form = await require_form(request)
    older = text_field(form, "batch")
    batch_id = database_id(older)
    if older and batch_id is None:
        raise web.HTTPNotFound
    if not older and text_field(form, "confirm") != "yes":
        return await _page(request, viewer, Filters(), problem="unconfirmed")
    try:
        job_id = await ask_batch(
            request.app[SERVICES],
            viewer.scope,
            _format(form),
            Filters(programme=filters_from({"programme": text_field(form, "programme")}).programme),
            may_read_ids=viewer.may(Permission.READ_ID_NUMBERS),
            batch_id=batch_id,
            address=address_of(request),
        )
    except (NotAllowed, NoInstitution):
        raise web.HTTPForbidden from None
    if job_id is None:
        raise web.HTTPNotFound
    return see_other(f"/staff/jobs/{job_id}")


async def _page(
    request: web.Request, viewer: StaffViewer, filters: Filters, *, problem: str = ""
) -> web.StreamResponse:
    _ = translator(request)
    lang = lang_of(request)
    services = request.app[SERVICES]
    programmes = [
        (each.id, each.programme.name.en if lang == "en" else each.programme.name.zh)
        for each in services.programmes.values()
    ]
    whole_ids = viewer.may(Permission.READ_ID_NUMBERS)
    return render(
        request,
        "staff/exports.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("导出"),
        choices=[(key, _(title), _(text)) for key, (title, text) in CHOICES.items()],
        titles={key: _(title) for key, (title, _text) in CHOICES.items()} | {"registry": _("上报名单")},
        states={key: _(text) for key, text in _STATES.items()},
        programmes=programmes,
        filters=filters.query(),
        recent=await recent_exports(services, viewer.scope),
        whole_ids=whole_ids,
        registry=whole_ids and viewer.scope.institution_id is not None,
        batches=await batches(services, viewer.scope) if whole_ids else [],
        problem=problem,
        minute=minute_text,
        date=date_text,
    )


def _format(form: Form) -> Format:
    chosen = text_field(form, "format")
    return chosen if chosen in CONTENT_TYPES else "xlsx"


def _filters(form: Form) -> Filters:
    """All filters of the list of learners, under their names there."""
    return filters_from({name: text_field(form, name) for name in form})
