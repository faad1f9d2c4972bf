"""Appeals 申诉 as the institution sees them: the list, and one beside its evidence, with the answer."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from aiohttp import web

from player_server.learning.appeal_answers import Beside, answer_appeal, appeals_page, find_appeal
from player_server.learning.appeals import State
from player_server.learning.staff_actions import Hand, Outcome
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.staff.learner import check_moment
from player_server.pages.staff.words import words_of
from player_server.pages.times import clock_text, length_text, minute_text
from player_server.policy.hours import as_words
from player_server.policy.plain_text import LONGEST_TEXT, tidy
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

_HOURS = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,2}))?")
_STATES = {each.value: each for each in State}


async def appeals(request: web.Request) -> web.StreamResponse:
    """GET /staff/appeals?state=…&page=…: those that wait for an answer, or another state, or `all`."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    chosen = request.query.get("state", State.OPEN.value)
    page = await appeals_page(
        request.app[SERVICES],
        viewer.scope,
        state=None if chosen == "all" else _STATES.get(chosen, State.OPEN),
        number=database_id(request.query.get("page", "")) or 1,
        address=address_of(request),
    )
    chosen = chosen if chosen == "all" or chosen in _STATES else State.OPEN.value
    return render(
        request,
        "staff/appeals.html",
        viewer=viewer,
        page_title=_("申诉"),
        page=page,
        chosen=chosen,
        page_url=lambda number: "/staff/appeals?" + urlencode({"state": chosen, "page": number}),
        named=words_of(_),
        minute=minute_text,
    )


async def appeal(request: web.Request) -> web.StreamResponse:
    """GET /staff/appeals/{appeal}: one appeal beside its evidence."""
    viewer = await require_staff(request, Permission.READ)
    return _page(request, viewer, await _found(request, viewer))


async def answer(request: web.Request) -> web.StreamResponse:
    """POST …: accept it, with hours or without, or decline it; the answer goes to the learner."""
    viewer = await require_staff(request, Permission.ANSWER_APPEALS)
    form = await require_form(request)
    found = await _found(request, viewer)
    text, decision = tidy(text_field(form, "answer")), text_field(form, "decision")
    typed = text_field(form, "hours").strip()
    # Only an accepted appeal makes hours up; what was typed beside "decline" is not meant.
    hours = hours_of(typed) if typed and decision == "accept" else 0
    problem = ""
    if decision not in ("accept", "decline"):
        problem = N_("请选择采纳或不采纳。")
    elif not text:
        problem = N_("请写明答复，学员会看到。")
    elif hours is None:
        problem = N_("补记的学时请填数字，最多两位小数。")
    else:
        hand = Hand(viewer.scope, address_of(request), text)
        number = found.appeal.appeal.id
        outcome = await answer_appeal(request.app[SERVICES], hand, number, accept=decision == "accept", hours=hours)
        if outcome is Outcome.ABSENT:
            raise web.HTTPNotFound
        if outcome is Outcome.DONE:
            return see_other(f"/staff/appeals/{number}?done=answer")
        problem = {
            Outcome.ALREADY: N_("这条申诉已经有人答复了。"),
            Outcome.TOO_MANY_HOURS: N_("补记的学时超过了这个视频还能补记的学时。"),
        }[outcome]
        found = await _found(request, viewer)
    return _page(request, viewer, found, problem=problem, text=text, decision=decision, hours=typed)


def hours_of(text: str) -> int | None:
    """Hours as people type them, in hundredths; None for what is no such number."""
    found = _HOURS.fullmatch(text)
    if found is None or not text.isascii():
        return None
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


async def _found(request: web.Request, viewer: StaffViewer) -> Beside:
    appeal_id = database_id(request.match_info["appeal"])
    found = None
    if appeal_id is not None:
        found = await find_appeal(request.app[SERVICES], viewer.scope, appeal_id, address_of(request))
    if found is None:
        raise web.HTTPNotFound
    return found


def _page(
    request: web.Request,
    viewer: StaffViewer,
    found: Beside,
    *,
    problem: str = "",
    text: str = "",
    decision: str = "",
    hours: str = "",
) -> web.StreamResponse:
    _ = translator(request)
    return render(
        request,
        "staff/appeal.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("申诉"),
        beside=found,
        each=found.appeal.appeal,
        may_answer=viewer.may(Permission.ANSWER_APPEALS),
        done=request.query.get("done") == "answer",
        problem=_(problem) if problem else "",
        text=text,
        decision=decision,
        hours=hours,
        longest=LONGEST_TEXT,
        named=words_of(_),
        checks=[check_moment(check, _) for check in found.asked],
        words=as_words,
        minute=minute_text,
        clock=clock_text,
        length=length_text,
    )
