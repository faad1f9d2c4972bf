"""The files of a video: the picture and its captions, for the learner whose page asked for them.

The address is signed for one learner and one video (`auth/media_tokens.py`); the log-in of that learner and the
right to watch are asked for as well, each time. Whatever is missing, the answer is the same. Of a video that is not
credited only what was earned can be loaded, and `media.lookahead_s` beyond.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import av
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from player_server.auth.media_tokens import BadMediaToken, check_media_token
from player_server.config import Settings
from player_server.learning.enrolments import WatchRight, may_watch
from player_server.learning.services import Services
from player_server.observe import log, metrics
from player_server.policy.media import loadable_ms
from player_server.storage.media import caption_path, video_path
from player_server.storage.media_index import loadable_bytes
from player_server.storage.progress import VideoProgress
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.paced_file import part_of, send_paced
from player_server.web.viewer import optional_learner

# The browser may keep what it has loaded while the page is open; a proxy may not.
_KEEP = "private, max-age=3600"
#: So many requests of one learner may wait for more to be earned; a browser has six lines to a server.
MOST_WAITING = 8
# Of this process, by learner: it is the process' own lines that are to be spared.
_waiting: Counter[int] = Counter()


async def video_file(request: web.Request) -> web.StreamResponse:
    """GET /media/{video}?t=…: the MP4, by byte ranges. 403 for every kind of wrong address, 416 for parts that are
    not earned, 429 for too many at once."""
    right = await _right(request)
    services = request.app[SERVICES]
    path = video_path(services.settings.media_folder, right.media_sha)
    if not await asyncio.to_thread(path.is_file):
        return _file(path, "video/mp4")
    size = (await asyncio.to_thread(path.stat)).st_size
    free = await _free_bytes(services, right.progress, path)
    part = part_of(request, size)
    if free is None or part is None or part.stop <= free:
        return _hand_over(services.settings, path) or _file(path, "video/mp4")
    if part.start < free and (handed_over := _hand_over(services.settings, path)) is not None:
        return handed_over
    if _waiting[right.learner_id] >= MOST_WAITING:
        raise web.HTTPTooManyRequests
    _waiting[right.learner_id] += 1

    async def limit() -> int | None:
        try:
            async with services.db.read() as conn:
                now = await may_watch(conn, right.learner_id, right.video_id)
        except (SQLAlchemyError, OSError):
            # Nothing more is given out until the database is back.
            return 0
        if not isinstance(now, WatchRight):
            raise web.HTTPForbidden
        return await _free_bytes(services, now.progress, path)

    try:
        return await send_paced(request, path, part, limit, {"Content-Type": "video/mp4", "Cache-Control": _KEEP})
    except web.HTTPRequestRangeNotSatisfiable:
        metrics.media_refusals.inc()
        raise
    finally:
        _waiting[right.learner_id] -= 1
        if not _waiting[right.learner_id]:
            del _waiting[right.learner_id]


async def _free_bytes(services: Services, progress: VideoProgress, path: Path) -> int | None:
    """How many bytes of the file this learner may load now; None: all."""
    until_ms = loadable_ms(
        progress.frontier_ms,
        progress.duration_ms,
        free=progress.credited,
        lookahead_ms=services.settings.media.lookahead_ms,
    )
    if until_ms is None:
        return None
    try:
        return await asyncio.to_thread(loadable_bytes, path, progress.frontier_ms, until_ms)
    except (OSError, av.FFmpegError) as error:
        # Whoever studies must not suffer from a file that we cannot look into; it is the operator's business.
        log.error("media_index_unreadable", file=path.name, error=repr(error))
        return None


def _hand_over(settings: Settings, path: Path) -> web.Response | None:
    """Where nginx serves the files, it is told which; it sees to the ranges itself."""
    prefix = settings.media.accel_prefix
    if prefix is None:
        return None
    return web.Response(
        headers={
            "X-Accel-Redirect": f"{prefix.rstrip('/')}/{path.name}",
            "Content-Type": "video/mp4",
            "Cache-Control": _KEEP,
        }
    )


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
