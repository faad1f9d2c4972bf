"""One learner's page: everything masked, own learners only, and each action with a reason and into the history."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import insert, select, update

from player_server.auth.login_sessions import Client, open_login
from player_server.auth.service_clients import ServiceClient
from player_server.learning.exam_results import Recorded, Result, record_result
from player_server.learning.people import create_learner
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.policy.id_number import check_character
from player_server.routes import ROUTES
from player_server.storage.clock import wall_ms
from player_server.storage.person_tables import staff_action
from player_server.storage.tables import audit, enrolment, learner, ledger_entry, login_session, phone, staff
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors

ID_NUMBER = "32019919900101123" + check_character("32019919900101123")
ADDRESS = "203.0.113.77"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The use cases are tested on both databases; their pages need one."""
    return sqlite_url


class Office:
    """An institution with one learner who has earned a video, its owner's browser, and the rows behind."""

    def __init__(self, services: Services, server: TestServer) -> None:
        self.services = services
        self.server = server
        self.pupil = school.Pupil(0, 0)
        self.institution_id = self.enrolment_id = self.entry_id = 0

    @property
    def path(self) -> str:
        return f"/staff/learners/{self.pupil.learner_id}"

    async def rows(self, query: object) -> list[object]:
        async with self.services.db.read() as conn:
            return list((await conn.scalars(query)).all())  # type: ignore[call-overload]

    async def staff(self, name: str, role: str, institution_id: int | None = None) -> int:
        staff_id = await school.add_staff(self.services, institution_id or self.institution_id, name)
        async with self.services.db.write() as conn:
            await conn.execute(update(staff).where(staff.c.id == staff_id).values(role=role))
        return staff_id


@pytest_asyncio.fixture
async def office(services: Services) -> AsyncIterator[Office]:
    async with open_doors(services, ROUTES) as server:
        office = Office(services, server)
        office.institution_id = await school.add_institution(services, "示例")
        lessons = await school.add_course(services, office.institution_id)
        async with services.db.write() as conn:
            new = await create_learner(
                services, conn, office.institution_id, name="欧阳震华", id_number=ID_NUMBER, class_name="一班"
            )
        office.pupil = school.Pupil(new.person_id, new.learner_id)
        office.enrolment_id = await school.add_enrolment(
            services, new.learner_id, lessons.course_id, deadline=wall_ms() + 86_400_000
        )
        await school.add_progress(services, new.learner_id, lessons.video_ids[1], 60_000, watched_at=1_000)
        await settle(services, new.learner_id, lessons.video_ids[1], 1)
        async with services.db.write() as conn:
            office.entry_id = int(await conn.scalar(select(ledger_entry.c.id)) or 0)
            await open_login(
                services,
                conn,
                person_id=new.person_id,
                learner_id=new.learner_id,
                staff_id=None,
                client=Client(ADDRESS, "Mozilla/5.0 (Windows NT 10.0) Chrome/130"),
            )
        yield office


@pytest_asyncio.fixture
async def desk(services: Services, office: Office) -> AsyncIterator[ClientSession]:
    async with browser_of(services, office.server, staff_id=await office.staff("owner", "owner")) as browser:
        yield browser


