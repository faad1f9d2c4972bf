"""The files of a video: the picture and its captions, for the learner whose page asked for them.

The address is signed for one learner and one video (`auth/media_tokens.py`); the log-in of that learner and the
right to watch are asked for as well, each time. Whatever is missing, the answer is the same.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from player_server.auth.media_tokens import BadMediaToken, check_media_token
from player_server.learning.enrolments import WatchRight, may_watch
from player_server.observe import log
from player_server.storage.media import caption_path, video_path
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import optional_learner

# The browser may keep what it has loaded while the page is open; a proxy may not.
_KEEP = "private, max-age=3600"


async def video_file(request: web.Request) -> web.StreamResponse:
    """GET /media/{video}?t=…: the MP4, by byte ranges. 403 for every kind of wrong address."""
    right = await _right(request)
    folder = request.app[SERVICES].settings.media_folder
    return _file(video_path(folder, right.media_sha), "video/mp4")


async def captions_file(request: web.Request) -> web.StreamResponse:
    """GET /captions/{video}?t=…: the WebVTT file."""
    right = await _right(request)
    if right.captions_sha is None:
        raise web.HTTPNotFound
    folder = request.app[SERVICES].settings.media_folder
    return _file(caption_path(folder, right.captions_sha), "text/vtt; charset=utf-8")


async def _right(request: web.Request) -> WatchRight:
    services = request.app[SERVICES]
    viewer = await optional_learner(request)
    video_id = database_id(request.match_info["video"])
    if viewer is None or video_id is None:
        raise web.HTTPForbidden
    async with services.db.read() as conn:
        now = await services.clock.read(conn)
        try:
            token = request.query.get("t", "")
            check_media_token(services.keys, token, viewer.learner_id, video_id, now_ms=now.ms)
        except BadMediaToken:
            raise web.HTTPForbidden from None
        right = await may_watch(conn, viewer.learner_id, video_id)
    if not isinstance(right, WatchRight):
        raise web.HTTPForbidden
    return right


def _file(path: Path, content_type: str) -> web.FileResponse:
    if not path.is_file():
        log.error("media_file_missing", file=path.name)
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Content-Type": content_type, "Cache-Control": _KEEP})
