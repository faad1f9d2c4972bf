"""Classes and their reports, which are made for printing."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from player_server.learning.class_report import MOST, class_report, classes
from player_server.pages.language import lang_of
from player_server.pages.render import render, translator
from player_server.pages.times import date_text, minute_text
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_staff


async def class_list(request: web.Request) -> web.StreamResponse:
    """GET /staff/classes: a way to each report."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    return render(
        request,
        "staff/classes.html",
        viewer=viewer,
        page_title=_("班级报表"),
        classes=await classes(request.app[SERVICES], viewer.scope),
        report_url=report_url,
    )


async def report(request: web.Request) -> web.StreamResponse:
    """GET /staff/classes/{name}/report."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    lang = lang_of(request)
    services = request.app[SERVICES]
    found = await class_report(services, viewer.scope, request.match_info["name"], address=address_of(request))
    if found is None:
        raise web.HTTPNotFound
    return render(
        request,
        "staff/class_report.html",
        viewer=viewer,
        page_title=_("班级学时报表"),
        report=found,
        lang_name=lambda name: name.en if lang == "en" else name.zh,
        most=MOST,
        words=as_words,
        date=date_text,
        minute=minute_text,
    )


def report_url(class_name: str) -> str:
    """The address of a class's report, whatever characters its name has."""
    return f"/staff/classes/{quote(class_name, safe='')}/report"
