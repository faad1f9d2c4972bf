"""The video page. Everything that moves on it is static/player/player.js; here it gets its page data."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from player_server.auth.media_tokens import media_url
from player_server.learning.enrolments import Refusal, WatchRight, may_watch
from player_server.pages.render import N_, render, translator
from player_server.policy.hours import as_words
from player_server.storage.progress import VideoProgress, course_progress
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import Viewer, require_learner

TICKETS_URL = "/api/v1/watch-tickets"
SOCKET_PATH = "/ws/watch"

# UNKNOWN is not among them: it is a page that does not exist.
_REFUSALS = {
    Refusal.NOT_ENROLLED: (N_("还没有报名这门课程"), N_("请联系培训机构，为您报名这门课程。")),
    Refusal.WITHDRAWN: (N_("这个视频不能再学习"), N_("报名已取消，或者视频已下架。已经入账的学时不受影响。")),
    Refusal.COURSE_CLOSED: (N_("课程已关闭"), N_("已经入账的学时不受影响。如有疑问，请联系培训机构。")),
    Refusal.OFFLINE_MISSING: (
        N_("线下学时还没有登记"),
        N_("线下公共课程的学时登记之后，才能开始网络学习。请联系培训机构登记您的线下学时。"),
    ),
    Refusal.LEARNER_DISABLED: (N_("账户已停用"), N_("请联系培训机构。")),
}


async def player(request: web.Request) -> web.StreamResponse:
    """GET /player/{video}. 404 for a video that is not the institution's; a clear page if it may not be opened."""
    viewer = await require_learner(request)
    services = request.app[SERVICES]
    video_id = database_id(request.match_info["video"])
    if video_id is None:
        raise web.HTTPNotFound
    async with services.db.read() as conn:
        right = await may_watch(conn, viewer.learner_id, video_id)
        if not isinstance(right, WatchRight):
            return _refused(request, viewer, right)
        chapters = await course_progress(conn, viewer.learner_id, right.course_id)
        now = await services.clock.read(conn)
    return render(
        request,
        "player.html",
        viewer=viewer,
        page_title=right.title,
        course_title=right.course_title,
        data=_page_data(request, viewer, right, chapters, now.ms),
    )


def _page_data(
    request: web.Request, viewer: Viewer, right: WatchRight, chapters: list[VideoProgress], now_ms: int
) -> dict[str, Any]:
    """What player.js reads; its PageData names the same fields. Times in seconds."""
    services = request.app[SERVICES]

    def url(kind: Any) -> str:
        hours = services.settings.sign_in.media_url_hours
        return media_url(services.keys, kind, viewer.learner_id, right.video_id, now_ms=now_ms, hours=hours)

    following = _following(chapters, right.video_id)
    return {
        "csrf": viewer.csrf,
        "video": {
            "id": right.video_id,
            "title": right.title,
            "duration": right.duration_ms / 1000,
            "media": url("media"),
            "captions": url("captions") if right.captions_sha else None,
            "captions_lang": "zh" if right.captions_sha else None,
        },
        "chapters": [_chapter(each) for each in chapters],
        "tickets_url": TICKETS_URL,
        "socket_path": SOCKET_PATH,
        "next_url": following and f"/player/{following.video_id}",
        "home_url": f"/courses/{right.course_id}",
    }


def _chapter(progress: VideoProgress) -> dict[str, Any]:
    return {
        "id": progress.video_id,
        "title": progress.title,
        "hours": as_words(progress.hours),
        "duration": progress.duration_ms / 1000,
        "percent": progress.percent,
        "credited": progress.credited,
        "watched": progress.watched,
        "url": f"/player/{progress.video_id}",
        "quiz": f"/quiz/{progress.video_id}" if progress.quiz_sha else None,
    }


def _following(chapters: list[VideoProgress], video_id: int) -> VideoProgress | None:
    """The next video without hours after this one, else the first one before it; None when all have theirs."""
    here = next((index for index, each in enumerate(chapters) if each.video_id == video_id), -1)
    order = chapters[here + 1 :] + chapters[: max(here, 0)]
    return next((each for each in order if not each.credited), None)


def _refused(request: web.Request, viewer: Viewer, refusal: Refusal) -> web.Response:
    if refusal not in _REFUSALS:
        raise web.HTTPNotFound
    _ = translator(request)
    title, message = _REFUSALS[refusal]
    return render(
        request,
        "refused.html",
        viewer=viewer,
        status=403,
        page_title=_(title),
        message=_(message),
    )
