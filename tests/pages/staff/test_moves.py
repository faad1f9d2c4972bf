"""Moves through the pages: offered on the learner's page, taken or ended by those who may, absent for others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import update

from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.person_tables import move
from player_server.storage.tables import audit, staff
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.staff_desk import open_desk


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The use cases are tested on both databases; their pages need one."""
    return sqlite_url


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, ROUTES) as opened:
        yield opened


async def page(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def send(browser: ClientSession, path: str, **fields: str) -> int:
    _, html = await page(browser, path)
    form = {"csrf": csrf_in(html), "reason": "迁居", "confirm": "yes"} | fields
    async with browser.post(path, data=form, allow_redirects=False) as reply:
        return reply.status


async def test_a_move_is_offered_and_taken_by_those_who_may(services: Services, server: TestServer) -> None:
    old, new, third = [await open_desk(services, name) for name in ("原机构", "新机构", "第三家")]
    async with services.db.write() as conn:
        await conn.execute(update(staff).values(role="owner"))
    path = f"/staff/learners/{old.pupil.learner_id}/actions/move"
    async with (
        browser_of(services, server, staff_id=old.staff_id) as giving,
        browser_of(services, server, staff_id=new.staff_id) as taking,
        browser_of(services, server, staff_id=third.staff_id) as stranger,
    ):
        assert await send(giving, path, institution="没有这家") == 422
        assert await send(giving, path, institution="新机构") == 303
        [offered] = await old.rows(move)
        take, end = (f"/staff/moves/{offered.id}/{action}" for action in ("take", "end"))
        for where in (take, end, f"/staff/moves/{offered.id}/burn", "/staff/moves/999/take"):
            assert (await page(stranger, where))[0] == 404
        assert "没有转入或转出" in (await page(stranger, "/staff/moves"))[1]
        assert (await page(giving, take))[0] == 404, "who offers cannot take"
        teacher = await school.add_staff(services, new.institution_id, "teacher")
        async with services.db.write() as conn:
            await conn.execute(update(staff).where(staff.c.id == teacher).values(role="teacher"))
        async with browser_of(services, server, staff_id=teacher) as reader:
            assert (await page(reader, take))[0] == 403
        assert take in (await page(taking, "/staff/moves"))[1]
        assert await send(taking, take, reason=" ") == 422 and await send(taking, take, confirm="") == 422
        assert await send(taking, take) == 303
        assert "已接收" in (await page(giving, "/staff/moves"))[1]
        assert (await old.rows(move))[0].state == "taken"
    assert {"list_moves", "offer_move", "take_move"} <= {row.action for row in await old.rows(audit)}
