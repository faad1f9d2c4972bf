"""F13, F17: many learners at once: behind one address, in turn at one computer, and through a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from player_server.auth.passwords import hash_password
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner
from tests.redteam.phone import put_on_roster
from tests.redteam.viewer import Viewer
from tests.support.http_browser import HttpBrowser
from tests.support.learner import PASSWORD
from tests.support.processes import until

CLASS = 30
CROWD = 500
GRACE_S = 15.0


@case(
    "F13",
    "30 learners behind one address log in and watch at once; two learners use one PC in turn",
    "auth.throttle has room for a class behind one address; log-in, CSRF and player belong to the cookie alone",
    seconds=110,
    load=5,
    twin=False,
)
async def one_address(game: Game) -> None:
    await asyncio.gather(_class(game), _shared_pc(game))


async def _log_in(learner: Learner, browser: HttpBrowser, number: str) -> None:
    """By the log-in page, as everybody does."""
    await browser.get("/login")
    await browser.submit("/login", id_number=number, password=PASSWORD)
    cookies = {cookie.key: cookie.value for cookie in browser.http.cookie_jar}
    assert browser.path != "/login" and "xueshi" in cookies, browser.page[:500]
    learner.cookie = cookies["xueshi"]


async def _class(game: Game) -> None:
    learners = await game.learners_of(CLASS, 600)
    hashed = await hash_password(PASSWORD)
    numbers = [await put_on_roster(each, hashed) for each in learners]
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def enter(learner: Learner, number: str) -> None:
        async with HttpBrowser(game.arena.nodes[0]) as browser:
            await _log_in(learner, browser, number)

    await asyncio.gather(*(enter(*each) for each in zip(learners, numbers, strict=True)))
    game.check(f"30 log-ins from one address in {loop.time() - began:.1f} s", loop.time() - began < 30)

    async def watch(learner: Learner) -> float:
        viewer = Viewer(learner)
        await viewer.open()
        await viewer.play()
        await viewer.watch(60)
        ran = await viewer.finish()
        game.check("nobody was disturbed", not (viewer.recovered or viewer.rewinds or viewer.busy))
        return ran

    ran = await asyncio.gather(*(watch(each) for each in learners))
    await asyncio.gather(
        *(game.honest_credit(each, time, who="class") for each, time in zip(learners, ran, strict=True))
    )
    game.check("no finding at all", not any([await each.findings() for each in learners]))


async def _shared_pc(game: Game) -> None:
    first, second = await game.learners_of(2, 600)
    hashed = await hash_password(PASSWORD)
    numbers = [await put_on_roster(each, hashed) for each in (first, second)]
    address = game.arena.nodes[0]
    async with HttpBrowser(address) as computer:
        for learner, number in zip((first, second), numbers, strict=True):
            await _log_in(learner, computer, number)
            viewer = Viewer(learner, node=0)
            await viewer.open()
            assert viewer.page is not None
            welcome = viewer.page.all("welcome")[0]
            fresh = welcome["frontier"] == 0 and not welcome["recovered"] and viewer.busy == 0
            game.check("shared PC: starts with nothing inherited", fresh)
            await viewer.play()
            await viewer.watch(10)
            ran = await viewer.finish()
            await computer.post("/logout", {"csrf": learner.csrf})
            game.check("shared PC: the log-out closes the player", await viewer.page.until_closed(5) == 4003)
            await game.honest_credit(learner, ran, who="shared PC")
            game.check("shared PC: no finding at all", not await learner.findings())


@case(
    "F17",
    "restart of every server node with 500 players",
    "gateway.hub.stop: commit, then 1012; the page comes back with jitter and its session, the gap counts up to G",
    seconds=150,
    load=30,
    twin=False,
)
async def restart(game: Game) -> None:
    async with game.own_arena() as arena:
        learners = await game.learners_of(CROWD, 7200, arena=arena)
        viewers = [Viewer(each) for each in learners]
        doors = asyncio.Semaphore(20)

        async def enter(viewer: Viewer) -> None:
            async with doors:
                await viewer.open()
                await viewer.play()

        stop = asyncio.Event()

        async def live(viewer: Viewer) -> None:
            await enter(viewer)
            while not stop.is_set():
                await viewer.watch(1)

        living = [asyncio.create_task(live(each)) for each in viewers]
        await until(lambda: all(each.page for each in viewers), timeout=60)
        await asyncio.sleep(15)
        began = arena.now()
        await asyncio.gather(*(server.stop() for server in arena.servers))
        await asyncio.gather(*(server.start() for server in arena.servers))
        for node in arena.nodes:
            await arena.until_ready(node)
        game.note(f"the servers were away for {arena.now() - began:.1f} s")
        with suppress(AssertionError):
            await until(lambda: all(each.recovered for each in viewers), timeout=30 + began - arena.now())
        back = [max(each.back_after, default=1e9) for each in viewers]
        game.check(f"all 500 are back within 30 s (the last after {max(back):.1f} s)", max(back) < 30)
        game.check("each as the same page", all(each.recovered == [True] for each in viewers))
        await asyncio.sleep(15)
        stop.set()
        await asyncio.gather(*living)
        ran = await asyncio.gather(*(each.finish() for each in viewers))
        await asyncio.gather(*(page.close() for each in learners for page in each.pages))
        given = [await each.earned() for each in learners]
        lost = [time - earned for time, earned in zip(ran, given, strict=True)]
        game.note(f"lost of {sum(ran) / CROWD:.0f} s each: mean {sum(lost) / CROWD:.2f} s, worst {max(lost):.2f} s")
        game.check("nobody got more than ran", min(lost) > -0.5)
        found = [each.person_id for each in learners if await each.findings()]
        game.check(f"no finding at all ({len(found)} learners have some)", not found)
        worst = lost.index(max(lost))
        await game.honest_credit(learners[worst], ran[worst], lost=GRACE_S - 1, who="the one who lost most")
