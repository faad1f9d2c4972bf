"""The quiz after a video: the sheet, and what came of it. Works without JavaScript; quiz.js only makes it nicer."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from player_server.learning.enrolments import Refusal, WatchRight, my_course
from player_server.learning.quiz import Graded, Refused, Sheet, WaitingFor, Why, hand_in, open_sheet
from player_server.pages.language import Translate
from player_server.pages.render import N_, render, translator
from player_server.pages.times import length_text
from player_server.policy.hours import as_words
from player_server.policy.quiz import ShownQuestion
from player_server.web.csrf import Form, require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import Viewer, require_learner

#: What the hours of a passed quiz still wait for, and what the button to it says.
_WAITING = {
    WaitingFor.VIDEO: (N_("把视频看完，学时就会自动入账，不用再做练习。"), N_("继续观看视频")),
    WaitingFor.CHALLENGE: (N_("还有一次播放验证没有完成。完成后学时自动入账，不用再做练习。"), N_("去完成验证")),
    WaitingFor.SETTLING: (N_("学时正在入账，通常不到一分钟。"), N_("返回视频")),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A button under a result; texts are translated."""

    href: str
    text: str
    primary: bool = False
    waits: bool = False  # of no use before the pause is over


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the result page says: translated texts, the questions that were wrong, the pause in seconds."""

    title: str
    lines: tuple[str, ...]
    links: tuple[Link, ...]
    passed: bool = False
    wrong: tuple[ShownQuestion, ...] = ()
    seconds: int = 0
    status: int = 200


async def quiz_page(request: web.Request) -> web.StreamResponse:
    """GET /quiz/{video}: a new sheet, or why there is none. Nothing is written."""
    viewer = await require_learner(request)
    result = await open_sheet(request.app[SERVICES], viewer.learner_id, _video_id(request))
    if isinstance(result, Sheet):
        return _show_sheet(request, viewer, result)
    return await _show_refused(request, viewer, result)


async def quiz_submit(request: web.Request) -> web.StreamResponse:
    """POST /quiz/{video}: grade the sheet. Sent twice, it shows the same result twice."""
    viewer = await require_learner(request)
    form = await require_form(request)
    token, answers = text_field(form, "sheet"), _answers(form)
    result = await hand_in(request.app[SERVICES], viewer.learner_id, _video_id(request), token, answers)
    if isinstance(result, Graded):
        return await _show_graded(request, viewer, result)
    if result.sheet is not None:
        return _show_sheet(request, viewer, result.sheet, answers, result)
    return await _show_refused(request, viewer, result)


def _video_id(request: web.Request) -> int:
    video_id = database_id(request.match_info["video"])
    if video_id is None:
        raise web.HTTPNotFound
    return video_id


def _answers(form: Form) -> dict[int, set[int]]:
    """Fields q1, q2, … with the places that were chosen; whatever is no such thing was not chosen."""
    answers: dict[int, set[int]] = {}
    for name, value in form.items():
        number = database_id(name.removeprefix("q")) if name.startswith("q") else None
        if number is not None and isinstance(value, str) and value.isascii() and value.isdigit():
            # No quiz has more than nine options; a longer number would only be work.
            answers.setdefault(number, set()).add(int(value[:2]))
    return answers


def _show_sheet(
    request: web.Request,
    viewer: Viewer,
    sheet: Sheet,
    answers: dict[int, set[int]] | None = None,
    refused: Refused | None = None,
) -> web.Response:
    """The form; after a refusal with the answers still in it."""
    seconds = refused.seconds if refused else 0
    response = render(
        request,
        "quiz.html",
        viewer=viewer,
        status=_status(refused),
        page_title=f"{translator(request)('课后练习')} · {sheet.video.title}",
        sheet=sheet,
        hours=as_words(sheet.video.hours),
        answers=answers or {},
        unanswered=refused.numbers if refused else (),
        seconds=seconds,
        pause=length_text(seconds * 1000),
    )
    return _retry_after(response, seconds)


async def _show_graded(request: web.Request, viewer: Viewer, graded: Graded) -> web.Response:
    if graded.passed:
        outcome = await _passed(request, viewer, graded.video, graded.waiting_for)
        return _show_outcome(request, viewer, graded.video, outcome)
    _ = translator(request)
    lines = [_("全部答对才能获得学时，答题次数不限。")]
    if graded.right is not None:
        lines.insert(0, _("答对 %(right)s / %(total)s 题。") % {"right": graded.right, "total": graded.total})
    outcome = Outcome(
        title=_("还没有全部答对"),
        lines=tuple(lines),
        links=_try_again(_, graded.video),
        wrong=graded.wrong_shown or (),
        seconds=graded.cooldown_left,
    )
    return _show_outcome(request, viewer, graded.video, outcome)


async def _show_refused(request: web.Request, viewer: Viewer, refused: Refused) -> web.Response:
    video = refused.video
    if video is None:
        if refused.refusal is Refusal.UNKNOWN:
            raise web.HTTPNotFound
        # The video page says why it may not be opened, and what to do.
        raise web.HTTPSeeOther(f"/player/{_video_id(request)}")
    _ = translator(request)
    watch = Link(f"/player/{video.video_id}", _("去看视频"), primary=True)
    match refused.why:
        case Why.PASSED:
            outcome = await _passed(request, viewer, video, refused.waiting_for)
        case Why.NOT_WATCHED:
            missing = length_text(refused.seconds * 1000)
            line = _("还差 %(time)s。看完视频后，课后练习就会打开。") % {"time": missing}
            outcome = Outcome(_("请先看完视频"), (line,), (watch,))
        case Why.NO_QUIZ:
            outcome = Outcome(_("这个视频没有课后练习"), (_("看完视频，学时就会自动入账。"),), (watch,))
        case Why.COOLING_DOWN:
            outcome = Outcome(
                _("请稍后再试"),
                (_("连续几次没有全部答对，需要休息一下。建议先重新观看视频。"),),
                _try_again(_, video),
                seconds=refused.seconds,
                status=429,
            )
        case _:
            outcome = Outcome(
                _("这份练习已失效"),
                (_("可能是打开太久了，或者是从另一个账户打开的。请重新打开一份，之前的结果不受影响。"),),
                (Link(f"/quiz/{video.video_id}", _("重新打开练习"), primary=True),),
                status=409,
            )
    return _show_outcome(request, viewer, video, outcome)


async def _passed(request: web.Request, viewer: Viewer, video: WatchRight, waiting_for: WaitingFor) -> Outcome:
    _ = translator(request)
    to_course = Link(f"/courses/{video.course_id}", _("返回课程"))
    if waiting_for is not WaitingFor.NOTHING:
        line, text = _WAITING[waiting_for]
        links = (Link(f"/player/{video.video_id}", _(text), primary=True), to_course)
        return Outcome(_("全部答对"), (_(line),), links, passed=True)
    line = _("%(hours)s 学时已入账。") % {"hours": as_words(video.hours)}
    course = await my_course(request.app[SERVICES], viewer.learner_id, video.course_id)
    if course is None or course.complete or course.next_video is None:
        done = _("这门课程的学时已经全部获得。")
        return Outcome(
            _("全部答对"), (line, done), (Link("/hours", _("查看我的学时"), primary=True), to_course), passed=True
        )
    following = course.next_video
    onward = Link(
        f"/player/{following.video_id}", _("下一个视频：%(title)s") % {"title": following.title}, primary=True
    )
    return Outcome(_("全部答对"), (line,), (onward, to_course), passed=True)


def _try_again(_: Translate, video: WatchRight) -> tuple[Link, ...]:
    return (
        Link(f"/quiz/{video.video_id}", _("再试一次"), primary=True, waits=True),
        Link(f"/player/{video.video_id}", _("重新观看视频")),
    )


def _show_outcome(request: web.Request, viewer: Viewer, video: WatchRight, outcome: Outcome) -> web.Response:
    response = render(
        request,
        "quiz_result.html",
        viewer=viewer,
        status=outcome.status,
        page_title=f"{outcome.title} · {video.title}",
        video=video,
        outcome=outcome,
        pause=length_text(outcome.seconds * 1000),
    )
    return _retry_after(response, outcome.seconds)


def _status(refused: Refused | None) -> int:
    if refused is None:
        return 200
    return 429 if refused.why is Why.COOLING_DOWN else 422


def _retry_after(response: web.Response, seconds: int) -> web.Response:
    if response.status == 429:
        response.headers["Retry-After"] = str(seconds)
    return response
