"""The rhythm of real Chromium's beats: nothing in it looks like a script (telemetry/rhythm.py)."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from playwright.async_api import Browser, WebSocket

from telemetry.rhythm import SAME_STEP_S
from tests.journey.test_browser import COURSE, DEMO, PASSWORD, QUIZ
from tests.support.processes import until
from tests.support.product import product

BEATS = 30
#: Far below NOTED_BEATS, far above what was ever seen (none).
MOST_EQUAL_STEPS = 3


async def test_the_beats_of_a_real_page_hardly_ever_make_two_equal_steps(
    sqlite_url: str, valkey_url: str, tmp_path: Path, chromium: Browser
) -> None:
    course, data = tmp_path / "course", tmp_path / "data"
    course.mkdir()
    data.mkdir()
    shutil.copy(DEMO / "04-lifting.mp4", course / "clip.mp4")
    (course / "course.yaml").write_text(COURSE, encoding="utf-8")
    (course / "quiz.yaml").write_text(QUIZ, encoding="utf-8")
    positions: list[float] = []

    def sent(frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "beat" and message["event"] == "tick" and message["playing"]:
            positions.append(message["position"])

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", sent)

    watch = {"beat_every_s": 0.25}
    async with product(sqlite_url, valkey_url, data, course, watch=watch) as running:
        account = await running.add_learner("张伟", 1)
        context = await chromium.new_context(locale="zh-CN")
        page = await context.new_page()
        page.on("websocket", opened)
        await page.goto(f"{running.url}/login")
        await page.fill("[name=id_number]", account.id_number)
        await page.fill("[name=password]", account.initial_secret)
        await page.click("form[action='/login'] button")
        await page.fill("[name=new]", PASSWORD)
        await page.fill("[name=repeat]", PASSWORD)
        await page.click("form[action='/password'] button")
        await page.wait_for_url(f"{running.url}/")
        await page.goto(f"{running.url}/player/{running.video_ids[0]}")
        await page.click("#big-play")
        await until(lambda: len(positions) > BEATS, timeout=60)
        await context.close()
    steps = [later - earlier for earlier, later in itertools.pairwise(positions)]
    equal = sum(abs(second - first) < SAME_STEP_S for first, second in itertools.pairwise(steps))
    assert equal <= MOST_EQUAL_STEPS, steps
