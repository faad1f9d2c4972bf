"""F10, F12 (real clips), F18, F20, F21 in real Chromium: what people do with mouse, keyboard, phone and cookies."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, expect

from player_server.auth.passwords import hash_password
from tests.redteam.arena import Arena, Kind
from tests.redteam.case import case
from tests.redteam.chromium import COUNTING, player_url
from tests.redteam.game import Game
from tests.redteam.people import Learner
from tests.redteam.phone import NAME, put_on_roster, scan, stored_checks
from tests.support.learner import PASSWORD

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
HAND: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "user_agent": PHONE,
    "has_touch": True,
    "is_mobile": True,
}
#: Checks come soon and again, so that one case sees two or three of them.
OFTEN = Kind({"challenges": {"earliest_s": 8, "latest_s": 9}})
CHECK = "dialog[data-kind=challenge]"


async def _context(browser: Browser, learner: Learner | None = None, **options: Any) -> BrowserContext:
    """A browser of its own; with the learner's log-in, if one is named."""
    context = await browser.new_context(**{"locale": "zh-CN", "viewport": {"width": 900, "height": 700}, **options})
    if learner is not None:
        cookie = {"name": "xueshi", "value": learner.cookie, "url": learner.arena.nodes[0]}
        await context.add_cookies([cookie])  # type: ignore[list-item]  # A plain dict is one.
    return context


async def _media(page: Page, what: str = "currentTime") -> Any:
    return await page.evaluate(f"document.querySelector('#video').{what}")


async def _counting(page: Page) -> None:
    await expect(page.locator("#state-verdict")).to_contain_text(COUNTING, timeout=20_000)


async def _pause(page: Page) -> float:
    """Stop with the key K; where the video stands."""
    if not await _media(page, "paused"):
        await page.locator("#play").focus()
        await page.keyboard.press("k")
    await asyncio.sleep(1)
    return float(await _media(page))


@case(
    "F10",
    "rewind 120 s, pause, play on; drag inside what was already watched",
    "telemetry.session: behind the frontier nothing is earned and nothing is wrong; the page drags freely there",
    seconds=240,
    load=5,
    twin=False,
    browser=True,
)
async def rewind(game: Game) -> None:
    learner = (await game.pupils_of(await game.arena.clip_course(game.folder(), 200)))[0]
    browser = await game.chromium()
    page = await (await _context(browser, learner)).new_page()
    await page.goto(player_url(learner))
    await page.click("#big-play")
    await _counting(page)
    await asyncio.sleep(128)
    before = await _media(page)
    await page.locator("#play").focus()
    for _ in range(24):
        await page.keyboard.press("ArrowLeft")
    await expect(page.locator("#state-verdict")).to_contain_text("正在重看")
    game.check("24 × ← goes back 120 s", abs(await _media(page) - (before - 120)) < 4)
    await asyncio.sleep(5)
    await page.keyboard.press("k")
    await asyncio.sleep(5)
    game.check("nothing was lost by it", await learner.earned() >= before - 1.5)
    await page.keyboard.press("k")
    box = await page.locator("#timeline").bounding_box()
    assert box is not None
    for share in (0.3, 0.5, 0.1, 0.45):
        await page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        await asyncio.sleep(1.5)
        at = await _media(page)
        game.check(f"a drag to {share:.0%} goes there ({at:.1f} s)", abs(at - 200 * share) < 5)
    await page.locator("#play").focus()
    await page.keyboard.press("End")
    await asyncio.sleep(0.5)
    game.check("End goes to what was learned", abs(await _media(page) - before) < 4)
    await _counting(page)
    await asyncio.sleep(15)
    ran = await _pause(page)
    game.check(f"and it counts on from there ({ran:.1f} s)", ran > before + 12)
    await game.honest_credit(learner, ran)
    game.check("no finding at all", not await learner.findings())


@case(
    "F18",
    "keyboard only, names for a screen reader, a second window in front",
    "static/player: every control is a named element that keys reach; focus is no condition for counting",
    seconds=70,
    load=4,
    twin=False,
    browser=True,
)
async def keyboard(game: Game) -> None:
    learner = (await game.pupils_of(await game.arena.clip_course(game.folder(), 90)))[0]
    browser = await game.chromium()
    context = await _context(browser, learner)
    page = await context.new_page()
    await page.goto(player_url(learner))
    play = page.get_by_role("button", name="开始播放")
    await expect(play).to_be_visible()
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await play.evaluate("(each) => each === document.activeElement"):
            break
    game.check("Tab reaches the big button", await play.evaluate("(each) => each === document.activeElement"))
    await page.keyboard.press("Enter")
    await _counting(page)
    spoken = page.locator("#state-spoken")
    await expect(spoken).to_contain_text(COUNTING)
    for role, name in (("slider", "播放进度"), ("button", "暂停"), ("button", "静音"), ("slider", "音量")):
        found = await page.get_by_role(role, name=re.compile(name)).count()  # type: ignore[arg-type]  # A role's name.
        game.check(f"{role} “{name}” has its name", found == 1)
    await page.keyboard.press(" ")
    await page.wait_for_function("document.querySelector('#video').paused")
    await page.keyboard.press("k")
    await _counting(page)
    # Somebody writes in another window on the second monitor: this page has no focus but is seen.
    await page.evaluate("window.dispatchEvent(new Event('blur'))")
    other = await context.new_page()
    await other.goto(f"{game.arena.nodes[0]}/hours")
    await asyncio.sleep(25)
    ran = await _pause(page)
    game.check(f"it played on ({ran:.1f} s)", ran > 24)
    await game.honest_credit(learner, ran)
    game.check("no finding at all", not await learner.findings())


