"""Webhooks at the institution: who is told of its events, what became of each message, and trying again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from player_server.learning.events import (
    COMPLETED,
    CREDITED,
    DEADLINE_NEAR,
    EXAM_RESULT,
    FINDING_OPENED,
    REVERSED,
    TOPICS,
)
from player_server.learning.webhooks import (
    LONGEST_NAME,
    Endpoint,
    Fault,
    Hand,
    State,
    add_endpoint,
    deliveries_page,
    endpoints_of,
    find_endpoint,
    resend,
    set_disabled,
)
from player_server.pages.language import N_, translator
from player_server.pages.redirects import see_other
from player_server.pages.render import render
from player_server.pages.times import minute_text
from player_server.policy.roles import Permission
from player_server.storage.clock import wall_ms
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

PATH = "/staff/webhooks"
TOPIC_NAMES = {
    CREDITED: N_("学时入账"),
    COMPLETED: N_("学时修满"),
    REVERSED: N_("学时撤销"),
    EXAM_RESULT: N_("考试结果"),
    FINDING_OPENED: N_("出现待核查的异常记录"),
    DEADLINE_NEAR: N_("临近截止日期"),
}
STATE_NAMES = {
    State.WAITING: N_("等待推送"),
    State.DELIVERED: N_("已送达"),
    State.GIVEN_UP: N_("已放弃"),
    State.DROPPED: N_("未推送（已停用）"),
}
STATE_TONES = {State.WAITING: "warn", State.DELIVERED: "ok", State.GIVEN_UP: "bad", State.DROPPED: ""}
FAULTS = {
    Fault.NAME: N_("请填写名称，不超过 60 个字。"),
    Fault.MALFORMED: N_("地址无法识别。请填写完整的网址，例如 https://exam.example.org/hook。"),
    Fault.NOT_HTTPS: N_("地址必须以 https:// 开头。"),
    Fault.NOT_PUBLIC: N_("地址必须在公共互联网上，不能是本机或内部网络。"),
    Fault.WITH_PASSWORD: N_("地址中不能包含用户名或密码。"),
    Fault.TOPICS: N_("请至少选择一种消息。"),
    Fault.TOO_MANY: N_("接收地址已达上限（20 个）。请先停用不再使用的地址。"),
}
#: What a failure says, by what the sender wrote down; anything else is shown as it is.
REASONS = {
    "no answer in time": N_("对方没有及时回应"),
    "the address is not on the public internet": N_("地址不在公共互联网上，不予推送"),
    "disabled": N_("推送已停用"),
}


async def endpoints(request: web.Request) -> web.StreamResponse:
    """GET /staff/webhooks"""
    viewer, hand = await _hand(request)
    return render(
        request,
        "staff/webhooks.html",
        viewer=viewer,
        page_title=translator(request)("消息推送"),
        endpoints=await endpoints_of(request.app[SERVICES], hand.institution_id),
        **_words(request),
    )


async def new_endpoint(request: web.Request) -> web.StreamResponse:
    """GET /staff/webhooks/new"""
    viewer, _acting = await _hand(request)
    return _form(request, viewer, name="", url="", topics=list(TOPICS), fault=None)


async def create_endpoint(request: web.Request) -> web.StreamResponse:
    """POST /staff/webhooks: `name`, `url`, `topics`; the secret is on the answer's page and nowhere else."""
    viewer, hand = await _hand(request)
    form = await require_form(request)
    name, url = text_field(form, "name"), text_field(form, "url")
    topics = [str(each) for each in form.getall("topics", [])]
    made = await add_endpoint(request.app[SERVICES], hand, name=name, url=url, topics=topics)
    if isinstance(made, Fault):
        return _form(request, viewer, name=name, url=url, topics=topics, fault=made)
    endpoint_id, secret = made
    return render(
        request,
        "staff/webhook_secret.html",
        viewer=viewer,
        page_title=translator(request)("签名密钥"),
        endpoint=await find_endpoint(request.app[SERVICES], hand.institution_id, endpoint_id),
        secret=secret,
    )


