"""What staff may do about one learner: a page that says what it does and asks for the reason, and its button.

Each action is one line of the table below; the story of each is in `learning/`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from player_server.learning.moves import offer_move
from player_server.learning.one_learner import LearnerRecord, read_learner
from player_server.learning.reversals import reverse_credit
from player_server.learning.services import Services
from player_server.learning.staff_actions import (
    Hand,
    Outcome,
    add_note,
    extend_deadline,
    reset_phone,
    set_disabled,
)
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.times import date_text, minute_text
from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.policy.hours import as_words
from player_server.policy.plain_text import LONGEST_TEXT, tidy
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.csrf import Form, require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

#: Deadlines beyond this are typing errors.
LATEST_YEAR = 2100
#: No institution's name is longer.
LONGEST_NAME = 200

Act = Callable[[Services, Hand, int, Form], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Page:
    """One action: its heading, what it does, the button, and whether it can do harm and so needs a tick."""

    title: str
    explanation: str
    button: str
    act: Act
    harmful: bool = True
    reason_label: str = N_("原因")


async def _note(services: Services, hand: Hand, learner_id: int, _form: Form) -> Outcome:
    return await add_note(services, hand, learner_id)


async def _phone(services: Services, hand: Hand, learner_id: int, _form: Form) -> Outcome:
    return await reset_phone(services, hand, learner_id)


async def _disable(services: Services, hand: Hand, learner_id: int, _form: Form) -> Outcome:
    return await set_disabled(services, hand, learner_id, disabled=True)


async def _enable(services: Services, hand: Hand, learner_id: int, _form: Form) -> Outcome:
    return await set_disabled(services, hand, learner_id, disabled=False)


async def _deadline(services: Services, hand: Hand, learner_id: int, form: Form) -> Outcome:
    enrolment_id = database_id(text_field(form, "enrolment"))
    last_day = day_of(text_field(form, "day"))
    if enrolment_id is None:
        return Outcome.ABSENT
    if last_day is None:
        return Outcome.NOT_LATER
    return await extend_deadline(services, hand, learner_id, enrolment_id, end_of_day_ms(last_day))


async def _reversal(services: Services, hand: Hand, learner_id: int, form: Form) -> Outcome:
    entry_id = database_id(text_field(form, "entry"))
    return Outcome.ABSENT if entry_id is None else await reverse_credit(services, hand, learner_id, entry_id)


async def _move(services: Services, hand: Hand, learner_id: int, form: Form) -> Outcome:
    return await offer_move(services, hand, learner_id, tidy(text_field(form, "institution"), LONGEST_NAME))


PAGES = {
    "note": Page(
        N_("写备注"),
        N_("备注只有机构和主管部门的人员能看到，保存后不能修改。"),
        N_("保存备注"),
        _note,
        harmful=False,
        reason_label=N_("备注内容"),
    ),
    "phone": Page(
        N_("解除手机绑定"),
        N_(
            "现在绑定的手机不能再完成播放验证。下一次验证时，学员凭姓名和身份证号绑定新的手机。已学的进度和学时不受影响。"
        ),
        N_("解除绑定"),
        _phone,
    ),
    "disable": Page(
        N_("停用账户"),
        N_("学员会被退出登录，正在播放的页面在几秒内关闭。已学的进度和学时都保留，账户可以随时恢复。"),
        N_("停用账户"),
        _disable,
    ),
    "enable": Page(
        N_("恢复账户"), N_("学员可以重新登录，从上次的进度继续学习。"), N_("恢复账户"), _enable, harmful=False
    ),
    "deadline": Page(
        N_("延长期限"), N_("新的截止日期必须晚于现在的截止日期。"), N_("延长期限"), _deadline, harmful=False
    ),
    "reversal": Page(
        N_("冲销学时"),
        N_(
            "账上会增加一条冲销记录，原来的记录保留。如果是视频的学时，学员可以从头重新学习并再次取得；因此已发的学时证明会失效。"
        ),
        N_("冲销学时"),
        _reversal,
    ),
    "move": Page(
        N_("转到其他机构"),
        N_(
            "对方机构接收之后：学时随学员转过去，按原来的日期计入；报名和期限一并转入；学员在本机构的账户停用。接收之前可以撤回。"
        ),
        N_("提出转出"),
        _move,
    ),
}

_PROBLEMS = {
    Outcome.ALREADY: N_("没有需要改变的：可能已经有人处理过了。请返回学员页面核对。"),
    Outcome.ELSEWHERE: N_("这位学员的账户最初由另一家培训机构开通，只有那家机构能解除手机绑定。"),
    Outcome.NO_INSTITUTION: N_("没有找到这个名称的其他机构。请核对全称。"),
    Outcome.NOT_LATER: N_("请选择一个晚于现在截止日期的日期。"),
}


async def ask(request: web.Request) -> web.StreamResponse:
    """GET /staff/learners/{learner}/actions/{action}: who, what it does, the reason, the button."""
    viewer = await require_staff(request, Permission.ACT)
    page, record = await _found(request, viewer)
    return _page(request, viewer, page, record, request.query.get("entry", ""), request.query.get("enrolment", ""))


async def do(request: web.Request) -> web.StreamResponse:
    """POST …: done, and back to the learner; or the same page with what is missing."""
    viewer = await require_staff(request, Permission.ACT)
    form = await require_form(request)
    page, record = await _found(request, viewer)
    reason = tidy(text_field(form, "reason"))
    entry, enrolment = text_field(form, "entry"), text_field(form, "enrolment")
    problem = ""
    if not reason:
        problem = N_("请写明原因。")
    elif page.harmful and text_field(form, "confirm") != "yes":
        problem = N_("请先勾选确认。")
    else:
        hand = Hand(viewer.scope, address_of(request), reason)
        outcome = await page.act(request.app[SERVICES], hand, record.learner_id, form)
        if outcome is Outcome.DONE:
            action = request.match_info["action"]
            return see_other(f"/staff/learners/{record.learner_id}?done={action}")
        if outcome is Outcome.ABSENT:
            raise web.HTTPNotFound
        problem = _PROBLEMS[outcome]
    return _page(
        request,
        viewer,
        page,
        record,
        entry,
        enrolment,
        problem=problem,
        reason=reason,
        day=text_field(form, "day"),
        institution=text_field(form, "institution"),
    )


async def _found(request: web.Request, viewer: StaffViewer) -> tuple[Page, LearnerRecord]:
    page = PAGES.get(request.match_info["action"])
    learner_id = database_id(request.match_info["learner"])
    if page is None or learner_id is None:
        raise web.HTTPNotFound
    record = await read_learner(request.app[SERVICES], viewer.scope, learner_id, address_of(request))
    if record is None:
        raise web.HTTPNotFound
    return page, record


def _page(
    request: web.Request,
    viewer: StaffViewer,
    page: Page,
    record: LearnerRecord,
    entry: str,
    enrolment: str,
    *,
    problem: str = "",
    reason: str = "",
    day: str = "",
    institution: str = "",
) -> web.StreamResponse:
    _ = translator(request)
    action = request.match_info["action"]
    line = next((each for each in record.ledger if str(each.id) == entry), None)
    enrolled = next((each for each in record.enrolments if str(each.id) == enrolment), None)
    if (action == "reversal" and line is None) or (action == "deadline" and enrolled is None):
        raise web.HTTPNotFound
    return render(
        request,
        "staff/learner_action.html",
        viewer=viewer,
        status=422 if problem else 200,
        page_title=_(page.title),
        who=record,
        action=action,
        explanation=_(page.explanation),
        button=_(page.button),
        reason_label=_(page.reason_label),
        harmful=page.harmful,
        entry=line,
        enrolment=enrolled,
        problem=_(problem) if problem else "",
        reason=reason,
        day=day,
        institution=institution,
        longest=LONGEST_TEXT,
        words=as_words,
        minute=minute_text,
        date=date_text,
    )


def day_of(text: str) -> date | None:
    """A day as a date field sends it, or None."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year <= LATEST_YEAR else None


def end_of_day_ms(day: date) -> int:
    """The last millisecond of this day in China, UTC ms."""
    return (day + timedelta(days=1) - date(1970, 1, 1)).days * DAY_MS - CHINA_OFFSET_MS - 1
