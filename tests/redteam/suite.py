"""Plays cases side by side, the longest first, never more at once than the machine can bear."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence

from tests.redteam.arena import Stores
from tests.redteam.case import LOAD, Case, Verdict
from tests.redteam.game import Game

#: A case that takes this many times its announced time hangs.
PATIENCE = 3.0
PATIENCE_MORE_S = 120.0


class _Budget:
    """So much load at once; whoever does not fit waits."""

    def __init__(self, load: int) -> None:
        self._free = load
        self._news = asyncio.Condition()

    async def take(self, load: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self._free >= load)
            self._free -= load

    async def give(self, load: int) -> None:
        async with self._news:
            self._free += load
            self._news.notify_all()


async def play_all(
    cases: Sequence[Case], stores: Stores, *, smoke: bool = False, done: Callable[[Verdict], None] = lambda _: None
) -> list[Verdict]:
    """Play these cases; `done` hears of each as it ends. Returns their verdicts in the order of `cases`."""
    budget = _Budget(LOAD)
    for name in dict.fromkeys(each.arena for each in cases):
        await stores.shared(name)
    order = sorted(cases, key=lambda each: -each.seconds)
    games: dict[str, Game] = {}

    async def play(case: Case) -> None:
        load = min(case.load, LOAD)
        await budget.take(load)
        try:
            games[case.id] = await _play(case, stores, smoke)
        finally:
            await budget.give(load)
        done(games[case.id].verdict)

    await asyncio.gather(*(play(case) for case in order))
    for game in games.values():
        await game.look_again()
    return [games[each.id].verdict for each in cases]


async def _play(case: Case, stores: Stores, smoke: bool) -> Game:
    game = Game(case, await stores.shared(case.arena), stores, smoke=smoke)
    began = time.monotonic()
    try:
        async with asyncio.timeout(case.seconds * PATIENCE + PATIENCE_MORE_S), game.stack:
            await case.play(game)
    except Exception:
        game.verdict.error = "".join(traceback.format_exc(limit=-6))
    finally:
        pages = [page for learner in game.learners for page in learner.pages if not page.closed]
        await asyncio.gather(*(page.close() for page in pages), return_exceptions=True)
    game.verdict.took_s = time.monotonic() - began
    return game
