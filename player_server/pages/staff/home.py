"""GET /staff, where staff arrive."""

from __future__ import annotations

from aiohttp import web

from player_server.policy.roles import Permission
from player_server.web.viewer import require_staff


async def home(request: web.Request) -> web.StreamResponse:
    """GET /staff"""
    await require_staff(request, Permission.READ)
    raise web.HTTPSeeOther("/staff/learners")
