"""F12, F16, F22: the end of a video and of its quiz: early, twice, at the same instant, with a crash between."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import aiohttp
from sqlalchemy import func, select

from player_server.storage.tables import attempt, ledger_entry
from tests.redteam.arena import Arena
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.honest.screen import clips
from tests.redteam.people import ANSWER_S, Learner
from tests.redteam.sheets import hand_in, open_sheet
from tests.redteam.viewer import Viewer
from tests.support.processes import until

#: As arena courses are made: one hour a video, in hundredths.
HOURS = 100


async def _until_hours(learner: Learner, timeout: float = ANSWER_S) -> int:
    """Wait until hours are credited; how many (hundredths)."""
    with suppress(AssertionError):
        await until(learner.hours, timeout=timeout)
    return await learner.hours()


async def _count(learner: Learner, table: object) -> int:
    assert table in (attempt, ledger_entry)
    rows = attempt if table is attempt else ledger_entry
    async with learner.arena.services.db.read() as conn:
        query = select(func.count()).select_from(rows).where(rows.c.learner_id == learner.learner_id)
        return int(await conn.scalar(query) or 0)


@case(
    "F12",
    "the browser's video ends 0.3 s short or long of the catalogue; audio longer than video and the reverse; 3 s",
    "telemetry.rules.watched_from_ms: min(500 ms, 10 %) of tolerance; positions are clipped to the duration",
    seconds=60,
    load=4,
    twin=False,
    browser=True,
)
async def ends(game: Game) -> None:
    async def play(who: str, duration: float, ends_at: float) -> None:
        learner = await game.learner(duration)
        viewer = Viewer(learner, ends_at=ends_at)
        await viewer.open()
        await viewer.play()
        took = await viewer.to_the_end(duration + 15)
        tolerance = min(0.5, duration / 10)
        game.check(f"{who}: watched, never stuck ({took:.2f} s)", viewer.watched and took < duration + 3)
        game.check(f"{who}: never instant", took >= duration - tolerance)
        await game.honest_credit(learner, duration, who=who)
        game.check(f"{who}: no finding at all", not await learner.findings())

    await asyncio.gather(play("0.3 s short", 20, 19.7), play("0.3 s long", 20, 20.3), play("3 s", 3, 3))
    await clips(game)


@case(
    "F16",
    "the quiz is opened and finished before the last beat arrived; [交卷] is double-clicked",
    "learning.quiz: a sheet may be opened within gap_grace of the end, one sheet is one attempt; learning.settle",
    seconds=40,
    load=1,
    twin=False,
    smoke=True,
)
async def early_finish(game: Game) -> None:
    learner = await game.learner(12, quiz=True)
    viewer = Viewer(learner)
    await viewer.open()
    await viewer.play()
    await viewer.watch(6)
    async with learner.browser() as browser:
        fields = await open_sheet(learner, browser)
        clicks = (hand_in(learner, browser, fields), hand_in(learner, browser, fields))
        twice = list(await asyncio.gather(*clicks))
        game.check(f"both clicks get the result {twice}", twice == [(200, True), (200, True)])
        game.check("the result says that the video is missing", await learner.hours() == 0)
        again = await hand_in(learner, browser, fields)
        game.check("sent again later: the same result", again == (200, True))
    game.check("one attempt", await _count(learner, attempt) == 1)
    await viewer.to_the_end(30)
    game.check("the last beat decides: hours without another quiz", await _until_hours(learner, 10) == HOURS)
    game.check("once", await _count(learner, ledger_entry) == 1)
    await game.honest_credit(learner, 12)
    game.check("no finding at all", not await learner.findings())


@case(
    "F22",
    "quiz all right in the same instant as the last beat, on two nodes, with a kill -9 between; 3 × 8 learners",
    "learning.settle: whoever commits last credits, a unique key lets one in, the worker's sweep repairs",
    seconds=120,
    load=10,
    twin=False,
)
async def together(game: Game) -> None:
    async with game.own_arena(nodes=2) as arena:
        for round_, victims in enumerate(((0,), (1,), (0, 1))):
            learners = await game.learners_of(8, 5, quiz=True, arena=arena)
            await asyncio.gather(*(_ready(each) for each in learners))
            draw = random.Random(round_)
            sent = [asyncio.create_task(_both(each, draw.uniform(0, 0.25))) for each in learners]
            await asyncio.sleep(draw.uniform(0.05, 0.3))
            for victim in victims:
                arena.servers[victim].kill()
            finished = sum(await asyncio.gather(*sent))
            watched = sum(each.pages[0].watched for each in learners)
            await _restart(arena, victims)
            await asyncio.gather(*(_insist(each) for each in learners))
            who = f"kill of node {' and '.join(str(each + 1) for each in victims)}"
            hours = [await _until_hours(each) for each in learners]
            game.note(f"{who}: {finished} quizzes and {watched} last beats of 8 were answered before it")
            game.check(f"{who}: every learner has the hours {hours}", hours == [HOURS] * 8)
            entries = [await _count(each, ledger_entry) for each in learners]
            game.check(f"{who}: exactly once {entries}", entries == [1] * 8)
            attempts = [await _count(each, attempt) for each in learners]
            game.check(f"{who}: one attempt each {attempts}", attempts == [1] * 8)
            for each in learners:
                await game.honest_credit(each, 5, lost=0.5, who=who)


_sheets: dict[int, list[tuple[str, str]]] = {}


async def _ready(learner: Learner) -> None:
    """Watch to just before the end, and open the sheet on the other node."""
    page = await learner.page(node=0)
    await page.watch(4.2, every=0.7)
    async with learner.browser(1) as browser:
        _sheets[learner.learner_id] = await open_sheet(learner, browser)
    await page.acked(4.2, event="play")


async def _both(learner: Learner, after: float) -> bool:
    """The last beat to node 1 and the sheet to node 2 at once; whether the quiz was answered."""
    await asyncio.sleep(after)
    page = learner.pages[-1]

    async def beats() -> None:
        for position in (4.6, 5.0, 5.0, 5.0):
            await page.beat(position, event="ended" if position == 5 else "tick")
            await asyncio.sleep(0.2)

    async def quiz() -> bool:
        try:
            async with learner.browser(1) as browser:
                return (await hand_in(learner, browser, _sheets[learner.learner_id]))[1]
        except aiohttp.ClientError:
            return False

    answered, _ = await asyncio.gather(quiz(), beats())
    return answered


async def _insist(learner: Learner) -> None:
    """What page and browser do after the crash: come back, play the rest, send the same sheet again."""
    viewer = Viewer(learner, node=1)
    viewer.session = learner.pages[0].session
    await viewer.open()
    await viewer.seek(4.0)
    await viewer.play()
    await viewer.to_the_end(20)
    async with learner.browser(0) as browser:
        await hand_in(learner, browser, _sheets[learner.learner_id])


async def _restart(arena: Arena, numbers: tuple[int, ...]) -> None:
    for number in numbers:
        await arena.servers[number].wait()
        await arena.servers[number].start()
    for number in numbers:
        await arena.until_ready(arena.nodes[number])
