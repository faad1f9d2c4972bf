"""The ledger for those who must trust it: how the log stands, and a spot check of one entry."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.ledger_check import check_entry, log_standing
from player_server.pages.hours import KINDS
from player_server.pages.language import translator
from player_server.pages.render import render
from player_server.pages.times import minute_text
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_staff


async def ledger_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/ledger?entry=…: with a number, that entry is checked."""
    viewer = await require_staff(request, Permission.READ_AUDIT)
    _ = translator(request)
    services = request.app[SERVICES]
    asked = request.query.get("entry", "").strip()[:20]
    entry_id = database_id(asked)
    check = None
    if entry_id is not None:
        check = await check_entry(services, viewer.scope, entry_id, address=address_of(request))
    return render(
        request,
        "staff/ledger.html",
        viewer=viewer,
        page_title=_("账本核验"),
        standing=await log_standing(services),
        asked=asked,
        check=check,
        kinds={kind: _(text) for kind, text in KINDS.items()},
        words=as_words,
        minute=minute_text,
    )
