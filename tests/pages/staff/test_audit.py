"""The audit for people: own institution only, filtered, paged by key, and reading it is written down."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import func, insert, select

from player_server.learning.audit_log import PAGE_SIZE
from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.tables import audit
from tests.support import school
from tests.support.doors import browser_of, open_doors

NOON = 1_795_147_200_000  # 2026-11-20 12:00 in China


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, [each for each in ROUTES if each.path.startswith("/staff")]) as opened:
        yield opened


async def write(services: Services, institution_id: int, count: int, **values: object) -> None:
    row = {"actor": "system", "action": "note", "result": "ok", "at": NOON, "target": "x"} | values
    async with services.db.write() as conn:
        await conn.execute(insert(audit), [{**row, "institution_id": institution_id} for _ in range(count)])


async def lines(browser: ClientSession, path: str) -> tuple[int, str]:
    async with browser.get(path) as reply:
        assert reply.status == 200
        html = await reply.text()
    return html.count('<td class="nowrap num-left">'), html


async def test_every_own_row_is_on_exactly_one_page_and_no_foreign_one(
    services: Services, server: TestServer
) -> None:
    at, other = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    await write(services, at, PAGE_SIZE + 5, target="mine")
    await write(services, other, 3, target="foreign")
    auditor = await school.add_staff(services, at, role="auditor")
    async with browser_of(services, server, staff_id=auditor) as browser:
        path, seen, pages = "/staff/audit", 0, 0
        while path:
            _count, html = await lines(browser, path)
            assert "foreign" not in html
            seen += html.count(">mine<")
            pages += 1
            found = re.search(r'rel="next" href="([^"]+)"', html)
            path = found[1].replace("&amp;", "&") if found else ""
        assert (seen, pages) == (PAGE_SIZE + 5, 2)
    async with services.db.read() as conn:
        reads = select(func.count()).where(audit.c.action == "read_audit", audit.c.actor == f"staff:{auditor}")
        assert await conn.scalar(reads) == pages


async def test_filters_by_actor_action_target_and_china_day(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    await write(services, at, 2, actor=f"person:{pupil.person_id}", action="log_in")
    await write(services, at, 1, action="certificate.issue", target=f"learner:{pupil.learner_id}")
    # The last minute of the 20th in China is still the 20th.
    await write(services, at, 1, action="log_out", at=NOON + 12 * 3_600_000 - 60_000)
    await write(services, at, 1, action="log_out", at=NOON + 12 * 3_600_000)
    regulator = await school.add_staff(services, None, role="regulator")
    async with browser_of(services, server, staff_id=regulator) as browser:
        for query, count in (
            ("actor=person", 2),
            (f"actor=person:{pupil.person_id}", 2),
            ("action=certificate.issue", 1),
            (f"target=learner:{pupil.learner_id}", 1),
            ("action=log_out&from=2026-11-20&to=2026-11-20", 1),
            ("action=log_out&from=2026-11-21&to=2026-11-21", 1),
            ("actor=%25", 0),
            ("target=%00x&action=nothing", 0),
        ):
            assert (await lines(browser, f"/staff/audit?{query}"))[0] == count, query
        _count, html = await lines(browser, "/staff/audit?actor=person")
        assert "张**" in html and "学员登录" in html
        _count, html = await lines(browser, "/staff/audit?action=certificate.issue")
        assert f'href="/staff/learners/{pupil.learner_id}"' in html
