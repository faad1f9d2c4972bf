"""[考试]: the cards that say how a learner's exams stand, and the button that opens the exam service."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from player_server.learning.exam_launch import Exam, State, launch, my_exams
from player_server.pages.language import lang_of
from player_server.pages.times import date_text
from player_server.policy.hours import as_words
from player_server.web.address import address_of, origin_of, socket_origin
from player_server.web.csrf import require_form
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.middlewares import content_security_policy
from player_server.web.viewer import Viewer, require_learner


async def exam_context(request: web.Request, viewer: Viewer, course_id: int | None = None) -> dict[str, Any]:
    """What `exam_cards.html` needs: all exams of the learner, or those of the enrolments with this course."""
    services = request.app[SERVICES]
    exams = await my_exams(services, viewer.institution_id, viewer.learner_id)
    lang = lang_of(request)

    def title(exam: Exam) -> str:
        name = exam.answer.name
        # An enrolment that rules cannot judge is known to its learner by its courses.
        if name is None or exam.answer.basis == "courses":
            return "、".join(exam.titles) if lang == "zh" else ", ".join(exam.titles)
        return name.en if lang == "en" else name.zh

    return {
        "exams": [each for each in exams if course_id is None or course_id in each.answer.courses],
        "exam_title": title,
        "exam_states": State,
        "exam_service": services.settings.exam.launch_url is not None,
        "exam_hours": lambda text: as_words(round(float(text) * 100)),
        "exam_score": lambda score: as_words(score),
        "exam_day": date_text,
        "exam_lang": lang,
    }


def let_forms_leave(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Allow the button's form to end at the exam service: browsers check redirects of forms as well."""
    target = request.app[SERVICES].settings.exam.launch_url
    if target is not None:
        policy = content_security_policy(socket_origin(request), forms=origin_of(target))
        response.headers["Content-Security-Policy"] = policy
    return response


async def exam_launch(request: web.Request) -> web.StreamResponse:
    """POST /exam/{enrolment}/launch: to the exam service, or back home, where it says what is missing."""
    viewer = await require_learner(request)
    await require_form(request)
    enrolment_id = database_id(request.match_info["enrolment"])
    if enrolment_id is None:
        raise web.HTTPNotFound
    target = await launch(
        request.app[SERVICES],
        viewer.institution_id,
        viewer.learner_id,
        enrolment_id,
        address=address_of(request),
    )
    # The address holds a token: the exam service must not be told as the referrer where else it was.
    raise web.HTTPSeeOther(target or "/", headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
