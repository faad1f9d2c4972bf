"""F04, F11: what a media element does: stalls, coarse and jittery positions, beats at odd times, a fast clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.redteam.arena import ARENAS, Kind
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.viewer import Viewer

Shape = Callable[[float], float]


@case(
    "F04",
    "a buffering stall of 90 s",
    "telemetry.session: what is not playing earns nothing and loses nothing; a beat keeps the player alive",
    seconds=160,
    load=1,
    twin=False,
)
async def stall(game: Game) -> None:
    learner = await game.learner(600)
    viewer = Viewer(learner)
    await viewer.open()
    first = viewer.page
    await viewer.play()
    await viewer.watch(30)
    await viewer.stall()
    await viewer.watch(1)
    before = await learner.earned()
    await viewer.watch(89)
    game.check("nothing is earned while it stalls", await learner.earned() == before)
    await viewer.play()
    await viewer.watch(30)
    ran = await viewer.finish()
    game.check("the same socket throughout: no refresh", viewer.page is first and not viewer.recovered)
    game.check("no rewind", not viewer.rewinds)
    await game.honest_credit(learner, ran)
    game.check("no finding at all", not await learner.findings())


def _jittery(seed: int) -> Shape:
    draw = random.Random(seed)
    return lambda position: position + draw.uniform(-0.3, 0.3)


def _coarse(position: float) -> float:
    return position - position % 0.5


def _backward(seed: int) -> Shape:
    """Now and then a little before what was said last, as after a key frame."""
    draw = random.Random(seed)
    return lambda position: position - (0.2 if draw.random() < 0.3 else 0.0)


@case(
    "F11",
    "position jitter ±0.3 s, coarse steps, tiny backward moves, beats every 2, 7, 13 s for 600 s; "
    "and a media clock 500 ppm fast for 2 h",
    "telemetry.session: what is not spent is carried; jitter only decides about a rewind; the page slows to 0.97×",
    seconds=630,
    load=3,
    twin=False,
    scaled="only the 2 h of the fast media clock are on a fast clock (12×), everything else in real time",
)
async def rough_positions(game: Game) -> None:
    kinds: list[tuple[str, float, Shape]] = [
        ("jitter ±0.3 s, every 2 s", 2, _jittery(1)),
        ("jitter ±0.3 s, every 7 s", 7, _jittery(2)),
        ("jitter ±0.3 s, every 13 s", 13, _jittery(3)),
        ("steps of 0.5 s, every 7 s", 7, _coarse),
        ("backward moves, every 2 s", 2, _backward(4)),
        ("backward moves, every 13 s", 13, _backward(5)),
    ]
    await asyncio.gather(*(_rough(game, *kind) for kind in kinds), _fast_media_clock(game))


async def _rough(game: Game, who: str, every: float, shape: Shape) -> None:
    learner = await game.learner(7200)
    viewer = Viewer(learner, every=every, shape=shape)
    await viewer.open()
    await viewer.play()
    await viewer.watch(600)
    viewer.shape = lambda position: position
    ran = await viewer.finish()
    game.check(f"{who}: no rewind", not viewer.rewinds)
    await game.honest_credit(learner, ran, who=who)
    game.check(f"{who}: no finding at all", not await learner.findings())


async def _fast_media_clock(game: Game) -> None:
    # Not the shared fast clock: at 20× a second in which this busy machine does nothing would be a silence.
    async with game.own_arena(Kind(ARENAS["fast"].parts, speed=12.0)) as arena:
        learner = await game.learner(3 * 7200, arena=arena)
        viewer = Viewer(learner, speed=1 + 500e-6)
        await viewer.open()
        await viewer.play()
        await viewer.watch(7200)
        ran = await viewer.finish()
        who = f"media clock 500 ppm fast for {ran:.0f} s [fast clock]"
        game.check(f"{who}: no rewind", not viewer.rewinds)
        await game.honest_credit(learner, ran, who=who)
        game.check(f"{who}: no finding at all", not await learner.findings())
