"""我的学时: what the programmes ask for, what the ledger holds for the learner, and how each course stands."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.hours import my_hours
from player_server.pages.hour_rules import rule_words
from player_server.pages.language import lang_of
from player_server.pages.render import N_, render, translator
from player_server.pages.times import minute_text
from player_server.policy.hours import as_words
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner

#: The kinds of hours in words; certificates and exports use the same.
KINDS = {
    "online": N_("网络学习"),
    "offline": N_("面授"),
    "employer": N_("单位组织"),
    "test": N_("考试"),
}


async def hours(request: web.Request) -> web.StreamResponse:
    """GET /hours."""
    viewer = await require_learner(request)
    _ = translator(request)
    words = rule_words(_, lang_of(request))
    mine = await my_hours(request.app[SERVICES], viewer.learner_id)
    return render(
        request,
        "hours.html",
        viewer=viewer,
        page_title=_("我的学时"),
        mine=mine,
        kinds={kind: _(text) for kind, text in KINDS.items()},
        rules=words,
        words=as_words,
        minute=minute_text,
    )
