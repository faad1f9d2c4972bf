"""GET /staff: what needs action, how far everybody is, hours of each day, who watches now, exams, findings.

Every figure about people leads to the list of them.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from player_server.learning.concerns import NEAR_DAYS, RECENT_DAYS, Concern, Share, State
from player_server.learning.dashboard import DAYS, Figures, Group
from player_server.learning.roster import NO_CLASS, Filters
from player_server.learning.watching import Watching, watching_now
from player_server.pages.language import Translate, translator
from player_server.pages.render import render
from player_server.pages.staff import charts
from player_server.pages.staff.learners import SHARES, STATES, address_with
from player_server.pages.staff.words import FINDINGS
from player_server.pages.times import clock_text, date_text, minute_text
from player_server.policy.findings import day_start_ms
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.storage.audit import record
from player_server.web.address import address_of
from player_server.web.keys import DASHBOARDS, SERVICES
from player_server.web.viewer import StaffViewer, require_staff

#: Classes and courses on the page; the rest is one click away.
FIRST = 12
#: Bars of a chart: more would be too thin to read.
MOST_BARS = 30


async def dashboard(request: web.Request) -> web.StreamResponse:
    """GET /staff?all=groups|courses"""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    figures = await request.app[DASHBOARDS].figures(viewer.scope)
    watching = await watching_now(request.app[SERVICES], viewer.scope)
    await _note(request, viewer, "read_dashboard", f"{figures.total} learners")
    everything = request.query.get("all", "")
    return render(
        request,
        "staff/dashboard.html",
        viewer=viewer,
        page_title=_("概览"),
        figures=figures,
        actions=_actions(figures, viewer, _),
        states=[(_(STATES[state]), figures.states[state], _list(state=state)) for state in STATES],
        shares=list(SHARES.items()),
        groups=_rows(figures.groups, everything == "groups", by_institution=figures.by_institution),
        courses=_rows(figures.courses, everything == "courses", by_course=True),
        more_groups=len(figures.groups) > FIRST and everything != "groups",
        more_courses=len(figures.courses) > FIRST and everything != "courses",
        days=[(date_text(day_start_ms(day)), as_words(hours)) for day, hours in reversed(figures.hours)],
        month_hours=as_words(sum(hours for _day, hours in figures.hours)),
        today_hours=as_words(figures.hours[-1][1]),
        findings=[(_(FINDINGS[each.kind]), each.learners, each.serious) for each in figures.findings],
        review=_list(concern=Concern.REVIEW),
        exam=[
            (_("已通过"), figures.exam_passed, _list(concern=Concern.EXAM_PASSED)),
            (_("已考试，尚未通过"), figures.exam_failed, _list(concern=Concern.EXAM_FAILED)),
        ],
        watching=_watching(watching, _),
        near_days=NEAR_DAYS,
        recent_days=RECENT_DAYS,
        days_shown=DAYS,
        as_of=minute_text(figures.as_of),
    )


async def watching_json(request: web.Request) -> web.StreamResponse:
    """GET /staff/watching.json: what the page asks for again and again. The page's first look is in the audit;
    these, one every few seconds, are not."""
    viewer = await require_staff(request, Permission.READ)
    watching = await watching_now(request.app[SERVICES], viewer.scope)
    return web.json_response(_watching(watching, translator(request)), headers={"Cache-Control": "no-store"})


async def chart(request: web.Request) -> web.StreamResponse:
    """GET /staff/charts/{name}.svg: hours, groups or courses, of the same figures as the page."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    figures = await request.app[DASHBOARDS].figures(viewer.scope)
    match request.match_info["name"]:
        case "hours":
            drawn = charts.bars(
                tuple(date_text(day_start_ms(day))[5:] for day, _hours in figures.hours),
                tuple(hours / 100 for _day, hours in figures.hours),
                _("学时数"),
            )
        case "groups":
            drawn = _shares_chart(figures.groups, _)
        case "courses":
            drawn = _shares_chart(figures.courses, _)
        case _other:
            raise web.HTTPNotFound
    return web.Response(text=drawn, content_type="image/svg+xml", headers={"Cache-Control": "private, max-age=5"})


