"""个人中心: the learner's courses, where they stand and until when."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.certificates import my_programmes
from player_server.learning.deadlines import missing_hours, reminders
from player_server.learning.electives import electives_of
from player_server.learning.enrolments import my_courses
from player_server.pages.exam import exam_context, let_forms_leave
from player_server.pages.render import render, translator
from player_server.pages.times import deadline_of
from player_server.policy.certificates import show_number
from player_server.policy.hours import as_words
from player_server.storage.clock import wall_ms
from player_server.web.keys import SERVICES
from player_server.web.viewer import optional_learner, optional_staff, require_learner


async def home(request: web.Request) -> web.StreamResponse:
    """GET /. Staff who come here are at home at /staff."""
    viewer = await optional_learner(request)
    if viewer is None:
        if await optional_staff(request) is not None:
            raise web.HTTPSeeOther("/staff")
        viewer = await require_learner(request)
    _ = translator(request)
    services = request.app[SERVICES]
    programmes = await my_programmes(services, viewer.learner_id)
    courses = await my_courses(services, viewer.learner_id)
    now = wall_ms()
    page = render(
        request,
        "home.html",
        viewer=viewer,
        page_title=_("个人中心"),
        courses=[(each, deadline_of(each.deadline, now)) for each in courses],
        earned=as_words(sum(each.earned for each in courses)),
        required=as_words(sum(each.required for each in courses)),
        words=as_words,
        certificates=programmes,
        reminders=[(each, as_words(missing_hours(each.evaluation))) for each in reminders(programmes)],
        electives=len(await electives_of(services, viewer.learner_id)),
        show_number=show_number,
        **await exam_context(request, viewer),
    )
    return let_forms_leave(request, page)
