"""Courses and videos: the list, one video, withdrawing or restoring it, correcting its answer key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from aiohttp import BodyPartReader, web

from player_server.learning.answer_keys import Quiz, correct_key, find_quiz
from player_server.learning.staff_actions import Hand, Outcome
from player_server.learning.video_actions import VideoPage, courses_with_videos, find_video, set_withdrawn
from player_server.learning.video_files import FileTooLarge, replace_file, uploaded
from player_server.pages.language import lang_of
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.staff.words import words_of
from player_server.pages.times import date_text, length_text, minute_text
from player_server.policy.hours import as_words
from player_server.policy.plain_text import LONGEST_TEXT, tidy
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.csrf import Form, require_form, require_token, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

#: What is done to a video concerns every learner, so a teacher of one class may not.
MAY_CHANGE = Permission.IMPORT

_PIECE = 1024 * 1024
#: A reason of the longest length, in three bytes a character.
_LONGEST_FIELD = 4 * LONGEST_TEXT

_ACTIONS = {"withdraw": True, "restore": False}
_DONE = {
    "withdraw": N_("视频已下架，正在播放它的页面会在几秒内关闭。已入账的学时保留。"),
    "restore": N_("视频已恢复。"),
    "file": N_("视频文件已更换。已经开始的学员继续看完原来的文件，其他学员看新的文件。"),
}


async def videos(request: web.Request) -> web.StreamResponse:
    """GET /staff/videos: every course with its videos."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    return render(
        request,
        "staff/videos.html",
        viewer=viewer,
        page_title=_("课程与视频"),
        courses=await courses_with_videos(request.app[SERVICES], viewer.own_institution()),
        words=as_words,
        length=length_text,
    )


async def video(request: web.Request) -> web.StreamResponse:
    """GET /staff/videos/{video}: one video, how it goes, what was done about it."""
    viewer = await require_staff(request, Permission.READ)
    found = await _found(request, viewer)
    _ = translator(request)
    done = _DONE.get(request.query.get("done", ""))
    return render(
        request,
        "staff/video.html",
        viewer=viewer,
        page_title=found.video.title,
        page=found,
        may_change=viewer.may(MAY_CHANGE),
        done=_(done) if done else "",
        named=words_of(_),
        words=as_words,
        length=length_text,
        minute=minute_text,
        date=date_text,
    )


async def ask(request: web.Request) -> web.StreamResponse:
    """GET /staff/videos/{video}/actions/{action}: what it does, the reason, the button."""
    viewer = await require_staff(request, MAY_CHANGE)
    return _ask_page(request, viewer, await _found(request, viewer), _action(request))


async def do(request: web.Request) -> web.StreamResponse:
    """POST …: done, and back to the video; or the same page with what is missing."""
    viewer = await require_staff(request, MAY_CHANGE)
    form = await require_form(request)
    found, action = await _found(request, viewer), _action(request)
    reason = tidy(text_field(form, "reason"))
    if not reason:
        return _ask_page(request, viewer, found, action, problem=N_("请写明原因。"))
    if text_field(form, "confirm") != "yes":
        return _ask_page(request, viewer, found, action, problem=N_("请先勾选确认。"), reason=reason)
    outcome = await set_withdrawn(
        request.app[SERVICES],
        Hand(viewer.scope, address_of(request), reason),
        viewer.own_institution(),
        found.video.video_id,
        withdrawn=_ACTIONS[action],
    )
    if outcome is Outcome.ABSENT:
        raise web.HTTPNotFound
    if outcome is Outcome.ALREADY:
        return _ask_page(
            request, viewer, found, action, problem=N_("没有需要改变的：可能已经有人处理过了。"), reason=reason
        )
    return see_other(f"/staff/videos/{found.video.video_id}?done={action}")


async def ask_file(request: web.Request) -> web.StreamResponse:
    """GET /staff/videos/{video}/file: what replacing does, the reason, the file."""
    viewer = await require_staff(request, MAY_CHANGE)
    return _file_page(request, viewer, await _found(request, viewer))


async def replace(request: web.Request) -> web.StreamResponse:
    """POST …: a form with the token, the reason, the tick and the file, in this order; never whole in memory."""
    viewer = await require_staff(request, MAY_CHANGE)
    found = await _found(request, viewer)
    if not request.content_type.startswith("multipart/"):
        raise web.HTTPBadRequest
    fields: dict[str, str] = {}
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise web.HTTPBadRequest
        if part.name != "file":
            fields[part.name or ""] = await _field(part)
            continue
        # Before the first byte of the file is kept.
        require_token(request, fields.get("csrf"))
        return await _replace(request, viewer, found, fields, part)
    require_token(request, fields.get("csrf"))
    return _file_page(request, viewer, found, problem=N_("请选择一个 MP4 文件。"), reason=fields.get("reason", ""))


