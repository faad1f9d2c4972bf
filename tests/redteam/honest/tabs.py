"""F01, F02, F07–F09 in real Chromium: hidden, frozen and sleeping pages, reloads, crashes, pages opened twice."""

from __future__ import annotations

import asyncio
import signal

from player_server.storage.session_lock import lock_key
from tests.redteam.case import case
from tests.redteam.chromium import Chromium, Tab, player_url, running
from tests.redteam.game import Game
from tests.redteam.people import Learner

GRACE_S = 15.0
LOCK_S = 20.0
BEAT_S = 5.0
#: A busy page asks again this often (static/player/player.js).
ASK_AGAIN_S = 3.0
HERE = "在此页继续"


async def _learner(game: Game, *durations_s: float) -> Learner:
    """A learner of a course with real clips."""
    return (await game.pupils_of(await game.arena.clip_course(game.folder(), *durations_s)))[0]


async def _pause(tab: Tab) -> float:
    """Pause by the button; where the video stands."""
    await tab.run("document.querySelector('#video').paused || document.querySelector('#play').click()")
    await asyncio.sleep(1)
    return await tab.position()


async def _nothing_but(game: Game, learner: Learner, *kinds: str) -> None:
    found = await learner.findings()
    game.check(f"no finding but {kinds or 'none'} (found {found})", set(found) <= set(kinds))


@case(
    "F01",
    "tab hidden for 10 min with intensive timer throttling",
    "static/player: media events and a timer in a worker beat on while timers of the page are slowed down",
    seconds=660,
    load=5,
    twin=False,
    browser=True,
)
async def hidden(game: Game) -> None:
    learner = await _learner(game, 660)
    flags = ("--intensive-wake-up-throttling-policy=force-enable",)
    async with running(game.folder(), *flags) as browser:
        await browser.log_in(learner)
        counter = "window.ticks = []; setInterval(() => ticks.push(performance.now()), 1000)"
        tab = await browser.open(player_url(learner), counter)
        await tab.press_play()
        await asyncio.sleep(5)
        await browser.open("about:blank")
        await tab.until("document.hidden")
        began = await tab.position()
        await asyncio.sleep(600)
        slowed = await tab.run("ticks.filter((each) => each > performance.now() - 240_000).length")
        game.check(f"the page's own timers were slowed down ({slowed} ticks in the last 240 s)", slowed < 24)
        game.check("and it was still hidden", await tab.run("document.hidden"))
        ran = await tab.position()
        game.check(f"the video ran on ({ran - began:.0f} s)", ran - began > 590)
        await tab.show()
        await tab.counts()
        ran = await _pause(tab)
        words = await tab.words()
        credit = await game.honest_credit(learner, ran, lost=0.05 * ran)
        game.check(f"a loss is explained ({words})", credit.given >= ran - 1.5 or "未计入" in words)
        await _nothing_but(game, learner)


@case(
    "F02",
    "tab frozen for 10 min (SIGSTOP of the renderer), then it goes on",
    "telemetry: silence counts up to gap_grace; hub.watch_over retires the player after lock_ttl; the page returns",
    seconds=680,
    load=4,
    twin=False,
    browser=True,
)
async def frozen(game: Game) -> None:
    learner = await _learner(game, 300)
    async with running(game.folder()) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner))
        await tab.press_play()
        await asyncio.sleep(20)
        ran = await tab.position()
        browser.signal(signal.SIGSTOP, "renderer")
        await asyncio.sleep(LOCK_S + 4)
        row, services = await learner.row(), game.arena.services
        game.check("the player is retired after the lock's life", row.ended_reason == "silent")
        locked = await services.redis.exists(lock_key(learner.person_id))
        game.check("and its lock is free", not locked)
        kept = await learner.earned()
        await asyncio.sleep(600 - LOCK_S - 4)
        game.check("nothing is earned while it is frozen", await learner.earned() == kept)
        game.check(f"what was earned before stays ({kept:.1f} of {ran:.1f} s)", kept >= ran - BEAT_S - 1)
        browser.signal(signal.SIGCONT, "renderer")
        again = await tab.counts(20)
        game.check(f"it goes on by itself ({again:.1f} s after)", True)
        await asyncio.sleep(20)
        at = await _pause(tab)
        game.check(f"and earns again ({await learner.earned():.1f} s)", await learner.earned() > kept + 15)
        await game.honest_credit(learner, ran + GRACE_S + 20 + again + 1, lost=GRACE_S + again + BEAT_S)
        game.check("the page stands where it earned", at <= await learner.earned() + 1.5)
        await _nothing_but(game, learner)


_WRONG_CLOCK = """{
  const Real = Date, shift = new Real(2036, 1, 28, 23, 59, 50).getTime() - Real.now();
  globalThis.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + shift); }
    static now() { return Real.now() + shift; }
  };
}"""


@case(
    "F07",
    "laptop sleep of 60 s (SIGSTOP of every browser process); device clock wrong by years, at midnight, other zone",
    "telemetry: silence counts up to gap_grace; no time of the client is ever used",
    seconds=130,
    load=6,
    twin=False,
    browser=True,
)
async def sleep(game: Game) -> None:
    await asyncio.gather(_laptop(game), _wrong_clock(game))


async def _laptop(game: Game) -> None:
    learner = await _learner(game, 300)
    async with running(game.folder()) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner))
        await tab.press_play()
        await asyncio.sleep(12)
        ran = await tab.position()
        browser.signal(signal.SIGSTOP)
        await asyncio.sleep(60)
        browser.signal(signal.SIGCONT)
        again = await tab.counts(20)
        game.check(f"sleep: it goes on by itself ({again:.1f} s after)", True)
        await asyncio.sleep(15)
        await _pause(tab)
        most = ran + GRACE_S + again + 15 + 1
        await game.honest_credit(learner, most, lost=GRACE_S + again + BEAT_S, who="sleep")
        await _nothing_but(game, learner)


