"""A02–A06: claiming more time than passed, by position, by step, by number, by rate."""

from __future__ import annotations

import asyncio

from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner


@case(
    "A04",
    "tick farming: 600 beats in 60 s, each one claiming a whole beat",
    "telemetry.session.step: a beat's allowance is the time since the last one, not a constant",
    slope=True,
    smoke=True,
)
async def tick_farming(game: Game) -> None:
    length = game.seconds(60, 8)

    async def farm(count: int) -> tuple[Learner, float]:
        learner = await game.learner(7200)
        page = await learner.page()
        every = length / count
        await page.acked(0.0, event="play")
        for _ in range(count):
            await asyncio.sleep(every)
            # As much more than has passed as is not even rewound.
            await page.beat(page.frontier + every + 1.9)
        await page.settle()
        return learner, game.arena.now() - page.opened_at

    async with game.twin():
        await game.slope(farm, (10, 100, 600))
