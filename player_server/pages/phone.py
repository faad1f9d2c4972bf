"""The pages on the learner's phone: a scanned code, the confirm button, binding and re-binding the phone.

They need no log-in: the phone's own cookie, set when a code is opened, is what may be enrolled and may confirm.
"""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from player_server.learning import challenges, phones
from player_server.learning.challenge_tokens import read_form
from player_server.learning.challenges import Browser
from player_server.learning.phones import PhonePage, Screen
from player_server.pages.render import N_, render, translator
from player_server.policy.challenges import Answer
from player_server.web import cookies
from player_server.web.address import address_of, device_of
from player_server.web.csrf import Form, require_form, text_field
from player_server.web.keys import SERVICES
from player_server.web.viewer import login_of

#: No name, number or password of a person is longer.
LONGEST_FIELD = 200


class _Words(NamedTuple):
    """A result page: title, what to do now, tone (a .notice class), HTTP status."""

    title: str
    advice: str
    tone: str
    status: int


RESULTS = {
    Answer.CONFIRMED: _Words(N_("已确认"), N_("请回到播放页面，视频会继续计时。可以关闭本页。"), "ok", 200),
    Answer.ALREADY_CONFIRMED: _Words(
        N_("已经确认过了"), N_("这次验证已经完成，不需要再做什么。请回到播放页面。"), "ok", 200
    ),
    Answer.LATE: _Words(
        N_("这次验证的时间已过"),
        N_("之前学的都还在。请在播放页面上点「获取新的验证码」，再扫一次。"),
        "warn",
        410,
    ),
    Answer.STALE: _Words(N_("二维码已经更换"), N_("请重新扫描播放页面上现在显示的二维码。"), "warn", 410),
    Answer.UNKNOWN: _Words(
        N_("无法识别这个二维码"), N_("请用手机直接扫描播放页面上显示的二维码，不要使用转发的链接。"), "bad", 404
    ),
    Answer.COMPUTER: _Words(
        N_("请用手机扫码"),
        N_("这个浏览器已登录学习账号，不能用来确认。请用您的手机扫描播放页面上的二维码。"),
        "bad",
        403,
    ),
    Answer.SAME_DEVICE_OFF: _Words(
        N_("请换一部手机确认"),
        N_("这个浏览器已登录学习账号，培训机构要求用另一部设备确认。请用另一部手机扫码，或先在本机退出登录。"),
        "bad",
        403,
    ),
    Answer.WRONG_LEARNER: _Words(
        N_("这不是您的验证"),
        N_("本机登录的是另一位学员。请由正在学习的学员本人用自己的手机确认。"),
        "bad",
        403,
    ),
    Answer.WRONG_PHONE: _Words(
        N_("这部手机不能确认"),
        N_("这部手机绑定的是另一位学员。请由正在学习的学员本人用自己的手机扫码。"),
        "bad",
        403,
    ),
    Answer.PHONE_REUSED: _Words(
        N_("这部手机已绑定另一位学员"),
        N_("一部手机只能绑定一位学员，本次绑定没有成功。请用您本人的手机扫码。"),
        "bad",
        409,
    ),
    Answer.NOT_ENROLLED: _Words(
        N_("这部手机还没有绑定"), N_("请重新扫描播放页面上的二维码，按提示绑定。"), "warn", 403
    ),
}

#: What is said above a form that is shown again, or on the way to the next button.
_REMARKS = {
    Answer.MISMATCH: ("bad", N_("填写的内容与报名信息不一致，请核对后再试。")),
    Answer.TOO_MANY: ("bad", N_("尝试次数太多，请稍等片刻再试。")),
    Answer.BOUND: ("ok", N_("已改绑到这部手机。还差一步：请点「确认」。")),
}
_STATUSES = {Answer.MISMATCH: 422, Answer.TOO_MANY: 429}

_TITLES = {
    Screen.CONFIRM: N_("在线确认"),
    Screen.IDENTITY: N_("身份验证"),
    Screen.REBIND: N_("改绑手机"),
}