async def _wrong_clock(game: Game) -> None:
    learner = await _learner(game, 120)
    async with running(game.folder()) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner), _WRONG_CLOCK, zone="Pacific/Kiritimati")
        await tab.press_play()
        await asyncio.sleep(30)
        date = await tab.run("new Date().toString()")
        game.check(f"wrong clock: it was past midnight there ({date})", "2036" in date and " 00:0" in date)
        ran = await _pause(tab)
        await game.honest_credit(learner, ran, who="wrong clock")
        await _nothing_but(game, learner)


@case(
    "F08",
    "reload; browser crash and reopen",
    "pagehide says bye, so a reload is back at once; a crashed page's lock ends after lock_ttl",
    seconds=110,
    load=5,
    twin=False,
    browser=True,
)
async def reload(game: Game) -> None:
    learner = await _learner(game, 300)
    profile = game.folder()
    async with running(profile) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner))
        await tab.press_play()
        await asyncio.sleep(12)
        before = await tab.position()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await tab.reload()
        await tab.ready()
        back, after = loop.time() - began, await tab.position()
        game.check(f"reload: back after {back:.2f} s", back < 2.0)
        game.check(f"reload: {before:.2f} → {after:.2f} s", before - after <= 1.0)
        await tab.press_play()
        await asyncio.sleep(12)
        before = await tab.position()
        await browser.crash()
    began = loop.time()
    async with running(profile) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner))
        await tab.ready(LOCK_S + 20)
        back, after = loop.time() - began, await tab.position()
        game.check(f"crash: back after {back:.1f} s, by itself", back < LOCK_S + ASK_AGAIN_S + 1)
        game.check(f"crash: {before:.2f} → {after:.2f} s", before - after <= BEAT_S + 0.5)
        await tab.press_play()
        await asyncio.sleep(10)
        ran = await _pause(tab)
        await game.honest_credit(learner, ran)
        # The page that came back met the lock of the crashed one: that is worth a note, no more.
        await _nothing_but(game, learner, "second_page")


@case(
    "F09",
    "duplicated tab (with its session storage); session restore that opens the page twice",
    "the session of `welcome` lives in memory only: a copy is another page; one plays, the other is asked",
    seconds=120,
    load=6,
    twin=False,
    browser=True,
)
async def twice(game: Game) -> None:
    await asyncio.gather(_duplicated(game), _restored(game))


async def _duplicated(game: Game) -> None:
    learner = await _learner(game, 120)
    async with running(game.folder()) as browser:
        await browser.log_in(learner)
        tab = await browser.open(player_url(learner))
        await tab.press_play()
        await tab.run("sessionStorage.setItem('copied', 'yes'); void window.open(location.href)")
        copies: list[Tab] = []
        for _ in range(50):
            copies = [each for each in await browser.tabs("/player/") if each.target != tab.target]
            if copies:
                break
            await asyncio.sleep(0.1)
        copy = copies[0]
        await copy.dialog("busy")
        game.check("duplicate: it is a copy", await copy.run("sessionStorage.getItem('copied')") == "yes")
        await asyncio.sleep(8)
        await tab.show()
        game.check(
            "duplicate: the first one plays on", not await tab.run("document.querySelector('#video').paused")
        )
        await copy.show()
        await copy.press(HERE)
        await copy.counts()
        await tab.dialog("displaced")
        game.check(
            "duplicate: after the press that one plays", await tab.run("document.querySelector('#video').paused")
        )
        await asyncio.sleep(8)
        ran = await _pause(copy)
        await game.honest_credit(learner, ran, who="duplicate")
        await _nothing_but(game, learner, "second_page")


async def _restored(game: Game) -> None:
    learner = await _learner(game, 120)
    profile, url = game.folder(), player_url(learner)
    async with running(profile) as browser:
        await browser.log_in(learner)
        first = await browser.open(url)
        await first.press_play()
        second = await browser.open(url)
        await second.dialog("busy")
        await asyncio.sleep(8)
        before = await first.position()
        # Chromium asks after a crash whether to restore; only after an orderly end it does so by itself.
        await browser.quit()
    async with running(profile, "--restore-last-session") as browser:
        tabs = await _restored_tabs(game, browser, learner, url)
        await asyncio.sleep(LOCK_S + ASK_AGAIN_S + 2)
        busy = [await each.run("!!document.querySelector('dialog[open][data-kind=busy]')") for each in tabs]
        game.check(f"restore: one is let in, the other one is asked {busy}", sorted(busy) == [False, True])
        player = tabs[busy.index(False)]
        await player.show()
        await player.press_play()
        at = await player.position()
        game.check(f"restore: {before:.1f} → {at:.1f} s", before - BEAT_S - 0.5 <= at <= before + 3)
        await asyncio.sleep(8)
        ran = await _pause(player)
        await game.honest_credit(learner, ran, who="restore")
        await _nothing_but(game, learner, "second_page")


async def _restored_tabs(game: Game, browser: Chromium, learner: Learner, url: str) -> list[Tab]:
    """The two tabs that the browser brought back, with the log-in that it has forgotten."""
    tabs: list[Tab] = []
    for _ in range(50):
        # Without the log-in they may stand at the log-in page already.
        tabs = [*await browser.tabs("/player/"), *await browser.tabs("/login")]
        if len(tabs) == 2:
            break
        await asyncio.sleep(0.2)
    game.check(f"restore: the browser brought {len(tabs)} tabs back by itself", len(tabs) == 2)
    await browser.log_in(learner)
    for tab in tabs:
        await browser.send("Page.navigate", tab.session, url=url)
    return tabs
