"""选修课程: what a learner may add to the own enrolments, and the button that adds it."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.electives import add_elective, electives_of
from player_server.pages.language import lang_of
from player_server.pages.redirects import see_other
from player_server.pages.render import render, translator
from player_server.policy.hours import as_words
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner


async def electives(request: web.Request) -> web.StreamResponse:
    """GET /electives"""
    viewer = await require_learner(request)
    _ = translator(request)
    lang = lang_of(request)
    return render(
        request,
        "electives.html",
        viewer=viewer,
        page_title=_("选修课程"),
        electives=[
            (each, each.programme.en if lang == "en" else each.programme.zh)
            for each in await electives_of(request.app[SERVICES], viewer.learner_id)
        ],
        words=as_words,
    )


async def add(request: web.Request) -> web.StreamResponse:
    """POST /electives: `enrolment` and `course`; then home, where the course stands now."""
    viewer = await require_learner(request)
    form = await require_form(request)
    enrolment_id = database_id(text_field(form, "enrolment"))
    course_id = database_id(text_field(form, "course"))
    if enrolment_id is None or course_id is None:
        raise web.HTTPNotFound
    added = await add_elective(
        request.app[SERVICES],
        learner_id=viewer.learner_id,
        person_id=viewer.person_id,
        enrolment_id=enrolment_id,
        course_id=course_id,
        address=address_of(request),
    )
    if not added:
        raise web.HTTPNotFound
    return see_other("/")
