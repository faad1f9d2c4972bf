"""The institution's page: only its own learners, masked, with their hours; and new initial secrets."""

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from player_server.auth.initial_secrets import initial_hash
from player_server.learning.people import create_learner
from player_server.learning.services import Services
from player_server.learning.staff import PAGE_SIZE
from player_server.learning.standing import follow_changes
from player_server.pages.staff import learners
from player_server.policy.id_number import check_character
from player_server.storage.tables import audit, person
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    path = "/staff/learners/{learner}/initial-secret"
    routes = [
        web.get("/staff/learners", learners.learners),
        web.get(path, learners.ask_initial_secret),
        web.post(path, learners.give_initial_secret),
    ]
    async with open_doors(services, routes) as opened:
        yield opened


@pytest_asyncio.fixture
async def at(services: Services) -> int:
    return await school.add_institution(services, "示例")


@pytest_asyncio.fixture
async def desk(services: Services, server: TestServer, at: int) -> AsyncIterator[ClientSession]:
    """The browser of a member of staff of `at`."""
    async with browser_of(services, server, staff_id=await school.add_staff(services, at)) as browser:
        yield browser


def number(serial: int) -> str:
    body = f"32019919900101{serial:03d}"
    return body + check_character(body)


async def bring_in(services: Services, institution_id: int, name: str, serial: int) -> tuple[int, str]:
    async with services.db.write() as conn:
        new = await create_learner(services, conn, institution_id, name=name, id_number=number(serial))
    return new.learner_id, number(serial)


async def page(desk: ClientSession, path: str, **query: str) -> tuple[int, str]:
    async with desk.get(path, params=query, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def test_a_learner_is_no_staff(services: Services, server: TestServer, at: int) -> None:
    pupil = await school.add_learner(services, at)
    async with browser_of(services, server, pupil) as browser:
        assert (await page(browser, "/staff/learners"))[0] == 303
        assert (await page(browser, f"/staff/learners/{pupil.learner_id}/initial-secret"))[0] == 303


async def test_the_list_has_own_learners_only_and_masked(services: Services, desk: ClientSession, at: int) -> None:
    learner_id, id_number = await bring_in(services, at, "欧阳震华", 1)
    other = await school.add_institution(services, "另一家")
    await bring_in(services, other, "司马南", 2)
    lessons = await school.add_course(services, at)
    await school.add_enrolment(services, learner_id, lessons.course_id)
    await school.add_entry(services, learner_id, lessons, lessons.video_ids[0], 100, institution_id=at)
    await school.add_progress(services, learner_id, lessons.video_ids[1], 5_000)
    assert await follow_changes(services)
    status, html = await page(desk, "/staff/learners")
    assert status == 200 and "共 1 人" in html
    assert "欧**" in html and "欧阳震华" not in html and "司" not in html
    assert id_number not in html and f"{id_number[:6]}********{id_number[-4:]}" in html
    assert "1 / 1.5" in html and "1970-01-01 08:00" in html


async def test_search_finds_names_and_last_digits(services: Services, desk: ClientSession, at: int) -> None:
    await bring_in(services, at, "张伟", 1)
    _, second = await bring_in(services, at, "李娜", 2)
    other = await school.add_institution(services, "另一家")
    await bring_in(services, other, "李强", 3)
    for query in ("李", second[-4:], second[-4:].lower()):
        _, html = await page(desk, "/staff/learners", q=query)
        assert "李*" in html and "张*" not in html and "共 1 人" in html, query
    for query in ("%", "_", "王", number(3)[-4:]):
        _, html = await page(desk, "/staff/learners", q=query)
        assert "没有找到学员" in html, query


async def test_pages_hold_fifty(services: Services, desk: ClientSession, at: int) -> None:
    for _ in range(PAGE_SIZE + 1):
        await school.add_learner(services, at)
    _, first = await page(desk, "/staff/learners")
    assert first.count('scope="row"') == PAGE_SIZE and "1 / 2" in first and 'rel="next"' in first
    for number_ in ("2", "99", "9" * 18):
        _, last = await page(desk, "/staff/learners", page=number_)
        assert last.count('scope="row"') == 1 and 'rel="next"' not in last
    for nonsense in ("0", "-1", "x", "9" * 30):
        assert (await page(desk, "/staff/learners", page=nonsense))[1].count('scope="row"') == PAGE_SIZE


async def test_a_new_initial_secret_is_shown_once_and_works(
    services: Services, desk: ClientSession, at: int
) -> None:
    learner_id, _ = await bring_in(services, at, "张伟", 1)
    path = f"/staff/learners/{learner_id}/initial-secret"
    _, asking = await page(desk, path)
    async with desk.post(path, data={"csrf": csrf_in(asking)}) as unconfirmed:
        assert unconfirmed.status == 422 and "请先核实" in await unconfirmed.text()
    async with desk.post(path, data={"csrf": csrf_in(asking), "confirm": "yes"}) as reply:
        assert reply.status == 200 and reply.headers["Cache-Control"] == "no-store"
        secret = (await reply.text()).split('<span class="code">')[1].split("<")[0]
    async with services.db.read() as conn:
        assert await conn.scalar(select(person.c.initial_hash)) == initial_hash(services.keys, secret)
        actions = [row.action for row in await conn.execute(select(audit.c.action))]
    assert "issue_initial_secret" in actions
    assert secret not in (await page(desk, path))[1]


async def test_no_secret_for_a_foreign_learner_or_without_the_forms_token(
    services: Services, desk: ClientSession, at: int
) -> None:
    own, _ = await bring_in(services, at, "张伟", 1)
    foreign, _ = await bring_in(services, await school.add_institution(services, "另一家"), "李娜", 2)
    async with services.db.read() as conn:
        before = (await conn.execute(select(person.c.id, person.c.initial_hash))).all()
    token = csrf_in((await page(desk, f"/staff/learners/{own}/initial-secret"))[1])
    for learner_id in (foreign, 999_999, "x"):
        path = f"/staff/learners/{learner_id}/initial-secret"
        assert (await page(desk, path))[0] == 404
        async with desk.post(path, data={"csrf": token, "confirm": "yes"}) as reply:
            assert reply.status == 404
    async with desk.post(f"/staff/learners/{own}/initial-secret", data={"confirm": "yes"}) as reply:
        assert reply.status == 403
    async with services.db.read() as conn:
        assert (await conn.execute(select(person.c.id, person.c.initial_hash))).all() == before
