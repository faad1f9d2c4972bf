"""One course: its videos in order, with their hours and what is left to do for each."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.enrolments import my_course
from player_server.pages.exam import exam_context, let_forms_leave
from player_server.pages.render import render
from player_server.pages.times import deadline_of, length_text
from player_server.policy.hours import as_words
from player_server.storage.clock import wall_ms
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner


async def course(request: web.Request) -> web.StreamResponse:
    """GET /courses/{course}. 404 for every course the learner is not enrolled for."""
    viewer = await require_learner(request)
    course_id = database_id(request.match_info["course"])
    found = None if course_id is None else await my_course(request.app[SERVICES], viewer.learner_id, course_id)
    if found is None:
        raise web.HTTPNotFound
    page = render(
        request,
        "course.html",
        viewer=viewer,
        page_title=found.title,
        course=found,
        deadline=deadline_of(found.deadline, wall_ms()),
        words=as_words,
        length=length_text,
        **await exam_context(request, viewer, found.course_id),
    )
    return let_forms_leave(request, page)
