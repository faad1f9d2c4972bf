"""A11, A12, A16, A17: time that is played again, told wrong, or slept through."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from tests.redteam.arena import ARENAS, Kind
from tests.redteam.case import case
from tests.redteam.clock import HOUR_S
from tests.redteam.game import Game
from tests.redteam.people import Learner, Message, Page

GRACE_S = 15.0
YEAR_S = 365 * 24 * HOUR_S


@case(
    "A11",
    "300 s recorded, replayed ×10: in order, reversed, shuffled, the next day; with old and with new numbers",
    "telemetry.session.step: a position at or behind the frontier earns nothing, a used seq is a replay",
    seconds=90,
    arena="fast",
    slope=True,
    smoke=True,
)
async def replay(game: Game) -> None:
    length = game.seconds(300, 60)

    async def record(learner: Learner) -> tuple[Page, float, list[Message]]:
        """Watch honestly; the page, what that earned, and its beats up to there."""
        page = await learner.page()
        await page.watch(length)
        earned = await learner.earned()
        return page, earned, [each for each in page.sent if each["position"] <= earned]

    async def again(count: int) -> tuple[Learner, float]:
        learner = await game.learner(3600)
        page, earned, beats = await record(learner)
        await page.drop()
        shuffled = random.Random(count)
        for round_ in range(count):
            order = list(beats)
            if round_ % 3 == 1:
                order.reverse()
            elif round_ % 3 == 2:
                shuffled.shuffle(order)
            page = await learner.page()
            for beat in order:
                if round_ % 2:
                    page.seq += 1
                    beat = beat | {"seq": page.seq}
                await page.send(**beat | {"playing": True, "rewind": None})
            await asyncio.sleep(0.05)
            await page.drop()
        return learner, earned

    async def next_day() -> None:
        # Clocks that run together must jump together, so this one has servers of its own.
        async with game.own_arena(ARENAS["fast"]) as arena:
            learner = await game.learner(3600, arena=arena)
            page, earned, beats = await record(learner)
            session = page.session
            await page.drop()
            assert arena.clock is not None
            arena.clock.jump(24 * HOUR_S)
            page = await learner.page(session=session)
            for beat in beats:
                await page.send(**beat | {"playing": True, "rewind": None})
            await page.close()
            await game.credit(learner, earned, who="next day")

    async with game.twin():
        await asyncio.gather(game.slope(again, (1, 10, 100)), next_day())


@case(
    "A12",
    "client clocks at 0, ±10 years, jumping, text, missing; the server's wall clock set −120 s and +1 h",
    "telemetry.session.step takes the monotonic clock; gaps are two readings of the store's (storage/clock.py)",
    seconds=60,
    load=4,
)
async def wrong_clocks(game: Game) -> None:
    length = game.seconds(40, 8)
    stamps: dict[str, Any] = {
        "right": lambda now: now,
        "zero": lambda now: 0,
        "+10 years": lambda now: now + 10 * YEAR_S,
        "−10 years": lambda now: now - 10 * YEAR_S,
        "jumping": lambda now: now + random.uniform(-HOUR_S, HOUR_S),
        "text": lambda now: "noon",
        "missing": lambda now: None,
    }

    async def play(learner: Learner, who: str) -> None:
        page = await learner.page()
        clock, stamp = page.arena.now, stamps[who]
        await page.acked(0.0, event="play")
        began = clock()
        while clock() - began < length:
            await asyncio.sleep(2.0)
            told = stamp(clock())
            more = {} if told is None else {"time": told, "timestamp": told, "at": told, "now": told}
            await page.acked(clock() - began, **more)
        watched = clock() - began
        await page.acked(watched, playing=False, event="pause")
        await game.honest_credit(learner, watched, who=f"client clock {who}")

    async def stepped() -> None:
        async with game.own_arena(Kind(speed=1.0)) as arena:
            assert arena.clock is not None
            learner = await game.learner(3600, arena=arena)
            page = await learner.page()
            part, watched = length / 4, 0.0
            for step in (0.0, -120.0, HOUR_S, -HOUR_S):
                arena.clock.step_wall(step)
                watched += await page.watch(part, every=2.0)
                again = await learner.page(session=page.session)  # A reconnect across the step.
                again.seq, page = page.seq, again
                game.check("the same page is recognised after a step", page.all("welcome")[0]["recovered"])
            await game.honest_credit(learner, watched, who="server's wall clock stepped")

    async with game.twin():
        learners = await game.learners_of(len(stamps), 3600)
        await asyncio.gather(*(play(each, who) for each, who in zip(learners, stamps, strict=True)), stepped())


@case(
    "A16",
    "one video of 60 s in a loop for an hour",
    "telemetry.session.step: the frontier only grows, and a watched video earns nothing",
    seconds=620,
    arena="fast",
)
async def loop(game: Game) -> None:
    async with game.twin():
        learner = await game.learner(60, 3600)
        page = await learner.page()
        clock, began = page.arena.now, 0.0
        await page.acked(0.0, event="play")
        began = clock()
        while clock() - began < game.seconds(HOUR_S, 180):
            await asyncio.sleep(5.0 / page.arena.speed)
            position = (clock() - began) % 60
            await page.beat(position, event="seek" if position < 5 else "tick")
        await page.settle()
        await game.credit(learner, 60.0, least=58.5)
        game.check("nothing leaked into the other video", await learner.earned(1) == 0)


@case(
    "A17",
    "asleep for 8 h, then one huge beat, 5760 queued ones, or the same page on a new socket",
    "telemetry.session.step: usable = min(elapsed, gap_grace); silence beyond it earns nothing",
    seconds=30,
    arena="fast",
    smoke=True,
)
async def long_sleep(game: Game) -> None:
    async def sleep(how: str) -> None:
        async with game.own_arena(ARENAS["fast"]) as arena:
            assert arena.clock is not None
            learner = await game.learner(100_000, arena=arena)
            page = await learner.page()
            clock = arena.now
            before = await page.watch(60.0)
            await page.acked(page.frontier, event="play")
            began, earned = clock(), page.frontier
            arena.clock.jump(8 * HOUR_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    if how == "one huge beat":
                        await page.acked(earned + 8 * HOUR_S)
                    elif how == "5760 queued beats":
                        for number in range(5760):
                            if not await page.beat(earned + 5.0 * number):
                                break
                        await page.settle()
            again = await learner.page(session=page.session)
            again.seq = page.seq
            await again.acked(again.frontier + 8 * HOUR_S)
            await again.acked(again.frontier + GRACE_S)
            # It plays when it falls asleep, so the grace counts, and so does every second that it is awake again.
            awake = clock() - began - 8 * HOUR_S
            await game.credit(learner, earned + GRACE_S + awake, least=before - page.lost_in_gaps - 1, who=how)

    async with game.twin():
        await asyncio.gather(*(sleep(how) for how in ("one huge beat", "5760 queued beats", "a new socket")))
