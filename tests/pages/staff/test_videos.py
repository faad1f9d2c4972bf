"""Videos: withdrawn and restored with a reason, keys corrected by the owner only, foreign ones absent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import update

from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.job_tables import job
from player_server.storage.person_tables import staff_action
from player_server.storage.tables import audit, staff, video
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.quizzes import add_quiz
from tests.support.staff_desk import Desk, open_desk

KEY = {"q1": "2", "q2": "0", "q3": "0", "q4": "1"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The use cases are tested on both databases; their pages need one."""
    return sqlite_url


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, ROUTES) as opened:
        yield opened


@pytest_asyncio.fixture
async def desk(services: Services) -> Desk:
    desk = await open_desk(services)
    await add_quiz(services, desk.lessons.video_ids[0])
    async with services.db.write() as conn:
        await conn.execute(update(staff).values(role="owner"))
    return desk


@pytest_asyncio.fixture
async def office(services: Services, server: TestServer, desk: Desk) -> AsyncIterator[ClientSession]:
    async with browser_of(services, server, staff_id=desk.staff_id) as browser:
        yield browser


def path_of(desk: Desk) -> str:
    return f"/staff/videos/{desk.lessons.video_ids[0]}"


async def page(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def send(browser: ClientSession, path: str, **fields: str | list[str]) -> tuple[int, str]:
    _, html = await page(browser, path)
    form = {"csrf": csrf_in(html), "reason": "原因", "confirm": "yes"} | fields
    pairs = [(key, each) for key, value in form.items() for each in ([value] if isinstance(value, str) else value)]
    async with browser.post(path, data=pairs, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("Location", "")


async def test_a_video_is_withdrawn_and_restored_with_a_reason(desk: Desk, office: ClientSession) -> None:
    path = path_of(desk)
    assert (await send(office, f"{path}/actions/withdraw", reason=" "))[0] == 422
    assert (await send(office, f"{path}/actions/withdraw", confirm=""))[0] == 422
    assert (await desk.rows(video))[0].withdrawn_at is None
    assert await send(office, f"{path}/actions/withdraw") == (303, f"{path}?done=withdraw")
    assert "已下架" in (await page(office, "/staff/videos"))[1]
    assert (await send(office, f"{path}/actions/withdraw"))[0] == 422
    assert (await send(office, f"{path}/actions/restore"))[0] == 303
    assert (await desk.rows(video))[0].withdrawn_at is None
    assert [row.action for row in await desk.rows(staff_action)] == ["withdraw_video", "restore_video"]


async def test_a_corrected_key_leads_to_the_job_that_grades_again(desk: Desk, office: ClientSession) -> None:
    path = f"{path_of(desk)}/answers"
    before = (await desk.rows(video))[0].quiz_sha
    for wrong in ({"q1": ""}, {"q1": ["0", "1"]}, {"q1": "9"}, {"reason": ""}, {"confirm": ""}):
        assert (await send(office, path, **(KEY | wrong)))[0] == 422, wrong
    assert (await desk.rows(video))[0].quiz_sha == before and await desk.rows(job) == []
    status, where = await send(office, path, **KEY)
    [asked] = await desk.rows(job)
    assert (status, where) == (303, f"/staff/jobs/{asked.id}")
    assert (await page(office, where))[0] == 200
    assert (await desk.rows(video))[0].quiz_sha != before
    assert "read_answer_key" in [row.action for row in await desk.rows(audit)]


async def test_right_answers_are_for_the_owner_only_and_foreign_videos_absent(
    services: Services, server: TestServer, desk: Desk
) -> None:
    path = path_of(desk)
    for role in ("teacher", "auditor"):
        staff_id = await school.add_staff(services, desk.institution_id, role)
        async with services.db.write() as conn:
            await conn.execute(update(staff).where(staff.c.id == staff_id).values(role=role))
        async with browser_of(services, server, staff_id=staff_id) as browser:
            status, html = await page(browser, path)
            assert status == 200 and "/answers" not in html
            assert (await page(browser, f"{path}/answers"))[0] == 403
            assert (await page(browser, f"{path}/actions/withdraw"))[0] == 403
    other = await open_desk(services, "另一家")
    async with services.db.write() as conn:
        await conn.execute(update(staff).where(staff.c.id == other.staff_id).values(role="owner"))
    async with browser_of(services, server, staff_id=other.staff_id) as foreign:
        for number in (desk.lessons.video_ids[0], 999, "x"):
            for below in ("", "/answers", "/actions/withdraw", "/actions/burn"):
                assert (await page(foreign, f"/staff/videos/{number}{below}"))[0] == 404
