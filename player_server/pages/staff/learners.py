"""The institution's learners with their hours, searched, filtered and sorted; a new initial secret for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from player_server.auth.forgotten import OpenedElsewhere, issue_initial_secret
from player_server.learning.concerns import Concern, Share, State
from player_server.learning.roster import NO_CLASS, Filters, Sort, filters_from
from player_server.learning.staff import courses_for_filters, find_own_learner, learners_page
from player_server.pages.language import Translate
from player_server.pages.render import N_, render, translator
from player_server.pages.times import deadline_of, minute_text
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.storage.clock import wall_ms
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import DASHBOARDS, SERVICES
from player_server.web.viewer import StaffViewer, require_staff

LIST = "/staff/learners"
#: Classes that a drop-down offers; of more, the name is typed.
MOST_CLASSES = 200

STATES = {
    State.LATE: N_("已过期未修满"),
    State.BEHIND: N_("进度落后"),
    State.NOT_STARTED: N_("未开始"),
    State.OFFLINE_MISSING: N_("线下学时待登记"),
    State.ON_TIME: N_("正常"),
    State.COMPLETE: N_("已修满"),
    State.NO_COURSE: N_("没有课程"),
    State.DISABLED: N_("已停用"),
}
STATE_TONES = {
    State.LATE: "bad",
    State.BEHIND: "warn",
    State.NOT_STARTED: "",
    State.OFFLINE_MISSING: "warn",
    State.ON_TIME: "info",
    State.COMPLETE: "ok",
    State.NO_COURSE: "",
    State.DISABLED: "bad",
}
CONCERNS = {
    Concern.NEAR: N_("临近截止且进度不足"),
    Concern.MISSED: N_("近 7 天漏过播放验证"),
    Concern.APPEAL: N_("有待答复的申诉"),
    Concern.WATCHING: N_("正在学习"),
    Concern.REVIEW: N_("近 7 天有需要查看的异常记录"),
    Concern.EXAM_PASSED: N_("考试已通过"),
    Concern.EXAM_FAILED: N_("已考试，尚未通过"),
}
SHARES = {
    Share.NONE: "0%",
    Share.FIRST: "1–24%",
    Share.SECOND: "25–49%",
    Share.THIRD: "50–74%",
    Share.FOURTH: "75–99%",
    Share.ALL: "100%",
}


def address_with(filters: Filters) -> str:
    """The address of the list with these filters: where every figure about people leads."""
    query = filters.query()
    return f"{LIST}?{urlencode(query)}" if query else LIST


def _asked(filters: Filters, titles: dict[int, str], _: Translate) -> list[tuple[str, str]]:
    """(name in the query, what is asked for in words) of each filter that is set."""
    course_id = filters.course_id
    said: dict[str, Any] = {
        "q": filters.search and _("包含“%(text)s”") % {"text": filters.search},
        "class": _("没有班级") if filters.class_name == NO_CLASS else filters.class_name,
        "state": filters.state and _(STATES[filters.state]),
        "concern": filters.concern and _(CONCERNS[filters.concern]),
        "share": filters.share and _("已修 %(share)s") % {"share": SHARES[filters.share]},
        "programme": filters.programme,
        "course": course_id and titles.get(course_id, _("第 %(number)s 号课程") % {"number": course_id}),
        "from": filters.due_from and _("截止不早于 %(day)s") % {"day": filters.due_from.isoformat()},
        "to": filters.due_to and _("截止不晚于 %(day)s") % {"day": filters.due_to.isoformat()},
    }
    return [(name, text) for name, text in said.items() if text]


async def learners(request: web.Request) -> web.StreamResponse:
    """GET /staff/learners?q=…&page=…: the list, a page at a time."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    filters = filters_from(request.query)
    page = await learners_page(
        request.app[SERVICES],
        viewer.scope,
        filters,
        number=database_id(request.query.get("page", "")) or 1,
        address=address_of(request),
    )
    now = wall_ms()
    titles = await courses_for_filters(request.app[SERVICES], viewer.scope)

    def page_url(number: int) -> str:
        return address_with(filters) + f"{'&' if filters.query() else '?'}page={number}"

    def sort_url(sort: str) -> str:
        again = filters.sort == sort
        return address_with(replace(filters, sort=Sort(sort), descending=again and not filters.descending))

    return render(
        request,
        "staff/learners.html",
        viewer=viewer,
        page_title=_("学员名单"),
        page=page,
        lines=[(each, deadline_of(each.deadline, now)) for each in page.learners],
        filters=filters,
        without=[(text, address_with(filters.without(name))) for name, text in _asked(filters, dict(titles), _)],
        classes=await request.app[DASHBOARDS].classes(viewer.scope),
        most_classes=MOST_CLASSES,
        course_titles=titles,
        states={state: _(text) for state, text in STATES.items()},
        state_tones=STATE_TONES,
        page_url=page_url,
        sort_url=sort_url,
        words=as_words,
        minute=minute_text,
    )


async def ask_initial_secret(request: web.Request) -> web.StreamResponse:
    """GET /staff/learners/{learner}/initial-secret: who it is for, what it does, and the button."""
    viewer = await require_staff(request, Permission.ACT)
    return await _secret_page(request, viewer, _learner_id(request), secret=None)


async def give_initial_secret(request: web.Request) -> web.StreamResponse:
    """POST …: a new initial secret, on this page and nowhere else."""
    viewer = await require_staff(request, Permission.ACT)
    form = await require_form(request)
    learner_id = _learner_id(request)
    if text_field(form, "confirm") != "yes":
        return await _secret_page(request, viewer, learner_id, secret=None, problem="unconfirmed")
    if await find_own_learner(request.app[SERVICES], viewer.scope, learner_id) is None:
        raise web.HTTPNotFound
    try:
        secret = await issue_initial_secret(
            request.app[SERVICES],
            staff_id=viewer.staff_id,
            institution_id=viewer.own_institution(),
            learner_id=learner_id,
            address=address_of(request),
        )
    except OpenedElsewhere:
        return await _secret_page(request, viewer, learner_id, secret=None, problem="opened_elsewhere")
    if secret is None:
        raise web.HTTPNotFound
    return await _secret_page(request, viewer, learner_id, secret=secret)


async def _secret_page(
    request: web.Request, viewer: StaffViewer, learner_id: int, *, secret: str | None, problem: str = ""
) -> web.StreamResponse:
    _ = translator(request)
    found = await find_own_learner(request.app[SERVICES], viewer.scope, learner_id)
    if found is None or found.disabled:
        raise web.HTTPNotFound
    return render(
        request,
        "staff/initial_secret.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("新的初始密码"),
        learner=found,
        secret=secret,
        problem=problem,
    )


def _learner_id(request: web.Request) -> int:
    learner_id = database_id(request.match_info["learner"])
    if learner_id is None:
        raise web.HTTPNotFound
    return learner_id
