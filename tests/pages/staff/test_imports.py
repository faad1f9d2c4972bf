"""The way of a sheet through the doors: upload, progress, preview, confirmation, secrets; and who may not."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from python_calamine import CalamineWorkbook
from sqlalchemy import func, select

from player_server.learning.services import Services
from player_server.policy.sheets import KINDS
from player_server.routes import ROUTES
from player_server.storage.job_tables import stored_file
from player_server.storage.tables import audit, learner, person
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.processes import until
from tests.support.sheets import as_xlsx, headings
from tests.support.sheets import learner as row_of
from workers.runner import Runner

OURS = ("/staff/imports", "/staff/jobs")


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [each for each in ROUTES if each.path.startswith(OURS)]
    async with open_doors(services, routes) as opened:
        yield opened


@pytest_asyncio.fixture
async def at(services: Services) -> int:
    institution_id = await school.add_institution(services, "甲校")
    await school.add_course(services, institution_id)
    return institution_id


@pytest_asyncio.fixture
async def desk(services: Services, server: TestServer, at: int) -> AsyncIterator[ClientSession]:
    async with browser_of(services, server, staff_id=await school.add_staff(services, at)) as browser:
        yield browser


@asynccontextmanager
async def worker(services: Services) -> AsyncIterator[None]:
    running = asyncio.create_task(Runner(services, sweep_s=0.05).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def text_of(browser: ClientSession, path: str) -> str:
    async with browser.get(path) as reply:
        assert reply.status == 200, path
        return await reply.text()


async def upload(browser: ClientSession, content: bytes, *, token: str | None = None) -> tuple[int, str]:
    """Status and where it leads to."""
    if token is None:
        token = csrf_in(await text_of(browser, "/staff/imports"))
    form = aiohttp.FormData()
    form.add_field("csrf", token)
    form.add_field("kind", "learners")
    form.add_field("file", content, filename="名册.xlsx", content_type="application/octet-stream")
    async with browser.post("/staff/imports", data=form, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("Location", "")


async def followed(browser: ClientSession, job: str) -> str:
    """The page that the finished job leads to."""

    async def page() -> str:
        async with browser.get(f"{job}.json") as reply:
            view = await reply.json()
            return str(view["page"] or "") if view["over"] else ""

    found = await until(page)
    return str(found)


async def press(browser: ClientSession, page: str, action: str, **fields: str) -> tuple[int, str, str]:
    token = csrf_in(await text_of(browser, page))
    data = {"csrf": token, **fields}
    async with browser.post(page + action, data=data, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("Location", ""), await reply.text()


async def test_a_roster_from_upload_to_the_printed_secrets(services: Services, desk: ClientSession) -> None:
    bad = as_xlsx(headings("learners"), row_of(0), row_of(1, id_number="320199197001010011"))
    good = as_xlsx(headings("learners"), row_of(0), row_of(1))
    async with worker(services):
        status, job = await upload(desk, bad)
        assert status == 303 and "进度" in await text_of(desk, job)
        html = await text_of(desk, await followed(desk, job))
        assert "表格中有 1 处错误" in html and "校验位不正确" in html and "确认导入" not in html
        _, job = await upload(desk, good)
        page = await followed(desk, job)
        html = await text_of(desk, page)
        assert "检查通过" in html and row_of(0)[1] not in html and row_of(0)[0] not in html
        status, job, _ = await press(desk, page, "/confirm")
        assert status == 303 and await followed(desk, job) == page
    status, _, sheet = await press(desk, page, "/secrets")
    assert status == 200 and len(re.findall(r'<span class="code">[0-9A-Z-]{19}</span>', sheet)) == 2
    assert (await press(desk, page, "/secrets"))[0] == 422
    assert (await press(desk, page, "/secrets", again="yes"))[0] == 200
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).where(person.c.initial_hash.is_not(None))) == 2
        done = [row.action for row in await conn.execute(select(audit.c.action).order_by(audit.c.id))]
    assert done == [
        "upload_import",
        "upload_import",
        "confirm_import",
        "import_learners",
        "print_initial_secrets",
        "print_initial_secrets",
    ]


async def test_foreign_imports_and_jobs_are_as_absent_as_absent_ones(
    services: Services, server: TestServer, desk: ClientSession, at: int
) -> None:
    async with worker(services):
        _, job = await upload(desk, as_xlsx(headings("learners"), row_of(0)))
        page = await followed(desk, job)
    other = await school.add_staff(services, await school.add_institution(services, "乙校"), "other")
    colleague = await school.add_staff(services, at, "colleague")
    async with browser_of(services, server, staff_id=other) as foreign:
        token = csrf_in(await text_of(foreign, "/staff/imports"))
        for path in (page, job, f"{job}.json", "/staff/imports/999", "/staff/imports/x", "/staff/jobs/absent"):
            async with foreign.get(path) as reply:
                assert reply.status == 404, path
        for action in (f"{page}/confirm", f"{page}/discard", f"{page}/secrets", f"{job}/cancel"):
            async with foreign.post(action, data={"csrf": token}) as reply:
                assert reply.status == 404, action
        assert page not in await text_of(foreign, "/staff/imports")
    # A colleague sees the institution's imports, but a job is whose it is.
    async with browser_of(services, server, staff_id=colleague) as near:
        assert "等待确认" in await text_of(near, page)
        async with near.get(job) as reply:
            assert reply.status == 404
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(learner)) == 0


@pytest.mark.parametrize("role", ["teacher", "auditor", "regulator"])
async def test_who_may_not_import_gets_no_page_and_no_file_is_kept(
    services: Services, server: TestServer, at: int, role: str
) -> None:
    staff_id = await school.add_staff(services, None if role == "regulator" else at, role, role=role)
    async with browser_of(services, server, staff_id=staff_id) as browser:
        for path in ("/staff/imports", "/staff/imports/1", "/staff/imports/template/learners"):
            async with browser.get(path) as reply:
                assert reply.status == 403, path
        assert (await upload(browser, b"x", token="x"))[0] == 403
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(stored_file)) == 0


async def test_an_upload_needs_the_forms_token_before_its_first_byte_is_kept(
    services: Services, desk: ClientSession
) -> None:
    assert (await upload(desk, b"x" * 1000, token="wrong"))[0] == 403
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="a.csv")
    async with desk.post("/staff/imports", data=form) as reply:
        assert reply.status == 403
    too_large = services.settings.imports.largest_mb * 1024 * 1024 + 1
    assert (await upload(desk, bytes(too_large)))[0] == 413
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(stored_file)) == 0


async def test_the_templates_have_the_headings_that_are_understood(desk: ClientSession) -> None:
    for kind in KINDS:
        async with desk.get(f"/staff/imports/template/{kind}") as reply:
            assert reply.status == 200
            book = CalamineWorkbook.from_filelike(io.BytesIO(await reply.read()))
        first = book.get_sheet_by_index(0).to_python()
        assert [str(each).removesuffix("*") for each in first[0]] == headings(kind) and len(first) == 1
    async with desk.get("/staff/imports/template/other") as reply:
        assert reply.status == 404


async def test_a_waiting_job_can_be_cancelled_and_an_applying_one_not(
    services: Services, desk: ClientSession
) -> None:
    _, job = await upload(desk, as_xlsx(headings("learners"), row_of(0)))
    assert (await press(desk, job, "/cancel"))[:2] == (303, job)
    assert "已取消" in await text_of(desk, job)
    async with worker(services):
        _, job = await upload(desk, as_xlsx(headings("learners"), row_of(0)))
        page = await followed(desk, job)
    _, applying, _ = await press(desk, page, "/confirm")
    assert (await press(desk, applying, "/cancel"))[0] == 403
