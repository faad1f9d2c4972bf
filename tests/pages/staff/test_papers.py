"""The institution's papers at the doors: exports, the call list, the class report; each role and each tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select, update

from player_server.learning.services import Services
from player_server.pages import electives, home
from player_server.pages.staff import calls, classes, exports
from player_server.storage.clock import wall_ms
from player_server.storage.job_tables import job
from player_server.storage.tables import learner
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors

CLASS = "2026/一班 #1"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What these doors read is tested on both databases in tests/learning."""
    return sqlite_url


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [
        web.get("/", home.home),
        web.get("/electives", electives.electives),
        web.get("/staff/exports", exports.exports),
        web.post("/staff/exports", exports.ask_export),
        web.post("/staff/exports/registry", exports.ask_registry),
        web.get("/staff/calls", calls.calls),
        web.get("/staff/classes", classes.class_list),
        web.get("/staff/classes/{name}/report", classes.report),
    ]
    async with open_doors(services, routes) as opened:
        yield opened


async def jobs_waiting(services: Services) -> int:
    async with services.db.read() as conn:
        return int(await conn.scalar(select(func.count()).select_from(job)) or 0)


async def pupil_of_class(services: Services, at: int, name: str) -> school.Pupil:
    pupil = await school.add_learner(services, at, name=name)
    lessons = await school.add_course(services, at, f"课程 {pupil.learner_id}", hours=(3200,))
    await school.add_enrolment(
        services,
        pupil.learner_id,
        lessons.course_id,
        programme="re-issue",
        deadline=wall_ms() + 5 * 86_400_000,
    )
    async with services.db.write() as conn:
        await conn.execute(update(learner).where(learner.c.id == pupil.learner_id).values(class_name=CLASS))
    return pupil


async def test_an_export_needs_the_form_and_whole_ids_the_right(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    for role, ids, status in (
        ("owner", "yes", 303),
        ("auditor", "", 303),
        ("auditor", "yes", 403),
        ("teacher", "yes", 403),
    ):
        staff_id = await school.add_staff(services, at, f"{role}{ids}", role=role)
        async with browser_of(services, server, staff_id=staff_id) as browser:
            async with browser.get("/staff/exports?class=一班&state=behind") as reply:
                html = await reply.text()
            assert 'value="一班"' in html and ("whole_ids" in html) == (role == "owner")
            data = {"csrf": csrf_in(html), "export": "progress", "whole_ids": ids, "format": "csv"}
            async with browser.post("/staff/exports", data=data, allow_redirects=False) as reply:
                assert reply.status == status, role
                assert status != 303 or reply.headers["Location"].startswith("/staff/jobs/")
            before = await jobs_waiting(services)
            for bad in ({"csrf": "x"}, {"export": "everything"}, {"from": "2026-99-99"}, {"to": "x"}):
                async with browser.post("/staff/exports", data=data | bad, allow_redirects=False) as reply:
                    assert reply.status in (403, 422)
            assert await jobs_waiting(services) == before


async def test_a_batch_is_the_owners_and_must_be_confirmed(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    path = "/staff/exports/registry"
    auditor = await school.add_staff(services, at, "auditor", role="auditor")
    async with browser_of(services, server, staff_id=auditor) as browser:
        async with browser.get("/staff/exports") as reply:
            html = await reply.text()
        assert "生成下一批" not in html
        data = {"csrf": csrf_in(html), "confirm": "yes"}
        async with browser.post(path, data=data, allow_redirects=False) as reply:
            assert reply.status == 403
    async with browser_of(services, server, staff_id=await school.add_staff(services, at)) as browser:
        async with browser.get("/staff/exports") as reply:
            token = csrf_in(await reply.text())
        for data, status in (({}, 422), ({"confirm": "yes"}, 303), ({"batch": "99"}, 404), ({"batch": "x"}, 404)):
            async with browser.post(path, data=data | {"csrf": token}, allow_redirects=False) as reply:
                assert reply.status == status, data


async def test_the_class_report_has_everybody_by_name_and_nobody_foreign(
    services: Services, server: TestServer
) -> None:
    at = await school.add_institution(services, "示例")
    other = await school.add_institution(services, "另一家")
    await pupil_of_class(services, at, "欧阳震华")
    await pupil_of_class(services, other, "司马南")
    path = classes.report_url(CLASS)
    async with browser_of(services, server, staff_id=await school.add_staff(services, at)) as browser:
        async with browser.get("/staff/classes") as reply:
            assert path in await reply.text()
        async with browser.get(path) as reply:
            html = await reply.text()
        assert reply.status == 200 and "欧阳震华" in html and "司马南" not in html and "0 / 32" in html
        async with browser.get(classes.report_url("没有这个班")) as reply:
            assert reply.status == 404
    teacher = await school.add_staff(services, at, "teacher", role="teacher", classes=("别的班",))
    async with browser_of(services, server, staff_id=teacher) as browser, browser.get(path) as reply:
        assert reply.status == 404


async def test_calls_are_for_those_who_may_act(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await pupil_of_class(services, at, "欧阳震华")
    for role, status in (("owner", 200), ("auditor", 403)):
        staff_id = await school.add_staff(services, at, role, role=role)
        asked = "/staff/calls?after=nonsense"
        async with browser_of(services, server, staff_id=staff_id) as browser, browser.get(asked) as reply:
            assert reply.status == status and ("欧阳震华" in await reply.text()) == (status == 200)
    async with browser_of(services, server, pupil) as browser:
        async with browser.get("/") as reply:
            assert "还差 32 学时" in await reply.text()
        async with browser.get("/electives") as reply:
            assert "现在没有可选的课程" in await reply.text()
