"""The overview in a real browser: who watches now appears by itself, and the page breaks none of its own rules."""

import pytest
from aiohttp import web
from playwright.async_api import Browser

from player_server.learning.services import Services
from player_server.pages.static import static_file
from player_server.routes import ROUTES
from player_server.storage.session_lock import lock_key
from player_server.web import cookies
from tests.support import school
from tests.support.doors import browser_of, open_doors

#: Two rounds of asking and what a busy machine adds.
SOON_MS = 20_000


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def test_a_learner_who_starts_to_watch_appears_without_a_reload(
    services: Services, chromium: Browser
) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at, class_name="一班", name="李娜")
    lessons = await school.add_course(services, at)
    staff_id = await school.add_staff(services, at)
    routes = [each for each in ROUTES if each.path.startswith("/staff")]
    routes.append(web.get("/static/{version}/{name:.+}", static_file))
    async with open_doors(services, routes) as server, browser_of(services, server, staff_id=staff_id) as known:
        token = next(each.value for each in known.cookie_jar if each.key == cookies.LOGIN)
        context = await chromium.new_context(viewport={"width": 390, "height": 800}, locale="zh-CN")
        url = str(server.make_url("/"))
        await context.add_cookies([{"name": cookies.LOGIN, "value": token, "url": url}])
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{url}staff")
        total = page.locator("[data-total]")
        assert await total.inner_text() == "0"
        assert await page.locator("[data-none]").is_visible()
        await school.add_playback(services, pupil, lessons.video_ids[0], 1_000)
        await services.redis.hset(lock_key(pupil.person_id), "session", "s")
        await page.locator("[data-watching] tbody th").wait_for(timeout=SOON_MS)
        assert await total.inner_text() == "1"
        assert await page.locator("[data-watching] tbody th").inner_text() == "李**"
        # The phone shows everything within its width; tables scroll inside.
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.wait_for_load_state("networkidle")
        assert complaints == []
        await context.close()
