"""Objecting 申诉: the page on which a learner says why a stretch or a finding is not as it was."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.appeals import Question, make_appeal, question_of
from player_server.learning.staff_actions import Outcome
from player_server.pages.records import REASONS, SENTENCES
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.times import clock_text, date_text, length_text
from player_server.policy.plain_text import LONGEST_TEXT, tidy
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.viewer import Viewer, require_learner

#: No subject is longer; what is, names nothing.
LONGEST_SUBJECT = 80


async def ask(request: web.Request) -> web.StreamResponse:
    """GET /records/appeal?about=…: what it is about, and the field."""
    viewer = await require_learner(request)
    question = await _question(request, viewer, request.query.get("about", ""))
    return _page(request, viewer, question)


async def send(request: web.Request) -> web.StreamResponse:
    """POST /records/appeal: made, and back to the records."""
    viewer = await require_learner(request)
    form = await require_form(request)
    question = await _question(request, viewer, text_field(form, "about"))
    words = tidy(text_field(form, "words"))
    if not words:
        return _page(request, viewer, question, problem=N_("请写明您的理由。"))
    outcome = await make_appeal(
        request.app[SERVICES],
        person_id=viewer.person_id,
        learner_id=viewer.learner_id,
        institution_id=viewer.institution_id,
        subject=question.subject,
        words=words,
        address=address_of(request),
    )
    if outcome is Outcome.ABSENT:
        raise web.HTTPNotFound
    # Sent twice, it is the same appeal, and the records show it.
    return see_other("/records?done=appeal#appeals")


async def _question(request: web.Request, viewer: Viewer, about: str) -> Question:
    found = None
    if len(about) <= LONGEST_SUBJECT:
        found = await question_of(request.app[SERVICES], viewer.person_id, viewer.learner_id, about)
    if found is None:
        raise web.HTTPNotFound
    return found


def _page(request: web.Request, viewer: Viewer, question: Question, *, problem: str = "") -> web.StreamResponse:
    _ = translator(request)
    texts = REASONS if question.about == "stretch" else {kind.value: text for kind, text in SENTENCES.items()}
    what = texts.get(question.what)
    return render(
        request,
        "appeal.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("提出申诉"),
        question=question,
        what=_(what) if what else question.what,
        problem=_(problem) if problem else "",
        longest=LONGEST_TEXT,
        date=date_text,
        clock=clock_text,
        length=length_text,
    )
