"""The webhook pages: the secret once, only owners, only their own, and every click written down."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from sqlalchemy import insert, select

from player_server.learning.deliveries import place
from player_server.learning.events import emit
from player_server.learning.services import Services
from player_server.learning.webhooks import secret_of
from player_server.pages.staff import webhooks
from player_server.storage.tables import audit
from player_server.storage.webhook_tables import webhook_delivery, webhook_endpoint
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.services import close_services, make_services

ROUTES = (
    web.get("/staff/webhooks", webhooks.endpoints),
    web.get("/staff/webhooks/new", webhooks.new_endpoint),
    web.post("/staff/webhooks", webhooks.create_endpoint),
    web.get("/staff/webhooks/{endpoint}", webhooks.endpoint_page),
    web.get("/staff/webhooks/{endpoint}/disable", webhooks.ask_disable),
    web.post("/staff/webhooks/{endpoint}/disable", webhooks.disable),
    web.post("/staff/webhooks/{endpoint}/enable", webhooks.enable),
    web.post("/staff/webhooks/{endpoint}/deliveries/{delivery}/send", webhooks.send_again),
)
NEW: dict[str, Any] = {"name": "考试服务", "url": "https://exam.example.org/hook", "topics": "hours.completed"}


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path)
    yield made
    await close_services(made)


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, ROUTES) as server:
        yield server


@pytest_asyncio.fixture
async def at(services: Services) -> int:
    return await school.add_institution(services, "示例")


@pytest_asyncio.fixture
async def owner(services: Services, server: TestServer, at: int) -> AsyncIterator[ClientSession]:
    async with browser_of(services, server, staff_id=await school.add_staff(services, at)) as browser:
        yield browser


async def get(browser: ClientSession, path: str, status: int = 200) -> str:
    async with browser.get(path) as reply:
        assert reply.status == status, path
        return await reply.text()


async def post(browser: ClientSession, path: str, csrf: str, status: int = 200, **fields: Any) -> str:
    async with browser.post(path, data={"csrf": csrf, **fields}) as reply:
        assert reply.status == status, (path, reply.status)
        return await reply.text()


async def test_a_receiver_is_added_and_its_secret_is_shown_once(
    services: Services, owner: ClientSession, at: int
) -> None:
    assert "还没有接收地址" in await get(owner, "/staff/webhooks")
    csrf = csrf_in(await get(owner, "/staff/webhooks/new"))
    for change, said in (
        ({"name": ""}, "请填写名称"),
        ({"url": "http://exam.example.org"}, "必须以 https:// 开头"),
        ({"url": "https://10.0.0.1/hook"}, "必须在公共互联网上，不能"),
        ({"url": "https://localhost/hook"}, "必须在公共互联网上，不能"),
        ({"url": "https://me:pw@exam.example.org"}, "不能包含用户名或密码"),
        ({"topics": "x"}, "请至少选择一种消息"),
    ):
        page = await post(owner, "/staff/webhooks", csrf, 422, **(NEW | change))
        assert said in page and 'role="alert"' in page
    # A script in a name stays text.
    shown = await post(owner, "/staff/webhooks", csrf, **(NEW | {"name": "<b>考试"}))
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", shown)
    async with services.db.read() as conn:
        row = (await conn.execute(select(webhook_endpoint))).one()
        actions = (await conn.scalars(select(audit.c.action).where(audit.c.institution_id == at))).all()
    assert secret == secret_of(services, row.secret_seed) and secret not in str(row)
    assert "webhook.add" in actions
    for page in (await get(owner, "/staff/webhooks"), await get(owner, f"/staff/webhooks/{row.id}")):
        assert "&lt;b&gt;考试" in page and "whsec_" not in page


async def test_deliveries_are_shown_sent_again_and_stopped(
    services: Services, owner: ClientSession, at: int
) -> None:
    csrf = csrf_in(await get(owner, "/staff/webhooks/new"))
    await post(owner, "/staff/webhooks", csrf, **NEW)
    learner_id = (await school.add_learner(services, at)).learner_id
    for topic in ("hours.credited", "hours.completed"):
        async with services.db.write() as conn:
            await emit(conn, topic, institution_id=at, learner_id=learner_id, data={}, now_ms=1_700_000_000_000)
    await place(services)
    page = await get(owner, "/staff/webhooks/1")
    assert page.count("2023-11-15 06:13") == 2 and "学时修满" in page and "学时入账" not in page
    assert "没有这种状态的消息" in await get(owner, "/staff/webhooks/1?state=given_up")
    async with services.db.write() as conn:
        await conn.execute(webhook_delivery.update().values(state="given_up", attempts=19, last_error="HTTP 500"))
    page = await get(owner, "/staff/webhooks/1?state=given_up&page=99")
    assert "HTTP 500" in page and "重新推送" in page
    assert "/staff/webhooks/1?state=given_up" in await get(owner, "/staff/webhooks")
    page = await post(owner, "/staff/webhooks/1/deliveries/1/send", csrf)
    assert "已安排重新推送" in page and "等待推送" in page
    await post(owner, "/staff/webhooks/1/deliveries/99/send", csrf, 404)
    assert "停用期间发生的事件不会补发" in await get(owner, "/staff/webhooks/1/disable")
    page = await post(owner, "/staff/webhooks/1/disable", csrf)
    assert "重新启用" in page and "未推送（已停用）" in page
    await post(owner, "/staff/webhooks/1/deliveries/1/send", csrf, 404)
    assert "停用推送" in await post(owner, "/staff/webhooks/1/enable", csrf)
    async with services.db.read() as conn:
        actions = (await conn.scalars(select(audit.c.action).where(audit.c.action.like("webhook.%")))).all()
    assert actions == ["webhook.add", "webhook.resend", "webhook.disable", "webhook.enable"]


async def test_another_institutions_receiver_is_as_good_as_none(
    services: Services, server: TestServer, owner: ClientSession
) -> None:
    csrf = csrf_in(await get(owner, "/staff/webhooks/new"))
    await post(owner, "/staff/webhooks", csrf, **NEW)
    other = await school.add_institution(services, "另一家")
    stranger_id = await school.add_staff(services, other, "stranger")
    async with browser_of(services, server, staff_id=stranger_id) as stranger:
        assert "exam.example.org" not in await get(stranger, "/staff/webhooks")
        token = csrf_in(await get(stranger, "/staff/webhooks/new"))
        for path in ("/staff/webhooks/1", "/staff/webhooks/9", "/staff/webhooks/x", "/staff/webhooks/1/disable"):
            await get(stranger, path, 404)
        for action in ("disable", "enable", "deliveries/1/send"):
            await post(stranger, f"/staff/webhooks/1/{action}", token, 404)
    for action in ("disable", "enable", "deliveries/1/send"):
        await post(owner, f"/staff/webhooks/1/{action}", "", 403)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_is_no_owner_is_kept_out(services: Services, server: TestServer, at: int) -> None:
    async with services.db.write() as conn:
        await conn.execute(
            insert(webhook_endpoint).values(
                kind="webhook", institution_id=at, name="n", url="u", topics="t", created_by="x", created_at=1
            )
        )
    for role in ("teacher", "auditor"):
        staff_id = await school.add_staff(services, at, role, role=role)
        async with browser_of(services, server, staff_id=staff_id) as browser:
            for path in ("/staff/webhooks", "/staff/webhooks/new", "/staff/webhooks/1"):
                await get(browser, path, 403)
