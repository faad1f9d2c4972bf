"""Certificates at the doors: who gets one, who may read it, what the public sees, and when it is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select, update

from player_server.learning.certificates import my_programmes
from player_server.learning.ledger_log import log_entries, sign_checkpoint
from player_server.learning.services import Services
from player_server.pages import certificates, home, hours
from player_server.pages.staff import certificates as staff_certificates
from player_server.storage.certificate_tables import certificate
from player_server.storage.clock import wall_ms
from player_server.storage.tables import audit, ledger_entry
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors

ID_NUMBER = "32010219900307001X"


@dataclass
class Finished:
    """A learner of the re-issue programme with 32 hours in one entry, and a browser of hers."""

    institution_id: int
    pupil: school.Pupil
    lessons: school.Lessons
    enrolment_id: int
    entry_id: int
    browser: ClientSession

    async def take(self) -> str:
        """Ask for the certificate; where the browser is sent."""
        async with self.browser.get("/") as page:
            token = csrf_in(await page.text())
        data = {"csrf": token, "enrolment": str(self.enrolment_id)}
        async with self.browser.post("/certificates", data=data, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()
            return reply.headers["Location"]


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [
        web.get("/", home.home),
        web.get("/hours", hours.hours),
        web.post("/certificates", certificates.take),
        web.get("/certificates/{number}", certificates.certificate),
        web.get("/verify", certificates.verify_form),
        web.get("/verify/{number}", certificates.verify_number),
        web.get("/verify/{number}/ledger.json", certificates.verify_proofs),
        web.get("/staff/certificates", staff_certificates.certificates),
        web.get("/staff/certificates/{number}", staff_certificates.certificate),
    ]
    async with open_doors(services, routes) as opened:
        yield opened


@pytest_asyncio.fixture
async def finished(services: Services, server: TestServer) -> AsyncIterator[Finished]:
    at = await school.add_institution(services, "示例学校")
    pupil = await school.add_learner(
        services, at, person_id=await school.add_person(services, "欧阳震华", ID_NUMBER)
    )
    lessons = await school.add_course(services, at, hours=(3200,))
    enrolment_id = await school.add_enrolment(services, pupil.learner_id, lessons.course_id, programme="re-issue")
    entry_id = await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        lessons.video_ids[0],
        3200,
        institution_id=at,
        occurred_at=wall_ms(),
    )
    async with browser_of(services, server, pupil) as browser:
        yield Finished(at, pupil, lessons, enrolment_id, entry_id, browser)


async def page(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path, allow_redirects=False) as reply:
        return reply.status, await reply.text()


async def reverse(services: Services, finished: Finished) -> None:
    await school.add_entry(
        services,
        finished.pupil.learner_id,
        finished.lessons,
        finished.lessons.video_ids[0],
        -3200,
        institution_id=finished.institution_id,
        entry_type="reversal",
        reverses=finished.entry_id,
        occurred_at=wall_ms(),
    )


async def test_the_finished_get_one_however_often_they_ask(services: Services, finished: Finished) -> None:
    assert "领取学时证明" in (await page(finished.browser, "/"))[1]
    where = await asyncio.gather(*(finished.take() for _ in range(4)))
    assert len(set(where)) == 1
    status, html = await page(finished.browser, where[0])
    assert status == 200 and "欧阳震华" in html and "320102********001X" in html and ID_NUMBER not in html
    assert "查看并打印" in (await page(finished.browser, "/"))[1]
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(certificate)) == 1
        issued = select(func.count()).select_from(audit).where(audit.c.action == "certificate.issue")
        assert await conn.scalar(issued) == 1


async def test_nobody_gets_one_before_everything_is_there(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例学校")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at, hours=(3199,))
    enrolment_id = await school.add_enrolment(services, pupil.learner_id, lessons.course_id, programme="re-issue")
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        lessons.video_ids[0],
        3199,
        institution_id=at,
        occurred_at=wall_ms(),
    )
    async with browser_of(services, server, pupil) as browser:
        html = (await page(browser, "/"))[1]
        assert "学时证明" not in html
        data = {"csrf": csrf_in(html), "enrolment": str(enrolment_id)}
        async with browser.post("/certificates", data=data, allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (303, "/hours")
        for foreign in (enrolment_id + 1, "x", ""):
            async with browser.post("/certificates", data=data | {"enrolment": str(foreign)}) as reply:
                assert reply.status == 404
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(certificate)) == 0


async def test_a_reversal_revokes_it_at_once_and_new_hours_give_a_new_one(
    services: Services, server: TestServer, finished: Finished
) -> None:
    path = await finished.take()
    number = path.rsplit("/", 1)[1]
    async with browser_of(services, server) as anybody:
        status, html = await page(anybody, f"/verify/{number}")
        assert status == 200 and "<strong>有效</strong>" in html
        await reverse(services, finished)
        status, html = await page(anybody, f"/verify/{number}")
        assert "<strong>无效</strong>" in html and "被冲销" in html
    assert "被冲销" in (await page(finished.browser, path))[1]
    (mine,) = await my_programmes(services, finished.pupil.learner_id)
    assert mine.current is None and not mine.may_issue
    await school.add_entry(
        services,
        finished.pupil.learner_id,
        finished.lessons,
        finished.lessons.video_ids[0],
        3200,
        institution_id=finished.institution_id,
        round=2,
        occurred_at=wall_ms(),
    )
    again = await finished.take()
    assert again != path and "被冲销" not in (await page(finished.browser, again))[1]
    assert "已失效" in (await page(finished.browser, "/"))[1]


async def test_the_public_page_shows_hours_and_only_a_masked_name(
    services: Services, server: TestServer, finished: Finished
) -> None:
    number = (await finished.take()).rsplit("/", 1)[1]
    async with browser_of(services, server) as anybody:
        status, html = await page(anybody, f"/verify/{number.lower().replace('-', '')}")
        assert status == 200 and "欧**" in html and "欧阳震华" not in html
        assert "320102" not in html and "示例学校" in html and "网络学习 32" in html
        async with anybody.get(f"/verify/{number}") as reply:
            assert "noindex" in reply.headers["X-Robots-Tag"]
        async with anybody.get("/verify", params={"number": number}, allow_redirects=False) as reply:
            assert reply.headers["Location"] == f"/verify/{number}"
        assert (await page(anybody, "/verify/" + "0" * 16))[0] == 404
        assert "这不是证明的编号" in (await page(anybody, "/verify/hello"))[1]


async def test_the_public_page_says_whether_its_hours_are_in_the_signed_ledger(
    services: Services, server: TestServer, finished: Finished
) -> None:
    number = (await finished.take()).rsplit("/", 1)[1]
    async with browser_of(services, server) as anybody:
        assert "有 0 条已在签名账本中" in (await page(anybody, f"/verify/{number}"))[1]
        await log_entries(services)
        await sign_checkpoint(services)
        assert "1 条学时都在签名账本中" in (await page(anybody, f"/verify/{number}"))[1]
        async with anybody.get(f"/verify/{number}/ledger.json") as reply:
            document = await reply.json()
        assert (document["valid"], document["covered"]) == (True, 1)
        (proof,) = document["proofs"]
        assert proof["entry"] == finished.entry_id and proof["leaf_hash"] == proof["checkpoint"]["root"]
        async with services.db.write() as conn:
            await conn.execute(update(ledger_entry).values(rule_version="other"))
        assert "与签名账本不一致" in (await page(anybody, f"/verify/{number}"))[1]
        for unknown in ("0" * 16, "hello"):
            async with anybody.get(f"/verify/{unknown}/ledger.json") as reply:
                assert reply.status == 404


async def test_who_tries_numbers_waits_ever_longer(server: TestServer, services: Services) -> None:
    async with browser_of(services, server) as anybody:
        assert (await page(anybody, "/verify/" + "0" * 16))[0] == 404
        tries = [asyncio.create_task(page(anybody, f"/verify/{serial:016d}")) for serial in range(1, 12)]
        refused = False
        try:
            for each in asyncio.as_completed(tries):
                if refused := (await each)[0] == 429:
                    break
            assert refused
        finally:
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)


async def test_only_the_owner_and_the_own_institution_read_it(
    services: Services, server: TestServer, finished: Finished
) -> None:
    path = await finished.take()
    other = await school.add_institution(services, "另一家")
    stranger = await school.add_learner(services, other)
    async with browser_of(services, server, stranger) as browser:
        assert (await page(browser, path))[0] == 404
    async with browser_of(services, server, staff_id=await school.add_staff(services, other, "other")) as browser:
        assert (await page(browser, f"/staff{path}"))[0] == 404
        assert "还没有学时证明" in (await page(browser, "/staff/certificates"))[1]
    own = await school.add_staff(services, finished.institution_id, "own", role="auditor")
    async with browser_of(services, server, staff_id=own) as browser:
        assert path.rsplit("/", 1)[1] in (await page(browser, "/staff/certificates"))[1]
        status, html = await page(browser, f"/staff{path}")
        assert status == 200 and "欧阳震华" in html
    async with services.db.read() as conn:
        read = select(audit.c.actor, audit.c.target).where(audit.c.action == "certificate.read")
        assert (await conn.execute(read)).all() == [(f"staff:{own}", f"learner:{finished.pupil.learner_id}")]
