"""The files that pages load: scripts, styles and pictures of static/player."""

from __future__ import annotations

from aiohttp import web

from player_server.pages.render import STATIC, static_version

_FOR_EVER = "public, max-age=31536000, immutable"
LONGEST_NAME = 200
# A page that was open across an update asks for the old hash: it gets the file of today, not to be kept.
_NOT_NOW = "no-cache"


async def static_file(request: web.Request) -> web.StreamResponse:
    """GET /static/{version}/{name:.+}"""
    # Every folder name on the way is checked by resolving the whole path: nothing outside is reachable.
    name = request.match_info["name"]
    if "\0" in name or len(name) > LONGEST_NAME:
        # No file has such a name, and the system refuses to look.
        raise web.HTTPNotFound
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise web.HTTPNotFound
    current = request.match_info["version"] == static_version()
    return web.FileResponse(path, headers={"Cache-Control": _FOR_EVER if current else _NOT_NOW})
