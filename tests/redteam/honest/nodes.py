"""F23–F24: two nodes, and a row that somebody else holds."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from player_server.storage.tables import playback
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.proxy import Proxy, behind
from tests.redteam.viewer import Viewer

HOPS = 10


@case(
    "F23",
    "the page reconnects on node B while node A still drains its half-open socket, ×10 back and forth",
    "learning.watch: every hello makes epoch + 1, so what node A still has in flight matches no row",
    seconds=110,
    load=6,
    twin=False,
)
async def hop(game: Game) -> None:
    async with game.own_arena(nodes=2) as arena:
        learner = await game.learner(7200, arena=arena)
        proxies = [Proxy(node) for node in arena.nodes]
        async with behind(arena, proxies[0]) as first, behind(arena, proxies[1]) as second:
            views = (first, second)
            learner.arena = first
            # Two beats a second, so that there is always something to drain.
            viewer = Viewer(learner, every=0.5)
            await viewer.open()
            await viewer.play()
            for number in range(HOPS):
                here, there = number % 2, (number + 1) % 2
                await viewer.watch(4)
                former = viewer.page
                proxies[here].hold(True)
                await viewer.watch(2)
                learner.arena = views[there]
                arriving = asyncio.create_task(_let_go(proxies[here]))
                # The page has not closed its old socket yet: its beats arrive at the old node meanwhile.
                viewer.page = None
                await viewer.open()
                await arriving
                assert former is not None
                await former.settle(0.5)
                await former.drop()
            await viewer.watch(4)
            ran = await viewer.finish()
            learner.arena = arena
            game.check("the same page every time", viewer.recovered == [True] * HOPS)
            game.check("no rewind, never busy", not viewer.rewinds and not viewer.busy)
            await game.honest_credit(learner, ran)
        game.check("no finding at all", not await learner.findings())


async def _let_go(proxy: Proxy) -> None:
    await asyncio.sleep(0.02)
    proxy.hold(False)


@case(
    "F24",
    "one playback row is locked for 5 s by a staff action (PostgreSQL; on SQLite the lock is everybody's)",
    "storage.playback: short lock_timeout, then SKIP LOCKED: only that learner waits; nobody loses a second",
    seconds=60,
    load=2,
    twin=False,
)
async def locked_row(game: Game) -> None:
    async with game.own_arena() as arena:
        learners = await game.learners_of(4, 600, arena=arena)
        viewers = [Viewer(each, every=1.0, node=0) for each in learners]
        for viewer in viewers:
            await viewer.open()
            await viewer.play()
        living = asyncio.gather(*(viewer.watch(25) for viewer in viewers))
        await asyncio.sleep(5)
        async with arena.services.db.write() as conn:
            query = select(playback).where(playback.c.person_id == learners[0].person_id).with_for_update()
            await conn.execute(query)
            await asyncio.sleep(0.5)
            waits = await asyncio.gather(*(_longest_wait(viewer, 4.5) for viewer in viewers))
        await living
        ran = [await viewer.finish() for viewer in viewers]
        told = ", ".join(f"{each:.2f}" for each in waits)
        game.note(f"longest wait for an ack: {told} s (the first one's row was locked)")
        if arena.services.db.kind == "postgresql":
            game.check("the locked learner waits", waits[0] > 3)
            game.check("and nobody else does", max(waits[1:]) < 1.0)
        else:
            game.check("SQLite has one writer: everybody waits", min(waits) > 3)
        same = all(not viewer.recovered and not viewer.rewinds for viewer in viewers)
        game.check("nobody is disconnected or rewound", same)
        for learner, time in zip(learners, ran, strict=True):
            await game.honest_credit(learner, time, who=f"learner {learners.index(learner) + 1}")
            game.check("no finding at all", not await learner.findings())


async def _longest_wait(viewer: Viewer, seconds: float) -> float:
    """The longest time that a beat waited for its ack within so many seconds."""
    longest, until = 0.0, asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        longest = max(longest, viewer.waiting)
        await asyncio.sleep(0.02)
    return longest
