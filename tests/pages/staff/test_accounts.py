"""Accounts of staff: opened by owners with a password that must be changed, never without an owner, own only."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import select, update

from player_server.auth.passwords import hash_password
from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.tables import audit, login_session, staff
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors

OWN_PASSWORD = "River!stone82"


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [each for each in ROUTES if each.path.startswith("/staff")]
    async with open_doors(services, routes) as opened:
        yield opened


@pytest_asyncio.fixture
async def at(services: Services) -> int:
    return await school.add_institution(services, "示例")


async def send(browser: ClientSession, path: str, page: str = "", **fields: str) -> tuple[int, str]:
    """Fill in the form of `page` (default: the same path) and hand it in; the last answer."""
    async with browser.get(page or path) as reply:
        token = csrf_in(await reply.text())
    async with browser.post(path, data={"csrf": token, **fields}) as reply:
        return reply.status, await reply.text()


def secret_in(html: str) -> str:
    return html.split('<span class="code">', 1)[1].split("<", 1)[0]


async def test_a_new_teacher_chooses_a_password_before_anything_else(
    services: Services, server: TestServer, at: int
) -> None:
    await school.add_learner(services, at, class_name="一班")
    await school.add_learner(services, at, class_name="二班")
    owner = await school.add_staff(services, at)
    async with browser_of(services, server, staff_id=owner) as browser:
        new = {"username": "chen.laoshi", "name": "陈老师", "role": "teacher", "classes": "一班\r\n\r\n 一班 "}
        status, html = await send(browser, "/staff/accounts/new", **new)
        assert status == 200
        secret = secret_in(html)
        status, again = await send(browser, "/staff/accounts/new", **new)
        assert status == 422 and "已被使用" in again
        async with browser.get("/staff/accounts") as reply:
            html = await reply.text()
            assert "陈老师" in html and "还未设置自己的密码" in html and secret not in html
    async with browser_of(services, server) as teacher:
        status, html = await send(teacher, "/staff/login", username="chen.laoshi", password=secret)
        assert status == 200 and "收到的初始密码" in html
        async with teacher.get("/staff/learners", allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (303, "/staff/password")
        for current, chosen in (
            ("wrong", OWN_PASSWORD),
            (secret, "Chen.Laoshi-82"),
            (secret, secret),
            (secret, "x"),
        ):
            status, html = await send(teacher, "/staff/password", current=current, new=chosen, repeat=chosen)
            assert status == 422, chosen
        status, html = await send(teacher, "/staff/password", current=secret, new=OWN_PASSWORD, repeat=OWN_PASSWORD)
        assert status == 200 and "共 1 人" in html and "审计记录" not in html
        for path in ("/staff/accounts", "/staff/audit", "/staff/institutions"):
            async with teacher.get(path) as reply:
                assert reply.status == 403 and "没有这里的权限" in await reply.text()
    async with services.db.read() as conn:
        refused = (await conn.execute(select(audit).where(audit.c.action == "refused"))).all()
    assert {row.result for row in refused} >= {"manage_staff", "read_audit"}


async def test_an_institution_keeps_an_owner_and_nobody_changes_the_own_role(
    services: Services, server: TestServer, at: int
) -> None:
    first, second = await school.add_staff(services, at, "a"), await school.add_staff(services, at, "b")
    change = {"name": "甲", "role": "auditor", "classes": ""}
    async with browser_of(services, server, staff_id=first) as browser:
        status, html = await send(browser, f"/staff/accounts/{first}", **change)
        assert status == 422 and "不能更改自己的角色" in html
        status, html = await send(
            browser, f"/staff/accounts/{first}/close", f"/staff/accounts/{first}", confirm="yes"
        )
        assert status == 422
        # The other one cannot log in any more, so only one is left.
        async with services.db.write() as conn:
            await conn.execute(update(staff).where(staff.c.id == first).values(role="owner"))
        status, html = await send(browser, f"/staff/accounts/{second}", **change)
        assert status == 200
        async with browser.get(f"/staff/accounts/{second}") as reply:
            assert re.search(r'value="auditor"[^>]* checked', await reply.text())
    async with services.db.read() as conn:
        roles = {row.id: row.role for row in await conn.execute(select(staff))}
    assert roles == {first: "owner", second: "auditor"}


async def test_closing_ends_log_ins_and_a_new_password_opens_again(
    services: Services, server: TestServer, at: int
) -> None:
    owner = await school.add_staff(services, at, "a")
    other = await school.add_staff(services, at, "b", role="auditor")
    async with services.db.write() as conn:
        known = await hash_password(OWN_PASSWORD)
        await conn.execute(update(staff).where(staff.c.id == other).values(password_hash=known))
    page = f"/staff/accounts/{other}"
    async with (
        browser_of(services, server, staff_id=owner) as browser,
        browser_of(services, server, staff_id=other) as theirs,
    ):
        status, html = await send(browser, f"{page}/close", page)
        assert status == 422 and (await theirs.get("/staff", allow_redirects=False)).status == 200
        status, _ = await send(browser, f"{page}/close", page, confirm="yes")
        assert status == 200 and (await theirs.get("/staff", allow_redirects=False)).status == 303
        status, html = await send(theirs, "/staff/login", username="b", password=OWN_PASSWORD)
        assert status == 422
        status, html = await send(browser, f"{page}/password", page, confirm="yes")
        assert status == 200
        status, html = await send(theirs, "/staff/login", username="b", password=secret_in(html))
        assert status == 200 and "收到的初始密码" in html
    async with services.db.read() as conn:
        sessions = (await conn.scalars(select(login_session.c.staff_id))).all()
    assert sorted(each for each in sessions if each is not None) == [owner, other]


async def test_foreign_accounts_are_absent_and_roles_of_others_cannot_be_given(
    services: Services, server: TestServer, at: int
) -> None:
    owner = await school.add_staff(services, at, "a")
    foreign = await school.add_staff(services, await school.add_institution(services, "另一家"), "b")
    async with browser_of(services, server, staff_id=owner) as browser:
        async with browser.get("/staff/accounts/new") as reply:
            token = csrf_in(await reply.text())
        fields = {"csrf": token, "name": "x", "role": "owner", "confirm": "yes"}
        for path in (str(foreign), f"{foreign}/close", f"{foreign}/password", "999999", "x"):
            async with browser.post(f"/staff/accounts/{path}", data=fields) as reply:
                assert reply.status == 404, path
        for role in ("regulator", "admin", ""):
            status, _ = await send(browser, "/staff/accounts/new", username="new.one", name="x", role=role)
            assert status == 422
        async with browser.post("/staff/accounts/new", data={"username": "new.one"}) as reply:
            assert reply.status == 403
    async with services.db.read() as conn:
        assert len((await conn.execute(select(staff.c.id))).all()) == 2
