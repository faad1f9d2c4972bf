"""GET /api/v1/openapi.json. Its readable page is `pages/api_docs.py`."""

from __future__ import annotations

import msgspec
from aiohttp import web

from player_server.web.openapi import API_DOCUMENT


async def openapi(request: web.Request) -> web.StreamResponse:
    """For everybody: it says nothing about anybody."""
    body = msgspec.json.encode(request.app[API_DOCUMENT])
    return web.Response(
        body=body, content_type="application/json", headers={"Cache-Control": "public, max-age=300"}
    )