async def page(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def send(browser: ClientSession, path: str, **fields: str) -> tuple[int, str]:
    """Open the action's page, fill it in and send it; the status and where it led."""
    where = path + ("?" + "&".join(f"{key}={fields[key]}" for key in ("entry", "enrolment") if key in fields))
    _, asking = await page(browser, where)
    form = {"csrf": csrf_in(asking), "reason": "学员本人要求", "confirm": "yes"} | fields
    async with browser.post(path, data=form, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("Location", "") or await reply.text()


async def test_the_page_masks_who_it_is_and_its_reading_is_recorded(office: Office, desk: ClientSession) -> None:
    status, html = await page(desk, office.path)
    assert status == 200
    for secret in (ID_NUMBER, "欧阳震华", ADDRESS, "Mozilla/5.0"):
        assert secret not in html, secret
    for shown in ("320199********1231", "203.0.*.*", "Chrome · Windows", "第2讲", "0.5 学时已入账"):
        assert shown in html, shown
    read = select(audit.c.result).where(audit.c.action == "read_learner", audit.c.actor == "staff:1")
    assert await office.rows(read) == ["ok"]


async def test_every_action_asks_for_a_reason_and_a_tick_before_it_does_harm(
    office: Office, desk: ClientSession
) -> None:
    path = f"{office.path}/actions/disable"
    assert (await send(desk, path, reason="  \u0000\n "))[0] == 422
    assert (await send(desk, path, confirm=""))[0] == 422
    async with desk.post(path, data={"reason": "原因", "confirm": "yes"}) as forged:
        assert forged.status == 403
    assert await office.rows(select(learner.c.disabled_at)) == [None]
    assert await office.rows(select(staff_action.c.id)) == []


async def test_a_disabled_learner_is_logged_out_and_can_be_enabled_again(
    office: Office, desk: ClientSession
) -> None:
    status, where = await send(desk, f"{office.path}/actions/disable")
    assert (status, where) == (303, f"{office.path}?done=disable")
    left = select(login_session.c.token_hash).where(login_session.c.learner_id == office.pupil.learner_id)
    assert await office.rows(left) == []
    _, html = await page(desk, where)
    assert "账户已停用" in html and "学员本人要求" in html and "王老师" in html
    assert (await send(desk, f"{office.path}/actions/disable"))[0] == 422, "nothing is left to do"
    assert (await send(desk, f"{office.path}/actions/enable"))[0] == 303
    assert await office.rows(select(learner.c.disabled_at)) == [None]


async def test_a_deadline_only_moves_later(office: Office, desk: ClientSession) -> None:
    path = f"{office.path}/actions/deadline"
    fields = {"enrolment": str(office.enrolment_id)}
    before = await office.rows(select(enrolment.c.deadline))
    for day in ("", "nonsense", "2020-01-01", "9999-12-31"):
        assert (await send(desk, path, **fields, day=day))[0] == 422, day
    assert await office.rows(select(enrolment.c.deadline)) == before
    assert (await send(desk, path, **fields, day="2099-12-31"))[0] == 303
    _, html = await page(desk, office.path)
    assert "2099-12-31" in html
    assert (await page(desk, f"{path}?enrolment=999"))[0] == 404


async def test_a_credit_is_reversed_from_its_line_in_the_ledger(office: Office, desk: ClientSession) -> None:
    _, html = await page(desk, office.path)
    assert f"actions/reversal?entry={office.entry_id}" in html
    assert (await send(desk, f"{office.path}/actions/reversal", entry=str(office.entry_id)))[0] == 303
    assert await office.rows(select(ledger_entry.c.hours).order_by(ledger_entry.c.id)) == [50, -50]
    _, html = await page(desk, office.path)
    assert "已被冲销" in html and "第 2 轮" in html
    assert f"actions/reversal?entry={office.entry_id}" not in html


async def test_only_the_institution_of_the_first_account_unbinds_the_phone(
    services: Services, office: Office, desk: ClientSession
) -> None:
    async with services.db.write() as conn:
        await conn.execute(
            insert(phone).values(person_id=office.pupil.person_id, credential_hash="x", enrolled_at=1_000)
        )
        await conn.exec_driver_sql("UPDATE person SET password_hash = 'chosen'")
    second = await school.add_institution(services, "另一家")
    other = await school.add_learner(services, second, person_id=office.pupil.person_id)
    staff_id = await office.staff("second", "owner", second)
    async with browser_of(services, office.server, staff_id=staff_id) as browser:
        status, html = await send(browser, f"/staff/learners/{other.learner_id}/actions/phone")
        assert status == 422 and "另一家培训机构" in html
    assert await office.rows(select(phone.c.revoked_at)) == [None]
    assert (await send(desk, f"{office.path}/actions/phone"))[0] == 303
    assert await office.rows(select(phone.c.revoked_at)) != [None]


async def test_foreign_and_absent_learners_are_the_same_and_readers_change_nothing(
    services: Services, office: Office
) -> None:
    elsewhere = await school.add_institution(services, "另一家")
    foreign = await office.staff("foreign", "owner", elsewhere)
    async with browser_of(services, office.server, staff_id=foreign) as browser:
        for learner_id in (office.pupil.learner_id, 999_999, "x"):
            for path in ("", "/actions/note", "/actions/reversal?entry=1"):
                assert (await page(browser, f"/staff/learners/{learner_id}{path}"))[0] == 404
    auditor = await office.staff("auditor", "auditor")
    async with browser_of(services, office.server, staff_id=auditor) as browser:
        status, html = await page(browser, office.path)
        assert status == 200 and "/actions/" not in html
        assert (await page(browser, f"{office.path}/actions/note"))[0] == 403
    teacher = await office.staff("teacher", "teacher")
    async with browser_of(services, office.server, staff_id=teacher) as browser:
        assert (await page(browser, office.path))[0] == 404, "a class that is not the teacher's"


async def test_results_of_the_exam_stand_at_their_enrolment(office: Office, desk: ClientSession) -> None:
    client = ServiceClient("exam", office.institution_id)
    failed = Result(office.pupil.learner_id, "failed", score=4150)
    assert isinstance(await record_result(office.services, client, failed, "k", address=ADDRESS), Recorded)
    _, html = await page(desk, office.path)
    assert "41.5 分" in html and "未通过" in html
