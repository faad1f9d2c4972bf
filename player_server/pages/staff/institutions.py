"""A regulator's switch: which institution to look at, or all of them."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.staff_scope import list_institutions
from player_server.pages.language import translator
from player_server.pages.redirects import see_other
from player_server.pages.render import render
from player_server.policy.roles import Permission, Role
from player_server.web import cookies
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff


async def institutions_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/institutions"""
    viewer = await _regulator(request)
    return render(
        request,
        "staff/institutions.html",
        viewer=viewer,
        page_title=translator(request)("切换机构"),
        institutions=await list_institutions(request.app[SERVICES]),
    )


async def choose_institution(request: web.Request) -> web.StreamResponse:
    """POST /staff/institutions: `institution` is an id, or empty for all of them."""
    form = await require_form(request)
    await _regulator(request)
    chosen = database_id(text_field(form, "institution"))
    response = see_other("/staff")
    # One that is not there is as good as none: the next page looks it up.
    cookies.set_chosen_institution(request, response, str(chosen or ""))
    return response


async def _regulator(request: web.Request) -> StaffViewer:
    viewer = await require_staff(request, Permission.READ)
    if viewer.role is not Role.REGULATOR:
        raise web.HTTPForbidden
    return viewer
