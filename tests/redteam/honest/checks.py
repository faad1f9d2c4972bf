"""F14–F15: slow phones and missed checks."""

from __future__ import annotations

import asyncio

from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner
from tests.redteam.phone import challenged, enrol_phone, form_of, renew, scan, stored_checks, until_missed
from tests.support.processes import until

SOON_S = 3.0
WINDOW_S = 120.0
ROTATE_S = 20.0


@case(
    "F14",
    "slow phone: confirms 1 s before the deadline; the QR turns during the scan; the reply is lost and retried",
    "policy.challenges: the deadline itself is in time, one turn of grace, an answered check says so",
    seconds=150,
    load=2,
    twin=False,
)
async def slow_phone(game: Game) -> None:
    await asyncio.gather(_at_the_last_second(game), _turned_while_scanning(game))


async def _seconds_left(learner: Learner) -> float:
    services = learner.arena.services
    async with services.db.read() as conn:
        now = await services.clock.read(conn)
    return ((await stored_checks(learner))[-1].deadline - now.ms) / 1000


async def _at_the_last_second(game: Game) -> None:
    learner = await game.learner(600, check_due_in=SOON_S)
    page = await learner.page()
    watched = SOON_S
    async with await enrol_phone(learner) as phone:
        notice = await challenged(page)
        watched = await learner.earned()
        waiting = asyncio.create_task(asyncio.sleep(max(0.0, await _seconds_left(learner) - 6)))
        while not waiting.done():
            await page.acked(page.frontier, playing=False)
            await asyncio.sleep(2)
        await phone.open(await scan(learner, notice))
        await asyncio.sleep(await _seconds_left(learner) - 1.0)
        game.check("1 s before the deadline: confirmed", await phone.confirm() == "confirmed")
    game.check("1 s before the deadline: it goes on", await page.until("resume"))
    watched += await page.watch(6, every=1.0)
    await game.honest_credit(learner, watched, who="1 s before the deadline")
    game.check("1 s before the deadline: no finding at all", not await learner.findings())


async def _turned_while_scanning(game: Game) -> None:
    learner = await game.learner(600, check_due_in=SOON_S)
    page = await learner.page()
    async with await enrol_phone(learner) as phone:
        notice = await challenged(page)
        watched = await learner.earned()
        code = await scan(learner, notice)

        async def turned() -> bool:
            return await scan(learner, notice) != code

        await until(turned, timeout=ROTATE_S + 2)
        game.check("the code of the last turn still opens", await phone.open(code) == "")
        form = form_of(phone.page)
        # The first reply is lost on its way: the phone does not know, and its owner presses again.
        task = asyncio.create_task(phone.post("/c/confirm", form))
        await page.until("resume")
        await task
        await phone.post("/c/confirm", form)
        game.check(f"pressed again: {phone.result}", phone.result == "already_confirmed")
        game.check("with a page that is no error", phone.status == 200)
    watched += await page.watch(6, every=1.0)
    await game.honest_credit(learner, watched, who="turned while scanning")
    game.check("turned while scanning: no finding at all", not await learner.findings())


@case(
    "F15",
    "the check is missed while the learner is away",
    "learning.challenges: what was earned stays, the hold stays, one click issues a successor",
    seconds=160,
    load=1,
    twin=False,
)
async def missed(game: Game) -> None:
    learner = await game.learner(600, check_due_in=20)
    page = await learner.page()
    async with await enrol_phone(learner) as phone:
        notice = await challenged(page, within=40)
        watched = await learner.earned()
        await page.bye()
        await asyncio.sleep(WINDOW_S + 1)
        game.check("written down as missed", await until_missed(learner, notice["id"]))
        game.check(f"the {watched:.1f} s earned before stay", await learner.earned() == watched)
        page = await learner.page(takeover=False)
        told = page.all("welcome")[-1]["challenge"]
        game.check("the page says why nothing counts", told and told["missed"] and told["id"] == notice["id"])
        after = len(page.inbox)
        game.check("one click", await renew(learner, told) == 200)
        fresh = await page.until("challenge", after=after, timeout=5)
        game.check("to a new code, at once", fresh and not fresh["missed"] and fresh["id"] != notice["id"])
        await phone.open(await scan(learner, fresh or notice))
        game.check("which can be answered", await phone.confirm() == "confirmed")
    game.check("and it goes on", await page.until("resume"))
    watched += await page.watch(6, every=1.0)
    await game.honest_credit(learner, watched)
    found = await learner.findings()
    game.check(f"only the missed check is noted (found {found})", set(found) <= {"challenge_missed"})
