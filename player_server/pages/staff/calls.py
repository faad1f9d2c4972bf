"""The call list: whose deadline is near while hours are missing."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from aiohttp import web

from player_server.learning.deadlines import calls_page
from player_server.learning.roster import Filters, filters_from
from player_server.pages.language import lang_of
from player_server.pages.render import render, translator
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_staff

LIST = "/staff/calls"
_AFTER = re.compile(r"\d{4}-\d\d-\d\d\.\d{19}")


async def calls(request: web.Request) -> web.StreamResponse:
    """GET /staff/calls?class=…&programme=…&after=…: the nearest deadline first."""
    viewer = await require_staff(request, Permission.ACT)
    _ = translator(request)
    lang = lang_of(request)
    asked = filters_from(request.query)
    filters = Filters(class_name=asked.class_name, programme=asked.programme)
    after = request.query.get("after", "")
    services = request.app[SERVICES]
    page = await calls_page(
        services,
        viewer.scope,
        filters,
        after=after if _AFTER.fullmatch(after) else "",
        address=address_of(request),
    )
    names = {
        each.id: each.programme.name.en if lang == "en" else each.programme.name.zh
        for each in services.programmes.values()
    }
    return render(
        request,
        "staff/calls.html",
        viewer=viewer,
        page_title=_("催学名单"),
        page=page,
        next_url=None if page.after is None else f"{LIST}?{urlencode(filters.query() | {'after': page.after})}",
        later=bool(after),
        filters=filters.query(),
        programmes=names,
        words=as_words,
    )