def _form(
    request: web.Request, viewer: StaffViewer, *, name: str, url: str, topics: list[str], fault: Fault | None
) -> web.StreamResponse:
    _ = translator(request)
    where = {Fault.NAME: "name", Fault.TOPICS: "topics", Fault.TOO_MANY: "form", None: ""}
    return render(
        request,
        "staff/webhook_new.html",
        viewer=viewer,
        status=422 if fault else 200,
        page_title=_("新增接收地址"),
        name=name,
        url=url,
        chosen=topics,
        problem=_(FAULTS[fault]) if fault else "",
        problem_at=where.get(fault, "url"),
        longest_name=LONGEST_NAME,
        **_words(request),
    )


async def endpoint_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/webhooks/{endpoint}?state=…&page=…: one receiver and its messages."""
    viewer, hand = await _hand(request)
    endpoint = await _endpoint(request, hand)
    state = next((each for each in State if each == request.query.get("state", "")), None)
    page = await deliveries_page(
        request.app[SERVICES], endpoint.id, state=state, number=database_id(request.query.get("page", "")) or 1
    )

    def page_url(number: int, of: State | None = state) -> str:
        asked = {"state": str(of)} if of else {}
        asked |= {"page": str(number)} if number > 1 else {}
        return f"{PATH}/{endpoint.id}" + (f"?{urlencode(asked)}" if asked else "")

    return render(
        request,
        "staff/webhook.html",
        viewer=viewer,
        page_title=endpoint.name,
        endpoint=endpoint,
        page=page,
        state=state,
        states=list(State),
        page_url=page_url,
        now=wall_ms(),
        sent=request.query.get("sent") == "1",
        **_words(request),
    )


async def ask_disable(request: web.Request) -> web.StreamResponse:
    """GET /staff/webhooks/{endpoint}/disable: what it does, and the button."""
    viewer, hand = await _hand(request)
    endpoint = await _endpoint(request, hand)
    return render(
        request,
        "staff/webhook_disable.html",
        viewer=viewer,
        page_title=translator(request)("停用推送"),
        endpoint=endpoint,
    )


async def disable(request: web.Request) -> web.StreamResponse:
    """POST /staff/webhooks/{endpoint}/disable"""
    return await _switch(request, disabled=True)


async def enable(request: web.Request) -> web.StreamResponse:
    """POST /staff/webhooks/{endpoint}/enable"""
    return await _switch(request, disabled=False)


async def _switch(request: web.Request, *, disabled: bool) -> web.StreamResponse:
    _viewer, hand = await _hand(request)
    await require_form(request)
    endpoint = await _endpoint(request, hand)
    await set_disabled(request.app[SERVICES], hand, endpoint.id, disabled=disabled)
    return see_other(f"{PATH}/{endpoint.id}")


async def send_again(request: web.Request) -> web.StreamResponse:
    """POST /staff/webhooks/{endpoint}/deliveries/{delivery}/send"""
    _viewer, hand = await _hand(request)
    await require_form(request)
    endpoint = await _endpoint(request, hand)
    if not await resend(request.app[SERVICES], hand, endpoint.id, database_id(request.match_info["delivery"])):
        raise web.HTTPNotFound
    return see_other(f"{PATH}/{endpoint.id}?sent=1")


async def _hand(request: web.Request) -> tuple[StaffViewer, Hand]:
    viewer = await require_staff(request, Permission.MANAGE_STAFF)
    return viewer, Hand(viewer.staff_id, viewer.own_institution(), address_of(request))


async def _endpoint(request: web.Request, hand: Hand) -> Endpoint:
    """The institution's own; a foreign one is as good as none."""
    endpoint_id = database_id(request.match_info["endpoint"])
    found = await find_endpoint(request.app[SERVICES], hand.institution_id, endpoint_id)
    if found is None:
        raise web.HTTPNotFound
    return found


def _words(request: web.Request) -> dict[str, Any]:
    _ = translator(request)
    return {
        "topic_names": {topic: _(TOPIC_NAMES[topic]) for topic in TOPICS},
        "state_names": {state: _(STATE_NAMES[state]) for state in State},
        "state_tones": STATE_TONES,
        "reason": lambda text: _(REASONS[text]) if text in REASONS else text,
        "minute": minute_text,
    }