async def _replace(
    request: web.Request, viewer: StaffViewer, found: VideoPage, fields: Mapping[str, str], part: BodyPartReader
) -> web.StreamResponse:
    _ = translator(request)
    reason = tidy(fields.get("reason", ""))
    problem = ""
    if not reason:
        problem = N_("请写明原因。")
    elif fields.get("confirm") != "yes":
        problem = N_("请先勾选确认。")
    elif not part.filename:
        problem = N_("请选择一个 MP4 文件。")
    if problem:
        return _file_page(request, viewer, found, problem=problem, reason=reason)
    hand = Hand(viewer.scope, address_of(request), reason)
    services, video_id = request.app[SERVICES], found.video.video_id
    try:
        async with uploaded(services, _pieces(part)) as path:
            replaced = await replace_file(services, hand, viewer.own_institution(), video_id, path)
    except FileTooLarge:
        return _file_page(request, viewer, found, problem=N_("文件太大，不能超过 4 GiB。"), reason=reason)
    if replaced.outcome is Outcome.ABSENT:
        raise web.HTTPNotFound
    if replaced.outcome is Outcome.DONE:
        return see_other(f"/staff/videos/{video_id}?done=file")
    if replaced.outcome is Outcome.ALREADY:
        return _file_page(request, viewer, found, problem=N_("这就是现在使用的文件。"), reason=reason)
    english = lang_of(request) == "en"
    texts = [each.en if english else each.zh for each in replaced.problems]
    return _file_page(request, viewer, found, problem="", texts=texts, reason=reason)


async def _field(part: BodyPartReader) -> str:
    """A field that is no file; a long one is nobody's honest form."""
    content = b""
    while piece := await part.read_chunk(_LONGEST_FIELD):
        content += piece
        if len(content) > _LONGEST_FIELD:
            raise web.HTTPRequestEntityTooLarge(max_size=_LONGEST_FIELD, actual_size=len(content))
    return content.decode(errors="replace")


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(_PIECE):
        yield piece


async def answers(request: web.Request) -> web.StreamResponse:
    """GET /staff/videos/{video}/answers: the questions with the right options ticked."""
    viewer = await require_staff(request, MAY_CHANGE)
    quiz = await _quiz(request, viewer)
    return _answers_page(request, viewer, quiz, [question.right for question in quiz.content.questions])


async def correct(request: web.Request) -> web.StreamResponse:
    """POST …: the key is corrected, and the job that grades again is shown."""
    viewer = await require_staff(request, MAY_CHANGE)
    form = await require_form(request)
    quiz = await _quiz(request, viewer)
    rights = _ticked(form, len(quiz.content.questions))
    reason = tidy(text_field(form, "reason"))
    problem = "" if reason else N_("请写明原因。")
    if not problem and text_field(form, "confirm") != "yes":
        problem = N_("请先勾选确认。")
    if not problem:
        hand = Hand(viewer.scope, address_of(request), reason)
        try:
            outcome, job_id = await correct_key(
                request.app[SERVICES], hand, viewer.own_institution(), quiz.video_id, rights
            )
        except ValueError:
            problem = N_("每道题都要有正确答案，单选题和判断题只能有一个。")
        else:
            if outcome is Outcome.ABSENT:
                raise web.HTTPNotFound
            if job_id is not None:
                return see_other(f"/staff/jobs/{job_id}")
            problem = N_("答案没有变化。")
    return _answers_page(request, viewer, quiz, rights, problem=problem, reason=reason)


async def _found(request: web.Request, viewer: StaffViewer) -> VideoPage:
    video_id = database_id(request.match_info["video"])
    found = None
    if video_id is not None:
        found = await find_video(request.app[SERVICES], viewer.own_institution(), video_id)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _quiz(request: web.Request, viewer: StaffViewer) -> Quiz:
    video_id = database_id(request.match_info["video"])
    found = None
    if video_id is not None:
        found = await find_quiz(
            request.app[SERVICES], viewer.scope, viewer.own_institution(), video_id, address_of(request)
        )
    if found is None:
        raise web.HTTPNotFound
    return found


def _action(request: web.Request) -> str:
    action = request.match_info["action"]
    if action not in _ACTIONS:
        raise web.HTTPNotFound
    return action


def _ticked(form: Form, questions: int) -> list[tuple[int, ...]]:
    """The options that were ticked, for each question; what is no small number is left out."""
    return [
        tuple(
            int(value)
            for value in form.getall(f"q{number}", [])
            if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4
        )
        for number in range(1, questions + 1)
    ]


def _ask_page(
    request: web.Request, viewer: StaffViewer, found: VideoPage, action: str, *, problem: str = "", reason: str = ""
) -> web.StreamResponse:
    _ = translator(request)
    return render(
        request,
        "staff/video_action.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("下架视频") if action == "withdraw" else _("恢复视频"),
        page=found,
        action=action,
        problem=_(problem) if problem else "",
        reason=reason,
        longest=LONGEST_TEXT,
    )


def _file_page(
    request: web.Request,
    viewer: StaffViewer,
    found: VideoPage,
    *,
    problem: str = "",
    texts: Sequence[str] = (),
    reason: str = "",
) -> web.StreamResponse:
    _ = translator(request)
    return render(
        request,
        "staff/video_file.html",
        viewer=viewer,
        status=422 if problem or texts else 200,
        page_title=_("更换视频文件"),
        page=found,
        problems=[_(problem)] if problem else list(texts),
        reason=reason,
        longest=LONGEST_TEXT,
        length=length_text,
    )


def _answers_page(
    request: web.Request,
    viewer: StaffViewer,
    quiz: Quiz,
    rights: Sequence[Sequence[int]],
    *,
    problem: str = "",
    reason: str = "",
) -> web.StreamResponse:
    _ = translator(request)
    return render(
        request,
        "staff/answers.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_("更正练习答案"),
        quiz=quiz,
        rights=rights,
        problem=_(problem) if problem else "",
        reason=reason,
        longest=LONGEST_TEXT,
    )