async def open_code(request: web.Request) -> web.StreamResponse:
    """GET /c/{token}: what the QR picture leads to. Shows a page for this browser; never confirms anything."""
    services = request.app[SERVICES]
    browser = await browser_of(request)
    page = await phones.open_code(services, request.match_info["token"], browser)
    response = _show(request, page)
    if isinstance(page, PhonePage) and cookies.phone_credential(request) is None:
        # Set before anything is enrolled: if the answer to the binding is lost, the phone is still the one bound.
        cookies.set_phone_credential(request, response, browser.credential)
    return response


async def confirm(request: web.Request) -> web.StreamResponse:
    """POST /c/confirm: the learner pressed [确认]."""
    _form, browser, challenge_id = await _read(request)
    if challenge_id is None:
        return _result(request, Answer.UNKNOWN)
    answer = await challenges.confirm(request.app[SERVICES], challenge_id, browser)
    return await _answer(request, challenge_id, browser, answer)


async def bind(request: web.Request) -> web.StreamResponse:
    """POST /c/bind: name and ID number; binds this phone and answers the identity check."""
    form, browser, challenge_id = await _read(request)
    if challenge_id is None:
        return _result(request, Answer.UNKNOWN)
    name = _field(form, "name")
    answer = await phones.bind(
        request.app[SERVICES], challenge_id, browser, name=name, id_number=_field(form, "id_number")
    )
    return await _answer(request, challenge_id, browser, answer, typed_name=name)


async def rebind(request: web.Request) -> web.StreamResponse:
    """POST /c/rebind: name, ID number and password; binds this phone instead of the former one."""
    form, browser, challenge_id = await _read(request)
    if challenge_id is None:
        return _result(request, Answer.UNKNOWN)
    name = _field(form, "name")
    answer = await phones.rebind(
        request.app[SERVICES],
        challenge_id,
        browser,
        name=name,
        id_number=_field(form, "id_number"),
        password=_field(form, "password"),
    )
    return await _answer(request, challenge_id, browser, answer, typed_name=name)


async def browser_of(request: web.Request) -> Browser:
    """The browser behind a request; one without a phone cookie gets a credential that nobody has enrolled."""
    login = await login_of(request)
    return Browser(
        credential=cookies.phone_credential(request) or cookies.new_token(),
        login_person_id=None if login is None else login.person_id,
        device=device_of(request),
        address=address_of(request),
    )


async def _read(request: web.Request) -> tuple[Form, Browser, str | None]:
    """The form, the browser, and the challenge if this page was made for this browser."""
    form = await require_form(request)
    services = request.app[SERVICES]
    browser = await browser_of(request)
    text = text_field(form, "form")
    challenge_id = read_form(services.keys, text, browser.credential)
    if challenge_id is None:
        await phones.refuse_forged(services, text, browser)
    return form, browser, challenge_id


def _field(form: Form, name: str) -> str:
    return text_field(form, name)[:LONGEST_FIELD]


async def _answer(
    request: web.Request, challenge_id: str, browser: Browser, answer: Answer, typed_name: str = ""
) -> web.Response:
    """The result, or the page again where there is something left to do on this phone."""
    if answer in _REMARKS or answer == Answer.NOT_ENROLLED:
        page = await phones.show_again(request.app[SERVICES], challenge_id, browser)
        return _show(request, page, remark=answer, typed_name=typed_name)
    return _result(request, answer)


def _show(
    request: web.Request, page: PhonePage | Answer, *, remark: Answer | None = None, typed_name: str = ""
) -> web.Response:
    if isinstance(page, Answer):
        return _result(request, page)
    _ = translator(request)
    tone, text = _REMARKS.get(remark, ("", "")) if remark else ("", "")
    return render(
        request,
        f"phone_{page.screen.value}.html",
        page_title=_(_TITLES[page.screen]),
        status=_STATUSES.get(remark, 200) if remark else 200,
        page=page,
        remark_tone=tone,
        remark=_(text) if text else "",
        typed_name=typed_name,
    )


def _result(request: web.Request, answer: Answer) -> web.Response:
    _ = translator(request)
    words = RESULTS[answer]
    return render(
        request,
        "phone_result.html",
        page_title=_(words.title),
        status=words.status,
        advice=_(words.advice),
        tone=words.tone,
        result=answer.value,
    )
