"""An appeal's way: objected to where it is shown, answered beside its evidence, the answer read by the learner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import insert, select, update

from player_server.learning.appeals import stretch_subject
from player_server.learning.services import Services
from player_server.pages.staff.appeals import hours_of
from player_server.routes import ROUTES
from player_server.storage.clock import wall_ms
from player_server.storage.person_tables import appeal
from player_server.storage.tables import ledger_entry, staff, watch_segment
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.staff_desk import Desk, open_desk


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
    async with services.db.write() as conn:
        await conn.execute(update(staff).values(role="owner"))
        await conn.execute(
            insert(watch_segment).values(
                session_id="s",
                number=1,
                learner_id=desk.pupil.learner_id,
                video_id=desk.video_id,
                round=1,
                from_ms=0,
                to_ms=20_000,
                started_at=wall_ms() - 60_000,
                ended_at=wall_ms() - 40_000,
                reason="lost",
            )
        )
    return desk


async def subject_of(desk: Desk) -> str:
    return stretch_subject((await desk.rows(watch_segment))[0].id)


async def page(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def send(browser: ClientSession, path: str, asking: str, **fields: str) -> int:
    _, html = await page(browser, asking)
    async with browser.post(path, data={"csrf": csrf_in(html)} | fields, allow_redirects=False) as reply:
        return reply.status


async def test_an_appeal_goes_from_the_record_to_the_staff_and_its_answer_back(
    services: Services, server: TestServer, desk: Desk
) -> None:
    subject = await subject_of(desk)
    asking = f"/records/appeal?about={quote(subject)}"
    async with (
        browser_of(services, server, desk.pupil) as learner,
        browser_of(services, server, staff_id=desk.staff_id) as office,
    ):
        assert f'href="{asking}"' in (await page(learner, "/records"))[1]
        assert await send(learner, "/records/appeal", asking, about=subject, words=" \n ") == 422
        assert await send(learner, "/records/appeal", asking, about=subject, words="<b>一直在看</b>\u0000") == 303
        assert await send(learner, "/records/appeal", asking, about=subject, words="再说一次") == 303
        _, mine = await page(learner, "/records")
        assert "等待答复" in mine and "&lt;b&gt;一直在看&lt;/b&gt;" in mine and "再说一次" not in mine
        [row] = await desk.rows(appeal)
        _, listed = await page(office, "/staff/appeals")
        assert f"/staff/appeals/{row.id}" in listed and "1 条等待答复" in listed
        path = f"/staff/appeals/{row.id}"
        _, html = await page(office, path)
        assert "申诉的这一段" in html and "还能补记 0.5" in html
        for wrong in (
            {"decision": "", "answer": "好"},
            {"decision": "accept", "answer": ""},
            {"decision": "accept", "answer": "好", "hours": "0.501"},
            {"decision": "accept", "answer": "好", "hours": "0.51"},
            {"decision": "accept", "answer": "好", "hours": "-1"},
        ):
            assert await send(office, path, path, **wrong) == 422, wrong
        assert (await desk.rows(ledger_entry)) == []
        assert await send(office, path, path, decision="accept", answer="已核实，补记", hours="0.5") == 303
        assert await send(office, path, "/staff/appeals", decision="decline", answer="不行") == 422
        _, mine = await page(learner, "/records")
        assert "已采纳" in mine and "已核实，补记" in mine and "学时已补记" in mine
        assert "申诉补记" in (await page(office, f"/staff/learners/{desk.pupil.learner_id}"))[1]
    assert [each.hours for each in await desk.rows(ledger_entry)] == [50]


async def test_foreign_appeals_are_absent_and_readers_cannot_answer(
    services: Services, server: TestServer, desk: Desk
) -> None:
    subject = await subject_of(desk)
    asking = f"/records/appeal?about={quote(subject)}"
    other = await open_desk(services, "另一家")
    async with browser_of(services, server, other.pupil) as stranger:
        assert (await page(stranger, asking))[0] == 404
        assert await send(stranger, "/records/appeal", "/records", about=subject, words="我的") == 404
    async with browser_of(services, server, desk.pupil) as learner:
        assert await send(learner, "/records/appeal", asking, about=subject, words="一直在看") == 303
        async with learner.post("/records/appeal", data={"about": subject, "words": "x"}) as forged:
            assert forged.status == 403
    async with services.db.write() as conn:
        await conn.execute(update(staff).where(staff.c.id == other.staff_id).values(role="owner"))
        number = await conn.scalar(select(appeal.c.id))
    async with browser_of(services, server, staff_id=other.staff_id) as foreign:
        for path in (f"/staff/appeals/{number}", "/staff/appeals/999", "/staff/appeals/x"):
            assert (await page(foreign, path))[0] == 404
            assert await send(foreign, path, "/staff/appeals", decision="decline", answer="x") == 404
        assert "没有等待答复的申诉" in (await page(foreign, "/staff/appeals"))[1]
    auditor = await school.add_staff(services, desk.institution_id, "auditor")
    async with services.db.write() as conn:
        await conn.execute(update(staff).where(staff.c.id == auditor).values(role="auditor"))
    async with browser_of(services, server, staff_id=auditor) as reader:
        status, html = await page(reader, f"/staff/appeals/{number}")
        assert status == 200 and "<textarea" not in html
        assert (
            await send(reader, f"/staff/appeals/{number}", "/staff/appeals", decision="accept", answer="x") == 403
        )


@pytest.mark.parametrize(
    ("typed", "hundredths"),
    [
        ("1", 100),
        ("0.5", 50),
        ("12.25", 1225),
        ("1.", None),
        (".5", None),
        ("-1", None),
        ("1e3", None),
        ("٣", None),
    ],
)
def test_hours_are_typed_as_decimals(typed: str, hundredths: int | None) -> None:
    assert hours_of(typed) == hundredths