async def _clip(game: Game, browser: Browser, who: str, picture_s: float, sound_s: float) -> None:
    """Watch one real clip to its end in the browser."""
    lessons = await game.arena.clip_course(game.folder(), picture_s, sound_s=sound_s)
    learner = (await game.pupils_of(lessons))[0]
    page = await (await _context(browser, learner)).new_page()
    await page.goto(player_url(learner))
    await page.click("#big-play")
    began = time.monotonic()
    duration = min(picture_s, sound_s)
    await expect(page.locator("#after")).to_be_visible(timeout=(duration + 15) * 1000)
    took = time.monotonic() - began
    game.check(f"{who}: watched, never stuck ({took:.1f} s)", took < duration + 5)
    game.check(f"{who}: never instant", took >= duration * 0.9 - 0.5)
    await game.honest_credit(learner, duration, who=who)
    game.check(f"{who}: no finding at all", not await learner.findings())


async def clips(game: Game) -> None:
    """The part of F12 that needs real files: tracks of different lengths, and a very short one."""
    browser = await game.chromium()
    await _clip(game, browser, "audio 0.8 s longer", 8.0, 8.8)
    await _clip(game, browser, "picture 0.8 s longer", 8.8, 8.0)
    await _clip(game, browser, "a clip of 3 s", 3.0, 3.0)


@case(
    "F20",
    "the learner watches on the enrolled phone itself: a button instead of the QR",
    "policy.challenges.refusal_of_browser (same_device: tap); the overlay of a phone offers the button",
    seconds=80,
    load=5,
    twin=False,
    browser=True,
)
async def on_the_phone(game: Game) -> None:
    async with game.own_arena(OFTEN) as arena:
        await _on_the_phone(game, arena)


async def _on_the_phone(game: Game, arena: Arena) -> None:
    lessons = await arena.clip_course(game.folder(), 90)
    learner = (await game.pupils_of(lessons, arena=arena, check_due_in=None))[0]
    number = await put_on_roster(learner)
    browser = await game.chromium()
    context = await _context(browser, learner, **HAND)
    page = await context.new_page()
    await page.goto(player_url(learner))
    await page.tap("#big-play")
    await _counting(page)
    overlay = page.locator(CHECK)
    await expect(overlay).to_be_visible(timeout=30_000)
    tap = overlay.get_by_role("button", name="在本机确认")
    await expect(tap).to_be_visible()
    game.check("a button, and no QR in sight", not await overlay.locator("img.qr").is_visible())
    # The first check binds this phone: name and ID number on a page of its own.
    await tap.tap()
    bind = overlay.get_by_role("link", name="打开绑定页面")
    await expect(bind).to_be_visible()
    async with context.expect_page() as opened:
        await bind.tap()
    form = await opened.value
    await form.fill("[name=name]", NAME)
    await form.fill("[name=id_number]", number)
    await form.tap("form[action='/c/bind'] button")
    await expect(form.locator("main")).to_contain_text("已确认")
    await form.close()
    await expect(overlay).to_have_count(0)
    await _counting(page)
    # And the next one is a single tap.
    await expect(overlay).to_be_visible(timeout=30_000)
    await overlay.get_by_role("button", name="在本机确认").tap()
    await expect(overlay).to_have_count(0)
    await _counting(page)
    await asyncio.sleep(5)
    ran = await _pause(page)
    outcomes = [each.outcome for each in await stored_checks(learner)]
    game.check(f"both checks were answered ({outcomes})", outcomes == ["answered", "answered"])
    await game.honest_credit(learner, ran)
    game.check("no finding at all", not await learner.findings())


@case(
    "F21",
    "scans with another app of the same phone (own cookie jar); cookies cleared",
    "learning.phones.rebind: name, ID number and password on the page that the code opens; no staff",
    seconds=60,
    load=5,
    twin=False,
    browser=True,
)
async def other_app(game: Game) -> None:
    async with game.own_arena(OFTEN) as arena:
        await _other_app(game, arena)


async def _other_app(game: Game, arena: Arena) -> None:
    learner = await game.learner(600, arena=arena, check_due_in=None)
    number = await put_on_roster(learner, await hash_password(PASSWORD))
    browser = await game.chromium()
    watching = await learner.page()
    watched = 0.0
    phone = await _context(browser, **HAND)
    for number_of_check, how in enumerate(("the first scan", "another app", "cookies cleared")):
        if how == "another app":
            phone = await _context(browser, **HAND)
        elif how == "cookies cleared":
            await phone.clear_cookies()
        place = len(watching.inbox)
        # Often, because what runs between the last beat that counts and the overlay is lost by nobody's fault.
        watched += await watching.watch(30, every=0.2)
        notice = await watching.until("challenge", after=place, timeout=5)
        assert notice is not None
        page = await phone.new_page()
        began = time.monotonic()
        await page.goto(f"{arena.nodes[0]}/c/{await scan(learner, notice)}")
        action = "/c/rebind" if number_of_check else "/c/bind"
        await page.fill("[name=name]", NAME)
        await page.fill("[name=id_number]", number)
        if number_of_check:
            await page.fill("[name=password]", PASSWORD)
        await page.click(f"form[action='{action}'] button")
        if number_of_check:
            await page.click("form[action='/c/confirm'] button")
        await expect(page.locator("main")).to_contain_text("已确认")
        took = time.monotonic() - began
        game.check(f"{how}: bound and confirmed in {took:.1f} s, no staff", took < 60)
        game.check(f"{how}: it goes on", await watching.until("resume"))
    watched += await watching.watch(5, every=1.0)
    await game.honest_credit(learner, watched)
    found = await learner.findings()
    game.check(f"only the re-binding is noted (found {found})", set(found) <= {"phone_rebound"})
