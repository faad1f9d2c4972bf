"""Videos: withdrawn and restored with a reason, keys corrected by the owner only, foreign ones absent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, FormData
from aiohttp.test_utils import TestServer
from sqlalchemy import update

from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.job_tables import job
from player_server.storage.person_tables import staff_action
from player_server.storage.progress import video_progress
from player_server.storage.tables import audit, staff, video
from tests.support import school
from tests.support.clips import make_clip
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


async def upload(browser: ClientSession, path: str, content: bytes, **fields: str) -> tuple[int, str]:
    _, html = await page(browser, path)
    form = FormData()
    for key, value in ({"csrf": csrf_in(html), "reason": "画质太差", "confirm": "yes"} | fields).items():
        form.add_field(key, value)
    form.add_field("file", content, filename="新.mp4", content_type="video/mp4")
    async with browser.post(path, data=form, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("Location", "") or await reply.text()


async def test_a_replaced_file_is_for_those_who_start_now(
    services: Services, desk: Desk, office: ClientSession, tmp_path: Path
) -> None:
    clip = await asyncio.to_thread(make_clip, tmp_path / "new.mp4")
    content, number = clip.read_bytes(), desk.lessons.video_ids[0]
    started = await school.add_learner(services, desk.institution_id)
    await school.add_progress(services, started.learner_id, number, 20_000)
    path, before = f"{path_of(desk)}/file", (await desk.rows(video))[0].media_sha
    folder = services.settings.media_folder
    for wrong in ({"reason": ""}, {"confirm": ""}):
        assert (await upload(office, path, content, **wrong))[0] == 422
    assert (await upload(office, path, content, csrf="x"))[0] == 403
    status, html = await upload(office, path, b"no video at all" * 1000)
    assert status == 422 and "MP4" in html
    assert (await desk.rows(video))[0].media_sha == before
    assert [each.name for each in folder.iterdir()] == [], "nothing of what was refused is kept"
    assert await upload(office, path, content) == (303, f"{path_of(desk)}?done=file")
    after = (await desk.rows(video))[0].media_sha
    assert after != before and [each.name for each in folder.iterdir()] == [f"{after}.mp4"]
    assert (await upload(office, path, content))[0] == 422, "the same file again"
    async with services.db.read() as conn:
        old = await video_progress(conn, started.learner_id, number)
        new = await video_progress(conn, desk.pupil.learner_id, number)
    assert old is not None and old.media_sha == before and old.frontier_ms == 20_000
    assert new is not None and new.media_sha == after
    assert [row.action for row in await desk.rows(staff_action)] == ["replace_video"]
