"""The main job as a learner does it: real Chromium, a real clip, a phone in a browser of its own, nothing stubbed.

Set XUESHI_SHOTS to a folder to get a picture of every page at desktop and at phone width.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from player_server.storage.progress import VideoProgress, video_progress
from player_server.storage.tables import ledger_entry
from tests.support.processes import until
from tests.support.product import Account, Product, product

DEMO = Path(__file__).parents[2] / "player_server" / "demo" / "course"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
DESKTOP_SIZE = {"width": 1280, "height": 800}
PHONE_SIZE = {"width": 390, "height": 844}
PASSWORD = "长颈鹿爱吃树叶 7"
WRONG, RIGHT = "作业时可以摘下安全帽", "先检查，再起吊"
COURSE = """
title: 起重吊装
specialty: 建筑工程
subject: professional
videos:
  - {file: clip.mp4, title: 起重吊装安全要点, hours: 0.5, quiz: quiz.yaml}
"""
QUIZ = f"""
questions:
  - kind: single
    text: 起吊之前应当怎样做？
    options: [{WRONG}, {RIGHT}, 直接起吊]
    right: B
"""


@dataclass
class Stage:
    running: Product
    account: Account
    desktop: BrowserContext
    phone: Page
    page: Page
    shots: Path | None

    @property
    def video_id(self) -> int:
        return self.running.video_ids[0]

    async def shot(self, name: str, page: Page | None = None) -> None:
        """A picture at both widths, if somebody wants to look."""
        if self.shots is None:
            return
        page = page or self.page
        for width, size in (("desktop", DESKTOP_SIZE), ("phone", PHONE_SIZE)):
            if page is self.phone and width == "desktop":
                continue
            await page.set_viewport_size({"width": size["width"], "height": size["height"]})
            await page.screenshot(path=self.shots / f"{name}-{width}.png")
        if page is not self.phone:
            await page.set_viewport_size({"width": 1280, "height": 800})

    async def progress(self) -> VideoProgress:
        """What the store says, live or stored."""
        async with self.running.services.db.read() as conn:
            found = await video_progress(conn, self.account.learner_id, self.video_id)
        assert found is not None
        return found

    async def credits(self) -> list[int]:
        async with self.running.services.db.read() as conn:
            return list((await conn.scalars(select(ledger_entry.c.hours))).all())

    async def complete(self) -> bool:
        """What the exam service is told."""
        url = f"{self.running.url}/api/v1/eligibility/{self.account.learner_id}"
        token = self.running.exam_token()
        async with (
            aiohttp.ClientSession() as http,
            http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return bool((await answer.json())["eligible"])

    async def media(self, expression: str, page: Page | None = None) -> Any:
        """A property of the video element, e.g. `currentTime`."""
        return await (page or self.page).evaluate(f"document.querySelector('#video').{expression}")

    async def at(self, low: float, high: float = 1e6) -> None:
        """Wait until the video itself stands between these seconds."""

        async def there() -> bool:
            return bool(low <= await self.media("currentTime") <= high)

        await until(there, timeout=30)


@pytest_asyncio.fixture
async def stage(database_url: str, valkey_url: str, tmp_path: Path, chromium: Browser) -> AsyncIterator[Stage]:
    course = tmp_path / "course"
    course.mkdir()
    shutil.copy(DEMO / "04-lifting.mp4", course / "clip.mp4")
    (course / "course.yaml").write_text(COURSE, encoding="utf-8")
    (course / "quiz.yaml").write_text(QUIZ, encoding="utf-8")
    challenges = {
        "earliest_s": 12,
        "latest_s": 13,
        "answer_s": 60,
        "identity_answer_s": 60,
        "show_link": True,
    }
    data = tmp_path / "data"
    data.mkdir()
    async with product(
        database_url, valkey_url, data, course, challenges=challenges, watch={"beat_every_s": 1}
    ) as running:
        account = await running.add_learner("张伟", 1)
        desktop = await chromium.new_context(locale="zh-CN", viewport={"width": 1280, "height": 800})
        pocket = await chromium.new_context(
            locale="zh-CN", viewport={"width": 390, "height": 844}, user_agent=PHONE, has_touch=True
        )
        shots = Path(os.environ["XUESHI_SHOTS"]) if "XUESHI_SHOTS" in os.environ else None
        page = await desktop.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        yield Stage(running, account, desktop, await pocket.new_page(), page, shots)
        await desktop.close()
        await pocket.close()
        assert errors == []


async def test_a_learner_earns_the_hours_of_a_video(stage: Stage) -> None:
    assert not await stage.complete()
    await log_in_and_choose_a_password(stage)
    await start_playing(stage)
    await a_drag_ahead_is_refused(stage)
    await a_second_page_shows_a_prompt_and_one_plays(stage)
    await answer_the_identity_check(stage)
    await a_reload_goes_on_where_it_was(stage)
    await answer_the_attendance_check(stage)
    await watch_to_the_end(stage)
    await a_wrong_quiz_gives_nothing_and_a_right_one_the_hours_once(stage)
    await drag_freely_afterwards(stage)
    assert await stage.complete()
    await stage.page.goto(f"{stage.running.url}/hours")
    await expect(stage.page.locator("main")).to_contain_text("起重吊装安全要点")
    await stage.shot("12-hours")


async def log_in_and_choose_a_password(stage: Stage) -> None:
    page, account = stage.page, stage.account
    await page.goto(stage.running.url)
    await stage.shot("01-login")
    await page.fill("[name=id_number]", account.id_number)
    await page.fill("[name=password]", account.initial_secret)
    await page.click("form[action='/login'] button")
    await page.wait_for_url("**/password*")
    await page.goto(f"{stage.running.url}/player/{stage.video_id}")
    assert "/password" in page.url, "the initial secret opens nothing but the change-password page"
    await stage.shot("02-password")
    await page.fill("[name=new]", PASSWORD)
    await page.fill("[name=repeat]", PASSWORD)
    await page.click("form[action='/password'] button")
    await page.wait_for_url(lambda url: "/password" not in url)
    await page.goto(stage.running.url)
    await expect(page.locator("main")).to_contain_text("起重吊装")
    await stage.shot("03-home")


async def start_playing(stage: Stage) -> None:
    page = stage.page
    await page.click("main a.button.primary")
    await page.wait_for_url(f"**/player/{stage.video_id}")
    await expect(page.locator("#big-play")).to_be_visible()
    await stage.shot("04-player")
    await page.click("#big-play")
    await expect(page.locator("#state-verdict")).to_have_text("正在计时")
    await stage.at(3)


async def a_drag_ahead_is_refused(stage: Stage) -> None:
    page = stage.page
    box = await page.locator("#timeline").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    await expect(page.locator("#toasts")).to_contain_text("不能快进")
    await stage.shot("05-refused-drag")
    assert await stage.media("currentTime") < 15
    # Nor does it help to move the element itself, as a script would.
    await page.evaluate("document.querySelector('#video').currentTime = 35")
    await stage.at(0, 15)
    assert (await stage.progress()).frontier_ms < 15_000


async def a_second_page_shows_a_prompt_and_one_plays(stage: Stage) -> None:
    second = await stage.desktop.new_page()
    await second.goto(stage.page.url)
    busy = second.locator("dialog[data-kind=busy]")
    await expect(busy).to_be_visible()
    await stage.shot("06-busy", second)
    await busy.get_by_role("button", name="在此页继续").click()
    displaced = stage.page.locator("dialog[data-kind=displaced]")
    await expect(displaced).to_be_visible()
    assert await stage.media("paused")
    await stage.shot("07-displaced")
    await displaced.get_by_role("button", name="在此页继续").click()
    await expect(second.locator("dialog[data-kind=displaced]")).to_be_visible()
    await expect(displaced).to_have_count(0)
    await second.close()
    if await stage.media("paused"):
        await stage.page.click("#play")
    await expect(stage.page.locator("#state-verdict")).to_have_text("正在计时")


async def _challenge(stage: Stage, shot: str) -> None:
    """Wait for the overlay and open its code on the phone."""
    overlay = stage.page.locator("dialog[data-kind=challenge]")
    await expect(overlay).to_be_visible(timeout=30_000)
    await expect(overlay.locator("img.qr")).to_be_visible()
    assert await stage.media("paused")
    frozen = (await stage.progress()).frontier_ms
    await stage.shot(shot)
    link = await overlay.locator("#challenge-link").inner_text()
    await stage.phone.goto(link)
    # Opening the code is not an answer.
    assert (await stage.progress()).frontier_ms == frozen
    await expect(overlay).to_be_visible()


async def _goes_on(stage: Stage) -> None:
    await expect(stage.page.locator("dialog[data-kind=challenge]")).to_have_count(0)
    if await stage.media("paused"):
        await stage.page.click("#play")
    await expect(stage.page.locator("#state-verdict")).to_have_text("正在计时")


async def answer_the_identity_check(stage: Stage) -> None:
    await _challenge(stage, "08-identity")
    phone = stage.phone
    await stage.shot("08-identity-on-the", phone)
    await phone.fill("[name=name]", "别人")
    await phone.fill("[name=id_number]", stage.account.id_number)
    await phone.click("form[action='/c/bind'] button")
    await expect(stage.page.locator("dialog[data-kind=challenge]")).to_be_visible()
    await phone.fill("[name=name]", stage.account.name)
    await phone.fill("[name=id_number]", stage.account.id_number)
    await phone.click("form[action='/c/bind'] button")
    await expect(phone.locator("main")).to_contain_text("已确认")
    await stage.shot("08-identity-done-on-the", phone)
    await _goes_on(stage)


async def a_reload_goes_on_where_it_was(stage: Stage) -> None:
    await stage.at(await stage.media("currentTime") + 2)
    before = await stage.media("currentTime")
    await stage.page.reload()
    await expect(stage.page.locator("#big-play")).to_be_visible()
    assert before - await stage.media("currentTime") <= 1.5, "at most one beat is lost"
    await stage.page.click("#big-play")
    await expect(stage.page.locator("#state-verdict")).to_have_text("正在计时")


async def answer_the_attendance_check(stage: Stage) -> None:
    await _challenge(stage, "09-attendance")
    phone = stage.phone
    await expect(phone.locator("main")).to_contain_text("起重吊装")
    await expect(phone.locator("main")).not_to_contain_text("张伟")
    await stage.shot("09-attendance-on-the", phone)
    await phone.click("form[action='/c/confirm'] button")
    await expect(phone.locator("main")).to_contain_text("已确认")
    await _goes_on(stage)


async def watch_to_the_end(stage: Stage) -> None:
    quiz = stage.page.locator("#to-quiz")
    for _ in range(3):
        overlay = stage.page.locator("dialog[data-kind=challenge]")
        await expect(quiz.or_(overlay).first).to_be_visible(timeout=45_000)
        if await overlay.count() == 0:
            break
        link = await overlay.locator("#challenge-link").inner_text()
        await stage.phone.goto(link)
        await stage.phone.click("form[action='/c/confirm'] button")
        await expect(overlay).to_have_count(0)
        if await stage.media("paused") and not await stage.media("ended"):
            await stage.page.click("#play")
    await expect(quiz).to_be_visible()
    await stage.shot("10-watched")
    assert (await stage.progress()).watched
    assert await stage.credits() == []


async def a_wrong_quiz_gives_nothing_and_a_right_one_the_hours_once(stage: Stage) -> None:
    page = stage.page
    await page.click("#to-quiz")
    await page.wait_for_url("**/quiz/*")
    assert "right" not in await page.content()
    await stage.shot("11-quiz")
    await page.get_by_label(WRONG).check()
    await page.get_by_role("button", name="交卷").click()
    await expect(page.locator("main")).to_contain_text("再试一次")
    await stage.shot("11-quiz-wrong")
    assert await stage.credits() == []
    await page.goto(f"{stage.running.url}/quiz/{stage.video_id}")
    await page.get_by_label(RIGHT).check()
    await page.get_by_role("button", name="交卷").dblclick()
    await expect(page.locator(".quiz-passed")).to_be_visible()
    await stage.shot("11-quiz-right")
    await page.reload()
    assert await stage.credits() == [50]


async def drag_freely_afterwards(stage: Stage) -> None:
    page = stage.page
    await page.goto(f"{stage.running.url}/player/{stage.video_id}")
    await expect(page.locator(".chapter")).to_have_attribute("data-state", "credited")
    await expect(page.locator("#state-verdict")).not_to_have_text("")
    box = await page.locator("#timeline").bounding_box()
    assert box is not None
    for share in (0.8, 0.2, 0.6):
        await page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        await stage.at(40 * (share - 0.05), 40 * (share + 0.05))
    await stage.shot("12-credited")
    data = json.loads(await page.locator("#page-data").inner_text())
    assert data["chapters"][0]["credited"] is True
