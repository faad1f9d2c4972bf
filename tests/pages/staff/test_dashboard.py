"""The staff's first page: figures of the own scope, each leading to its people, charts, who watches now."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from player_server.learning.services import Services
from player_server.learning.standing import follow_changes
from player_server.policy.findings import DAY_MS
from player_server.routes import ROUTES
from player_server.storage.clock import wall_ms
from player_server.storage.session_lock import lock_key
from player_server.storage.tables import audit
from tests.support import school
from tests.support.doors import browser_of, open_doors

CLASSES = ("一班", "一班", "二班")


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [each for each in ROUTES if each.path.startswith("/staff")]
    async with open_doors(services, routes) as opened:
        yield opened


class School:
    """An institution with three learners of two classes, one of whom has an hour, and one foreign learner."""

    def __init__(self) -> None:
        self.at = 0
        self.pupils: list[school.Pupil] = []
        self.lessons = school.Lessons(0, ())
        self.foreign = school.Pupil(0, 0)


@pytest_asyncio.fixture
async def place(services: Services) -> School:
    made = School()
    made.at = await school.add_institution(services, "示例")
    made.lessons = await school.add_course(services, made.at)
    for class_name in CLASSES:
        pupil = await school.add_learner(services, made.at, class_name=class_name)
        made.pupils.append(pupil)
        await school.add_enrolment(
            services, pupil.learner_id, made.lessons.course_id, deadline=wall_ms() + 10 * DAY_MS
        )
    await school.add_entry(
        services,
        made.pupils[0].learner_id,
        made.lessons,
        made.lessons.video_ids[0],
        100,
        institution_id=made.at,
        occurred_at=wall_ms(),
    )
    other = await school.add_institution(services, "另一家")
    made.foreign = await school.add_learner(services, other, class_name="一班", name="司马南")
    while await follow_changes(services):
        pass
    return made


async def page(browser: ClientSession, path: str) -> str:
    async with browser.get(path) as reply:
        assert reply.status == 200, path
        return await reply.text()


async def test_every_figure_leads_to_as_many_people(services: Services, server: TestServer, place: School) -> None:
    staff_id = await school.add_staff(services, place.at)
    async with browser_of(services, server, staff_id=staff_id) as browser:
        html = await page(browser, "/staff")
        figures = re.findall(r'<a href="(/staff/learners\?[^"]+)">(?:<strong[^>]*>)?(\d+)<', html)
        assert len(figures) >= 8
        for address, count in figures:
            shown = await page(browser, address.replace("&amp;", "&"))
            assert f"共 {count} 人" in shown, (unquote(address), count)
        assert "共 3 人" in html and "司" not in html
    async with services.db.read() as conn:
        assert "read_dashboard" in (await conn.scalars(select(audit.c.action))).all()


async def test_a_teacher_sees_the_own_classes_only(services: Services, server: TestServer, place: School) -> None:
    teacher = await school.add_staff(services, place.at, "t", role="teacher", classes=("二班",))
    nobody = await school.add_staff(services, place.at, "n", role="teacher")
    async with browser_of(services, server, staff_id=teacher) as browser:
        html = await page(browser, "/staff")
        assert "共 1 人" in html and "一班" not in html and "二班" in html
        assert "共 1 人" in await page(browser, "/staff/learners")
        assert "共 0 人" in await page(browser, "/staff/learners?class=一班")
    async with browser_of(services, server, staff_id=nobody) as browser:
        assert "共 0 人" in await page(browser, "/staff")


async def test_a_regulator_sees_all_institutions_or_one(
    services: Services, server: TestServer, place: School
) -> None:
    regulator = await school.add_staff(services, None, "r", role="regulator")
    async with browser_of(services, server, staff_id=regulator) as browser:
        html = await page(browser, "/staff")
        assert "共 4 人" in html and "另一家" in html and "全部机构" in html
        choice = await page(browser, "/staff/institutions")
        # What belongs to one institution asks which one.
        assert await page(browser, "/staff/videos") == choice == await page(browser, "/staff/moves")
        token = choice.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        async with browser.post("/staff/institutions", data={"csrf": token, "institution": place.at}) as reply:
            html = await reply.text()
        assert "共 3 人" in html and "另一家" not in html and "正在查看：示例" in html
        # Reads everything, changes nothing.
        path = f"/staff/learners/{place.pupils[0].learner_id}/initial-secret"
        async with browser.post(path, data={"csrf": token, "confirm": "yes"}) as reply:
            assert reply.status == 403
    async with services.db.read() as conn:
        rows = (await conn.execute(select(audit).where(audit.c.action == "refused"))).all()
    assert [(row.actor, row.result) for row in rows] == [(f"staff:{regulator}", "act")]
    assert "{learner}" in rows[0].target


async def test_who_watches_now_needs_a_live_row_and_its_lock(
    services: Services, server: TestServer, place: School
) -> None:
    staff_id = await school.add_staff(services, place.at)
    for pupil in (*place.pupils[:2], place.foreign):
        await school.add_playback(services, pupil, place.lessons.video_ids[0], 1_000)
    for pupil in (place.pupils[0], place.foreign):
        await services.redis.hset(lock_key(pupil.person_id), "session", "s")
    async with (
        browser_of(services, server, staff_id=staff_id) as browser,
        browser.get("/staff/watching.json") as reply,
    ):
        found: dict[str, Any] = await reply.json()
    assert found["total"] == 1
    assert found["people"][0]["learner"] == place.pupils[0].learner_id
    assert found["people"][0]["name"] == "张**" and "安全生产" in found["people"][0]["what"]


async def test_charts_are_pictures_without_script(services: Services, server: TestServer, place: School) -> None:
    staff_id = await school.add_staff(services, place.at)
    async with browser_of(services, server, staff_id=staff_id) as browser:
        for name in ("hours", "groups", "courses"):
            drawn = await page(browser, f"/staff/charts/{name}.svg")
            assert drawn.startswith("<svg") and "<script" not in drawn and "<rect" in drawn
        async with browser.get("/staff/charts/other.svg") as reply:
            assert reply.status == 404


async def test_odd_addresses_and_names_break_nothing(services: Services, server: TestServer, place: School) -> None:
    staff_id = await school.add_staff(services, place.at)
    async with browser_of(services, server, staff_id=staff_id) as browser:
        for query in (
            "q=%00",
            "q=%ff%fe",
            "class=%00",
            "state=x",
            "course=99999999999999999999",
            "from=2026-02-30",
        ):
            await page(browser, f"/staff/learners?{query}")
        for sort in ("name", "hours", "deadline", "studied", "class", "x"):
            for order in ("", "desc"):
                assert "共 3 人" in await page(browser, f"/staff/learners?sort={sort}&order={order}")
        login = await page(browser, "/staff/password")
        token = login.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        for name in ("\0", "a\0b", "\ud83d"):
            fields = {"csrf": token, "username": name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
            async with browser.post("/staff/login", data={**fields, "password": "\0"}) as reply:
                assert reply.status == 422
