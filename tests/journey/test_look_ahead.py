"""Real Chromium on a video that is given out only a few seconds beyond what is earned: playing never notices.

At least 256 KiB beyond are given out, which is seven seconds of this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from yarl import URL

from player_server.web import cookies
from tests.support.clips import make_clip
from tests.support.course_folders import Clip, write_course
from tests.support.learner import learner
from tests.support.processes import until
from tests.support.product import product

LOOKAHEAD_S = 5
PLAYED_S = 14
SETTINGS: dict[str, Any] = {
    "watch": {"beat_every_s": 1},
    "challenges": {"earliest_s": 3600, "latest_s": 3600},
    "media": {"lookahead_s": LOOKAHEAD_S},
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def test_a_browser_plays_on_beyond_the_look_ahead_and_survives_a_drag_ahead_and_back(
    database_url: str, valkey_url: str, tmp_path: Path, chromium: Browser
) -> None:
    course = write_course(tmp_path / "course", Clip("高处作业", 2))
    make_clip(course / "1.mp4", picture_s=90, sound_s=90, noisy=True)
    async with product(database_url, valkey_url, tmp_path, course, **SETTINGS) as running:
        account = await running.add_learner("张伟", 1)
        async with learner(running, account) as who:
            await who.first_log_in()
            jar = who.computer.http.cookie_jar.filter_cookies(URL(running.url))
            token = jar[cookies.LOGIN].value
        context = await chromium.new_context(locale="zh-CN")
        try:
            await context.add_cookies([{"name": cookies.LOGIN, "value": token, "url": running.url}])
            page = await context.new_page()
            await page.goto(f"{running.url}/player/{running.video_ids[0]}")

            async def media(expression: str) -> Any:
                return await page.evaluate(f"document.querySelector('#video').{expression}")

            async def at(second: float) -> None:
                async def there() -> bool:
                    assert await media("error") is None
                    return bool(await media("currentTime") >= second)

                await until(there, timeout=60)

            await page.click("#big-play")
            await at(2)
            # Far ahead, as the keyboard or a script may try: the page takes it back, and it plays on.
            await page.locator("#video").evaluate("video => void (video.currentTime = 80)")
            await until(lambda: _below(media, 20), timeout=20)
            await at(PLAYED_S)
            await page.locator("#video").evaluate("video => void (video.currentTime = 1)")
            await until(lambda: _below(media, 4))
            await at(3)
        finally:
            await context.close()


async def _below(media: Any, second: float) -> bool:
    return bool(await media("currentTime") < second)
