"""Over every route under /staff, taken from the table of routes: readers change nothing, strangers see nothing."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select

from player_server.learning.services import Services
from player_server.routes import ROUTES
from player_server.storage.all_tables import metadata
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors

STAFF = [each for each in ROUTES if each.path.startswith("/staff")]
#: What somebody without a log-in may open, or what belongs to everybody's own log-in.
OWN = {"/staff/login", "/staff/logout", "/staff/password"}
#: What readers may ask for: a choice kept in a cookie, and exports, which are jobs.
READERS = OWN | {"/staff/institutions"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, STAFF) as opened:
        yield opened


def address(path: str, identifier: str = "1") -> str:
    """A route's path with something in each place."""
    return (
        re.sub(r"\{name:\[a-z\]\+\}", "hours", path)
        if "charts" in path
        else re.sub(r"\{[^/]+?\}", identifier, path)
    )


async def rows(services: Services) -> dict[str, int]:
    async with services.db.read() as conn:
        return {
            name: int(await conn.scalar(select(func.count()).select_from(table)) or 0)
            for name, table in metadata.tables.items()
            if name not in ("audit", "login_session", "job")
        }


async def token_of(browser: ClientSession) -> str:
    async with browser.get("/staff/password") as reply:
        return csrf_in(await reply.text())


@pytest.mark.parametrize("role", ["auditor", "regulator"])
async def test_readers_change_nothing_on_any_route(services: Services, server: TestServer, role: str) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at, class_name="一班")
    await school.add_course(services, at)
    staff_id = await school.add_staff(services, at if role == "auditor" else None, role=role)
    before = await rows(services)
    async with browser_of(services, server, staff_id=staff_id) as browser:
        token = await token_of(browser)
        fields = {"csrf": token, "confirm": "yes", "reason": "一个理由", "name": "x", "class": "x", "words": "x"}
        for route in STAFF:
            if route.method != "POST" or route.path in READERS or "/exports" in route.path:
                continue
            path = address(route.path, str(pupil.learner_id))
            async with browser.post(path, data=fields, allow_redirects=False) as reply:
                assert reply.status in (403, 404), (route.path, reply.status)
    assert await rows(services) == before


async def test_nobody_gets_in_without_a_log_in_and_no_page_breaks(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    other = await school.add_institution(services, "另一家")
    foreign = await school.add_learner(services, other, class_name="一班", name="司马南")
    staff_ids = [
        await school.add_staff(services, at, "o"),
        await school.add_staff(services, at, "t", role="teacher", classes=("一班",)),
        await school.add_staff(services, at, "a", role="auditor"),
        await school.add_staff(services, None, "r", role="regulator"),
    ]
    pages = [each.path for each in STAFF if each.method == "GET" and each.path not in OWN]
    async with browser_of(services, server) as nobody:
        for path in pages:
            async with nobody.get(address(path), allow_redirects=False) as reply:
                assert reply.status in (303, 401, 404), path
    for staff_id in staff_ids:
        async with browser_of(services, server, staff_id=staff_id) as browser:
            for path in pages:
                async with browser.get(address(path, str(foreign.learner_id)), allow_redirects=False) as reply:
                    text = await reply.text()
                    assert reply.status < 500, (path, staff_id)
                # The regulator reads all institutions; for the others the foreign learner is not there.
                if staff_id != staff_ids[-1]:
                    assert "司马" not in text and "司**" not in text, (path, staff_id)
