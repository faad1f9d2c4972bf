"""Moves 转入转出: what was offered to this institution and by it, and taking or ending an offer."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.moves import Move, end_offer, moves_of, take_move
from player_server.learning.staff_actions import Hand, Outcome
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.times import minute_text
from player_server.policy.plain_text import LONGEST_TEXT, tidy
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

_STATES = {
    "offered": N_("等待接收"),
    "taken": N_("已接收"),
    "declined": N_("已拒绝"),
    "withdrawn": N_("已撤回"),
}
_DONE = {"take": N_("学员已转入，学时和报名都在新的账户里。"), "end": N_("已处理，学员没有变化。")}


async def moves(request: web.Request) -> web.StreamResponse:
    """GET /staff/moves: everything that waits, then what was."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    done = _DONE.get(request.query.get("done", ""))
    return render(
        request,
        "staff/moves.html",
        viewer=viewer,
        page_title=_("转入转出"),
        moves=await moves_of(request.app[SERVICES], viewer.scope, viewer.own_institution(), address_of(request)),
        states={state: _(text) for state, text in _STATES.items()},
        may_take=viewer.may(Permission.IMPORT),
        may_end=viewer.may(Permission.ACT),
        done=_(done) if done else "",
        minute=minute_text,
    )


async def ask(request: web.Request) -> web.StreamResponse:
    """GET /staff/moves/{move}/{action}: what it does, the reason, the button."""
    viewer, found, action = await _found(request)
    return _page(request, viewer, found, action)


async def do(request: web.Request) -> web.StreamResponse:
    """POST …: taken or ended, and back to the list; or the same page with what is missing."""
    viewer, found, action = await _found(request)
    form = await require_form(request)
    reason = tidy(text_field(form, "reason"))
    if not reason:
        return _page(request, viewer, found, action, problem=N_("请写明原因。"))
    if text_field(form, "confirm") != "yes":
        return _page(request, viewer, found, action, problem=N_("请先勾选确认。"), reason=reason)
    hand = Hand(viewer.scope, address_of(request), reason)
    use_case = take_move if action == "take" else end_offer
    outcome = await use_case(request.app[SERVICES], hand, viewer.own_institution(), found.id)
    if outcome is Outcome.DONE:
        return see_other(f"/staff/moves?done={action}")
    return _page(
        request, viewer, found, action, problem=N_("没有需要改变的：可能已经有人处理过了。"), reason=reason
    )


async def _found(request: web.Request) -> tuple[StaffViewer, Move, str]:
    """Who, which move, and what: taking needs the right to bring people in."""
    action = request.match_info["action"]
    if action not in _DONE:
        raise web.HTTPNotFound
    viewer = await require_staff(request, Permission.IMPORT if action == "take" else Permission.ACT)
    move_id = database_id(request.match_info["move"])
    seen = await moves_of(request.app[SERVICES], viewer.scope, viewer.own_institution(), address_of(request))
    found = next((each for each in seen if each.id == move_id), None)
    if found is None or (action == "take" and not found.incoming):
        raise web.HTTPNotFound
    return viewer, found, action


def _page(
    request: web.Request, viewer: StaffViewer, found: Move, action: str, *, problem: str = "", reason: str = ""
) -> web.StreamResponse:
    _ = translator(request)
    title = _("接收转入") if action == "take" else _("拒绝转入") if found.incoming else _("撤回转出")
    return render(
        request,
        "staff/move.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=title,
        move=found,
        action=action,
        problem=_(problem) if problem else "",
        reason=reason,
        longest=LONGEST_TEXT,
    )
