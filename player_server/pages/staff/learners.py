"""The institution's page: its learners with their hours, and a new initial secret for one who cannot log in."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from player_server.auth.forgotten import OpenedElsewhere, issue_initial_secret
from player_server.learning.roster import filters_from
from player_server.learning.staff import find_own_learner, learners_page
from player_server.pages.render import render, translator
from player_server.pages.times import deadline_of, minute_text
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.storage.clock import wall_ms
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

LIST = "/staff/learners"


async def learners(request: web.Request) -> web.StreamResponse:
    """GET /staff/learners?q=…&page=…: the list, a page at a time."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    filters = filters_from(request.query)
    search = filters.search
    page = await learners_page(
        request.app[SERVICES],
        viewer.scope,
        filters,
        number=database_id(request.query.get("page", "")) or 1,
        address=address_of(request),
    )
    now = wall_ms()

    def page_url(number: int) -> str:
        return f"{LIST}?" + urlencode(filters.query() | {"page": str(number)})

    return render(
        request,
        "staff/learners.html",
        viewer=viewer,
        page_title=_("学员名单"),
        page=page,
        lines=[(each, deadline_of(each.deadline, now)) for each in page.learners],
        search=search,
        page_url=page_url,
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
