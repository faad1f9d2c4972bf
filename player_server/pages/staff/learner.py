"""One learner, as staff see them: who, hours, the time line of each video, sessions, ledger, history."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from player_server.learning.exam_results import results_of
from player_server.learning.one_learner import Asked, LearnerRecord, VideoLine, read_learner
from player_server.pages.hour_rules import rule_words
from player_server.pages.language import Translate, lang_of
from player_server.pages.render import N_, render, translator
from player_server.pages.staff.words import words_of
from player_server.pages.times import clock_text, date_text, deadline_of, length_text, minute_text
from player_server.policy.hours import as_words
from player_server.policy.roles import Permission
from player_server.storage.clock import wall_ms
from player_server.web.address import address_of
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_staff

#: The strip of a video is drawn in thousandths of its length.
STRIP_UNITS = 1000

_DONE = {
    "note": N_("备注已保存。"),
    "phone": N_("手机绑定已解除。下一次播放验证时，学员凭姓名和身份证号绑定新的手机。"),
    "disable": N_("账户已停用，正在播放的页面会在几秒内关闭。"),
    "enable": N_("账户已恢复。"),
    "deadline": N_("期限已延长。"),
    "reversal": N_("学时已冲销。学员可以从头重新学习这个视频。"),
    "move": N_("已向对方机构提出转出，等待对方接收。"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a video's time line. `tone` is the name of a badge."""

    at: int
    what: str
    details: str
    tone: str = ""
    counted_ms: int | None = None
    hours: int | None = None


async def learner(request: web.Request) -> web.StreamResponse:
    """GET /staff/learners/{learner}: everything about one learner."""
    viewer = await require_staff(request, Permission.READ)
    learner_id = database_id(request.match_info["learner"])
    record = None
    if learner_id is not None:
        record = await read_learner(request.app[SERVICES], viewer.scope, learner_id, address_of(request))
    if record is None:
        raise web.HTTPNotFound
    async with request.app[SERVICES].db.read() as conn:
        results = await results_of(conn, record.learner_id)
    _ = translator(request)
    words = words_of(_)
    done = _DONE.get(request.query.get("done", ""))
    now = wall_ms()
    return render(
        request,
        "staff/learner.html",
        viewer=viewer,
        page_title=record.masked_name,
        who=record,
        done=_(done) if done else "",
        rules=rule_words(_, lang_of(request)),
        words=as_words,
        named=words,
        minute=minute_text,
        date=date_text,
        clock=clock_text,
        length=length_text,
        deadline=lambda ms: deadline_of(ms, now),
        strip=strip_of,
        moments=lambda line: moments_of(line, words, _),
        programme_names=_programme_names(request, record),
        exam_results=results,
    )


def strip_of(line: VideoLine) -> list[tuple[int, int]]:
    """(begin, width) of what was watched, in STRIP_UNITS; nothing that was watched is too narrow to be seen."""
    whole = max(1, line.progress.duration_ms)
    drawn = []
    for start, end in line.strip:
        begin = min(STRIP_UNITS - 2, start * STRIP_UNITS // whole)
        drawn.append((begin, max(2, min(STRIP_UNITS, end * STRIP_UNITS // whole) - begin)))
    return drawn


def moments_of(line: VideoLine, words: dict[str, dict[str, str]], _: Translate) -> list[Moment]:
    """Segments, checks, submissions and credits of one video, newest first."""
    found: list[Moment] = []
    following: dict[str, int] = {}
    for each in line.segments:
        reason = words["reasons"].get(each.reason, each.reason)
        next_at = following.get(each.session_id)
        following[each.session_id] = each.started_at
        pause_ms = 0 if next_at is None else next_at - each.ended_at
        after = (
            _("之后 %(time)s 没有计时：%(reason)s") % {"time": length_text(pause_ms), "reason": reason}
            if pause_ms >= 1000
            else _("到此为止：%(reason)s") % {"reason": reason}
        )
        place = f"{length_text(each.from_ms)} → {length_text(each.to_ms)}"
        found.append(Moment(each.started_at, _("学习"), f"{place} · {after}", counted_ms=each.to_ms - each.from_ms))
    found.extend(check_moment(check, _) for check in line.asked)
    for sent in line.attempts:
        details = _("答对 %(right)s / %(total)s 题") % {"right": sent.right, "total": sent.total}
        if sent.regraded:
            details += " · " + _("按更正后的答案重新判分")
        found.append(Moment(sent.at, _("交卷"), details, "ok" if sent.passed else ""))
    for entry in line.credits:
        is_reversal = entry.entry_type == "reversal"
        what = _("冲销") if is_reversal else _("学时入账")
        source = words["sources"].get(entry.source or "", "")
        found.append(
            Moment(
                entry.occurred_at,
                what,
                "" if is_reversal else source,
                "bad" if is_reversal else "ok",
                None,
                entry.hours,
            )
        )
    return sorted(found, key=lambda each: each.at, reverse=True)


def check_moment(check: Asked, _: Translate) -> Moment:
    """One check on the phone, in words."""
    kind = _("身份验证") if check.kind == "identity" else _("在场验证")
    if check.outcome == "answered" and check.answered_at is not None:
        details = _("%(seconds)s 秒后确认") % {"seconds": max(0, check.answered_at - check.issued_at) // 1000}
        if check.same_device:
            details += " · " + _("用播放的手机确认")
        return Moment(check.issued_at, kind, details, "ok")
    if check.outcome == "missed":
        return Moment(check.issued_at, kind, _("超时未确认"), "warn")
    return Moment(check.issued_at, kind, _("等待确认"), "info")


def _programme_names(request: web.Request, record: LearnerRecord) -> dict[str, str]:
    """The name of each programme that an enrolment speaks of, in the viewer's language."""
    lang = lang_of(request)
    names = {}
    for each in record.enrolments:
        found = request.app[SERVICES].programmes.get(each.programme)
        if found is not None:
            names[each.programme] = found.programme.name.en if lang == "en" else found.programme.name.zh
    return names
