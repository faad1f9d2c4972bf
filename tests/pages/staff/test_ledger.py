"""The ledger's page: it says whether an entry is still the one that was signed, to whom that is any business."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from sqlalchemy import select, update

from player_server.learning.ledger_log import log_entries, sign_checkpoint
from player_server.learning.services import Services
from player_server.pages.staff import ledger
from player_server.storage.ledger_log_tables import ledger_leaf
from player_server.storage.tables import audit, ledger_entry
from tests.support import school
from tests.support.doors import browser_of, open_doors
from tests.support.services import close_services, make_services


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.000001})
    yield made
    await close_services(made)


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, (web.get("/staff/ledger", ledger.ledger_page),)) as server:
        yield server


async def page(browser: ClientSession, entry: object = "", status: int = 200) -> str:
    async with browser.get("/staff/ledger", params={"entry": str(entry)}) as reply:
        assert reply.status == status
        return await reply.text()


async def test_a_spot_check_tells_a_signed_entry_from_a_changed_one(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    learner_id = (await school.add_learner(services, at)).learner_id
    lessons = await school.add_course(services, at)
    first, second = [
        await school.add_entry(services, learner_id, lessons, video_id, 150, institution_id=at)
        for video_id in lessons.video_ids
    ]
    staff_id = await school.add_staff(services, at, "auditor", role="auditor")
    async with browser_of(services, server, staff_id=staff_id) as auditor:
        assert "还没有被签名覆盖" in await page(auditor, first)
        await log_entries(services)
        await sign_checkpoint(services)
        good = await page(auditor, first)
        assert "核验通过" in good and "1.5" in good and good.count("一致</span>") == 4 and "不一致" not in good
        assert "没有这条入账记录" in await page(auditor, 999) and "没有这条入账记录" in await page(auditor, "x")
        async with services.db.write() as conn:
            await conn.execute(update(ledger_entry).where(ledger_entry.c.id == second).values(hours=999))
        bad = await page(auditor, second)
        assert "核验失败" in bad and bad.count("不一致</span>") == 1
        assert "核验通过" in await page(auditor, first)
        async with services.db.write() as conn:
            await conn.execute(update(ledger_leaf).where(ledger_leaf.c.position == 1).values(hash="00" * 32))
        assert "签名之后有记录被改动或删除" in await page(auditor) and "核验失败" in await page(auditor, first)
    async with services.db.read() as conn:
        looked = await conn.execute(select(audit.c.target, audit.c.result).where(audit.c.action == "ledger.check"))
        assert (f"entry:{second}", "bad") in [tuple(row) for row in looked]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_others_entries_are_not_there_and_teachers_have_no_such_page(
    services: Services, server: TestServer
) -> None:
    at, other = [await school.add_institution(services, name) for name in ("示例", "另一家")]
    learner_id = (await school.add_learner(services, at)).learner_id
    lessons = await school.add_course(services, at)
    entry = await school.add_entry(services, learner_id, lessons, lessons.video_ids[0], 100, institution_id=at)
    for role, institution_id, status in (("owner", other, 200), ("regulator", None, 200), ("teacher", at, 403)):
        staff_id = await school.add_staff(services, institution_id, role, role=role)
        async with browser_of(services, server, staff_id=staff_id) as browser:
            html = await page(browser, entry, status)
            assert ("没有这条入账记录" in html) is (role == "owner")
            assert ("还没有被签名覆盖" in html) is (role == "regulator")