def _shares_chart(groups: tuple[Group, ...], _: Translate) -> str:
    shown = groups[:FIRST]
    series = tuple((label, tuple(each.shares[share] for each in shown)) for share, label in SHARES.items())
    return charts.stacked(tuple(each.name or _("没有班级") for each in shown), series, _("还没有数据"))


def _actions(figures: Figures, viewer: StaffViewer, _: Translate) -> list[tuple[str, str, int, str, str]]:
    """(what, why, how many, where it leads, tone) of what needs somebody; what there is none of comes last."""
    states = figures.states
    found = [
        (
            _("临近截止且进度不足"),
            _("%(days)s 天内截止，需要联系") % {"days": NEAR_DAYS},
            figures.near,
            _list(concern=Concern.NEAR),
            "bad",
        ),
        (_("已过期未修满"), _("截止日期已过"), states[State.LATE], _list(state=State.LATE), "bad"),
        (
            _("线下学时待登记"),
            _("登记之前不能观看视频"),
            states[State.OFFLINE_MISSING],
            _list(state=State.OFFLINE_MISSING),
            "warn",
        ),
        (
            _("漏过播放验证"),
            _("近 %(days)s 天") % {"days": RECENT_DAYS},
            figures.missed,
            _list(concern=Concern.MISSED),
            "warn",
        ),
        (
            _("待查看的异常记录"),
            _("近 %(days)s 天") % {"days": RECENT_DAYS},
            figures.found,
            _list(concern=Concern.REVIEW),
            "warn",
        ),
        (_("没有课程"), _("已有账户，尚未报名"), states[State.NO_COURSE], _list(state=State.NO_COURSE), "warn"),
    ]
    if viewer.may(Permission.ANSWER_APPEALS):
        why = _("学员在等待答复")
        found.insert(2, (_("待答复的申诉"), why, figures.appeals, "/staff/appeals", "bad"))
    if viewer.may(Permission.IMPORT):
        why = _("近 %(days)s 天") % {"days": RECENT_DAYS}
        found.append((_("失败的导入"), why, figures.failed_imports, "/staff/imports", "bad"))
    return sorted(found, key=lambda each: each[2] == 0)


def _rows(
    groups: tuple[Group, ...], everything: bool, *, by_institution: bool = False, by_course: bool = False
) -> list[tuple[Group, str, list[tuple[int, str]], str, str]]:
    """(group, its address, (count, address) of each share, addresses of those behind and of those late)"""
    rows = []
    for each in groups if everything else groups[:FIRST]:
        if by_course:
            own: dict[str, Any] = {"course_id": int(each.key or 0)}
        elif by_institution:
            own = {"institution_id": int(each.key or 0)}
        else:
            own = {"class_name": each.key or NO_CLASS}
        shares = [(each.shares[share], _list(share=share, **own)) for share in Share]
        behind, late = _list(state=State.BEHIND, **own), _list(state=State.LATE, **own)
        rows.append((each, _list(**own), shares, behind, late))
    return rows


def _list(**filters: Any) -> str:
    return address_with(Filters(**filters))


def _watching(watching: Watching, _: Translate) -> dict[str, Any]:
    """As JSON for the page's script, and for the first drawing of the page."""
    return {
        "total": watching.total,
        "as_of": clock_text(watching.as_of),
        "people": [
            {
                "learner": each.learner_id,
                "name": each.masked_name,
                "class": each.class_name or "",
                "what": f"{each.course} · {each.video}",
                "since": "" if each.since is None else clock_text(each.since),
                "state": _("等待播放验证") if each.held else _("播放中") if each.playing else _("已暂停"),
                "tone": "warn" if each.held else "ok" if each.playing else "",
            }
            for each in watching.watchers
        ],
    }


async def _note(request: web.Request, viewer: StaffViewer, action: str, result: str) -> None:
    services = request.app[SERVICES]
    async with services.db.write() as conn:
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=viewer.scope.actor,
            institution_id=viewer.scope.institution_id,
            action=action,
            result=result,
            address=address_of(request),
        )
