"""Handing in quizzes over the real pages: open the sheet, fill in what it shows, send it."""

from __future__ import annotations

import re

from tests.redteam.people import Learner
from tests.support.http_browser import HttpBrowser
from tests.support.sheet_reader import SheetReader

_PASSED = re.compile(r"quiz-passed")
Fields = list[tuple[str, str]]


async def open_sheet(learner: Learner, browser: HttpBrowser, video: int = 0) -> Fields:
    """A new sheet with every answer right, ready to be sent."""
    page = await browser.get(f"/quiz/{learner.lessons.video_ids[video]}")
    assert browser.status == 200, (browser.status, page[:500])
    return SheetReader(page).fields()


async def hand_in(learner: Learner, browser: HttpBrowser, fields: Fields, video: int = 0) -> tuple[int, bool]:
    """Send a sheet: (status, whether the result page says that all was right)."""
    url = f"{browser.url}/quiz/{learner.lessons.video_ids[video]}"
    async with browser.http.post(url, data=fields) as answer:
        return answer.status, _PASSED.search(await answer.text()) is not None


async def pass_quiz(learner: Learner, video: int = 0, *, node: int = 0) -> bool:
    """Open the quiz and hand it in all right; whether the page says so."""
    async with learner.browser(node) as browser:
        fields = await open_sheet(learner, browser, video)
        return (await hand_in(learner, browser, fields, video))[1]
