"""B01–B02: getting past a check by not answering it: ignoring, reloading, going elsewhere, staying away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.redteam.arena import ARENAS, Kind
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, Message, Page
from tests.redteam.phone import (
    Stored,
    challenged,
    enrol_phone,
    renew,
    scan,
    stored_checks,
    until_missed,
)
from tests.redteam.sheets import pass_quiz

#: The production window of an attendance check, in seconds.
ANSWER_WINDOW_S = 120.0
#: The beat that crosses the due point counts whole, and one beat never earns more than the grace.
DUE_S, GRACE_S = 5.0, 15.0
#: The first check of these cases comes after so much earned time.
SOON_S = 3.0

Dodge = Callable[[Learner, Page, Message], Awaitable[list[Message]]]


@case(
    "B01",
    "ignore or delete the challenge and keep beating for an hour; ask for a new one and ignore that too",
    "telemetry.session.step: while held nothing is usable; storage.challenges.claim_answer alone clears a hold",
    seconds=640,
    load=4,
    arena="fast",
    scaled="on a server of its own whose clock runs 6 times as fast, so that a busy machine is no silence",
)
async def beat_on(game: Game) -> None:
    slower = Kind(ARENAS["fast"].parts, speed=6.0)
    async with game.own_arena(slower) as arena, game.twin(arena=arena):
        learner = await game.learner(7200, arena=arena, check_due_in=DUE_S)
        await (await enrol_phone(learner)).http.close()
        page = await learner.page()
        notice = await challenged(page)
        frozen = await learner.earned()
        game.check(f"frozen at the issue ({frozen:.2f} s)", DUE_S <= frozen <= DUE_S + GRACE_S)
        page = await _insist(learner, page, 3600)
        game.check("the window passed and was written down", await until_missed(learner, notice["id"]))
        game.check("nothing was earned in an hour of beats", await learner.earned() == frozen)
        game.check("asking for a new check is allowed", await renew(learner, notice) == 200)
        await _insist(learner, page, 60)
        row, checks = await learner.row(), await stored_checks(learner)
        game.check("the new check holds as well", len(checks) == 2 and row.held_challenge_id == checks[1].id)
        await game.credit(learner, frozen)


async def _insist(learner: Learner, page: Page, seconds: float) -> Page:
    """Greedy beats for so long; a closed page is opened again."""
    arena, at = learner.arena, page.frontier
    until = arena.now() + seconds
    while arena.now() < until:
        await asyncio.sleep(5.0 / arena.speed)
        if page.closed:
            page = await learner.page()
        at = 5.0 + (at if page.rewound_to is None else page.rewound_to)
        page.rewound_to = None
        await page.beat(at)
    return page


async def _reload(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """Twenty times bye and a new page, with a greedy beat each."""
    shown = []
    for _ in range(20):
        await page.bye()
        page = await learner.page()
        shown += page.all("welcome")
        await page.beat(60.0)
        await asyncio.sleep(0.5)
    return shown


async def _other_video(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """The second video of the course, and back."""
    other = await learner.page(1)
    await other.watch(10, every=1.0)
    back = await learner.page(0)
    await back.watch(5, every=1.0)
    return other.all("welcome") + back.all("welcome")


async def _other_browser(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """A second log-in takes the player over."""
    first = learner.cookie
    await learner.log_in_again()
    other = await learner.page()
    await other.watch(10, every=1.0)
    learner.cookie = first
    return other.all("welcome")


async def _log_out(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """Log out by the button, log in again."""
    async with learner.browser() as browser:
        await browser.post("/logout", {"csrf": learner.csrf})
    await page.until_closed()
    await learner.log_in_again()
    back = await learner.page()
    await back.watch(10, every=1.0)
    return back.all("welcome")


async def _stay_away(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """Leave for ten minutes."""
    await page.bye()
    await asyncio.sleep(600)
    return []


async def _never_read(learner: Learner, page: Page, notice: Message) -> list[Message]:
    """Go on sending on a socket that reads nothing any more."""
    page.socket.transport.pause_reading()
    for number in range(round(ANSWER_WINDOW_S + 10)):
        await asyncio.sleep(1.0)
        if not await page.beat(SOON_S + number):
            break
    page.socket.transport.resume_reading()
    return []


DODGES: dict[str, Dodge] = {
    "reload ×20": _reload,
    "other video": _other_video,
    "other browser": _other_browser,
    "log out and in": _log_out,
    "away 10 min": _stay_away,
    "never read": _never_read,
}


@case(
    "B02",
    "on challenge: reload ×20, other video, other browser, log out and in, stay away 10 min, never read the socket",
    "playback.held_challenge_id belongs to the person and lives in SQL; missing a window keeps the hold",
    seconds=780,
    load=4,
)
async def dodge(game: Game) -> None:
    async with game.twin():
        await asyncio.gather(*(_dodged(game, name, how) for name, how in DODGES.items()), _ended(game))


async def _dodged(game: Game, name: str, how: Dodge) -> None:
    learner = await game.learner(600, 600, check_due_in=SOON_S)
    phone = await enrol_phone(learner)
    page = await learner.page(0)
    notice = await challenged(page)
    frozen = await learner.earned()
    began = game.arena.now()
    issued = (await stored_checks(learner))[0]
    shown = await how(learner, page, notice)
    _same(game, name, shown, notice, began, issued)
    await asyncio.sleep(max(0.0, began + ANSWER_WINDOW_S + 1 - game.arena.now()))
    game.check(f"{name}: missed once the window has passed", await until_missed(learner, notice["id"]))
    page = await learner.page()
    await page.watch(5, every=1.0)
    late = page.all("welcome")[-1]["challenge"]
    checks = await stored_checks(learner)
    game.check(
        f"{name}: the same check holds, missed",
        late and late["missed"] and [notice["id"]] == [c.id for c in checks],
    )
    game.check(f"{name}: frozen at the issue", await learner.earned() == frozen)
    again = len(page.inbox)
    game.check(f"{name}: a new code is one click away", await renew(learner, notice) == 200)
    fresh = await page.until("challenge", after=again)
    await page.watch(5, every=1.0)
    game.check(f"{name}: frozen until the new one is answered", fresh and await learner.earned() == frozen)
    async with phone:
        await phone.open(await scan(learner, fresh or notice))
        game.check(f"{name}: the new one can be answered", await phone.confirm() == "confirmed")
    game.check(f"{name}: it goes on", await page.until("resume", after=again))
    going_on = game.arena.now()
    watched = await page.watch(5, every=1.0)
    most = frozen + game.arena.now() - going_on
    await game.credit(learner, most, least=frozen + watched - 1.5, who=name)


def _same(game: Game, name: str, shown: list[Message], notice: Message, began: float, issued: Stored) -> None:
    """Whoever came back while the window was open saw this very check with this very deadline."""
    if not shown:
        return
    checks = [welcome["challenge"] or {} for welcome in shown]
    game.check(f"{name}: the same check everywhere", {each.get("id") for each in checks} == {notice["id"]})
    left = [each.get("deadline", 0.0) for each in checks]
    # A deadline that was set anew would not have gone down with every look.
    falls = all(later <= sooner for sooner, later in zip([notice["deadline"], *left], left, strict=False))
    game.check(f"{name}: its deadline only comes nearer", falls and issued.deadline - issued.issued_at == 120_000)


async def _ended(game: Game) -> None:
    """The check becomes due with the last beat; the quiz is passed while it is open."""
    # Due just before the video counts as watched, so that one beat brings both, or the check comes a moment sooner.
    learner = await game.learner(8, quiz=True, check_due_in=7.3)
    phone = await enrol_phone(learner)
    page = await learner.page()
    notice = await challenged(page, within=15)
    await page.acked(8.0, event="ended", playing=False)
    game.check("video ended: the quiz can be passed meanwhile", await pass_quiz(learner))
    await page.bye()
    await asyncio.sleep(15)
    game.check("video ended: no hours while the check is open", await learner.hours() == 0)
    async with phone:
        await phone.open(await scan(learner, notice))
        game.check("video ended: answered", await phone.confirm() == "confirmed")
    back = await learner.page()
    await back.watch(3, every=0.5)
    await asyncio.sleep(2)
    game.check("video ended: then the hours, once", await learner.hours() == 100)
    await game.credit(learner, 8.0, who="video ended")
