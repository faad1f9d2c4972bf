"""F03, F05, F06, F19: networks that die without a word, cut idle lines, hold packets back, delay and lose them."""

from __future__ import annotations

import asyncio
import itertools

from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.proxy import Proxy, bad_path, behind
from tests.redteam.viewer import Viewer

#: Silence up to this long counts in full (watch.gap_grace_s).
GRACE_S = 15.0
BEAT_S = 5.0
#: A ticket and a welcome, while the machine plays every other case as well.
AT_ONCE_S = 3.0


@case(
    "F03",
    "half-open socket, new socket of the same page after 1–40 s, ×40, from a new address each time",
    "learning.watch: the session of `welcome` proves the same page; gaps up to gap_grace count",
    seconds=170,
    load=3,
    twin=False,
)
async def half_open(game: Game) -> None:
    learners = 8
    gaps = list(range(1, 41))
    await asyncio.gather(*(_half_open(game, number, gaps[number::learners]) for number in range(learners)))


async def _half_open(game: Game, number: int, gaps: list[int]) -> None:
    learner = await game.learner(7200)
    hosts = itertools.count(1)
    node = game.arena.nodes[number % len(game.arena.nodes)]
    proxy = Proxy(node, source=lambda: f"127.3.{number}.{next(hosts)}")
    async with behind(game.arena, proxy) as learner.arena:
        viewer = Viewer(learner)
        await viewer.open()
        await viewer.play()
        for gap in gaps:
            await viewer.watch(6)
            proxy.die()
            viewer.wants_line = False
            await viewer.watch(gap)
            viewer.wants_line = True
            await viewer.come_back()
        await viewer.watch(6)
        ran = await viewer.finish()
        who = f"gaps {gaps}"
        game.check(f"{who}: never told that somebody plays ({viewer.busy} times)", viewer.busy == 0)
        slowest = max(viewer.back_after)
        game.check(f"{who}: in at once, over its own dead twin (at most {slowest:.2f} s)", slowest < AT_ONCE_S)
        game.check(f"{who}: the same page every time", viewer.recovered == [True] * len(gaps))
        game.check(f"{who}: no new log-in", not viewer.refused)
        # The video pauses by itself after 15 s without a word, so what it ran is within the grace; what was under
        # way when the line died may be one beat.
        lost = sum(max(0.0, gap + BEAT_S - GRACE_S) for gap in gaps)
        await game.honest_credit(learner, ran, lost=min(lost, 1.0 * len(gaps)), who=who)
    game.check(f"{who}: no finding at all", not await learner.findings())


@case(
    "F05",
    "a proxy that closes a connection after 60 s without data from the server, while the player is paused",
    "a paused page beats on and is acknowledged; gateway.hub.PING_MS: 20 s, and lock_ttl below the proxy's limit",
    seconds=160,
    load=1,
    twin=False,
)
async def idle_proxy(game: Game) -> None:
    learner = await game.learner(600)
    proxy = Proxy(game.arena.nodes[0], idle_s=60)
    async with behind(game.arena, proxy) as learner.arena:
        viewer = Viewer(learner)
        await viewer.open()
        first = viewer.page
        await viewer.play()
        await viewer.watch(5)
        await viewer.pause()
        await viewer.watch(130)
        game.check("the paused player stays on the same socket", viewer.page is first and not viewer.recovered)
        silence = proxy.longest_silence
        game.check(f"the server never says nothing for more than 25 s (at most {silence:.1f} s)", silence < 25)
        game.check("the proxy cut nothing", proxy.cut == 0)
        await viewer.play()
        await viewer.watch(5)
        await game.honest_credit(learner, await viewer.finish())


@case(
    "F06",
    "beats held up in the network for 12 s and for 30 s, then all at once",
    "telemetry.session: carry keeps unspent time, gap_ms explains the burst; silence up to gap_grace counts",
    seconds=70,
    load=2,
    twin=False,
)
async def held_up(game: Game) -> None:
    await asyncio.gather(_held_up(game, 12, 0.0), _held_up(game, 30, 30 - GRACE_S))


async def _held_up(game: Game, seconds: float, lost: float) -> None:
    learner = await game.learner(600)
    proxy = Proxy(game.arena.nodes[0])
    async with behind(game.arena, proxy) as learner.arena:
        # This page never pauses by itself, so that the video really runs on through the whole silence.
        viewer = Viewer(learner, silent_s=1e9)
        await viewer.open()
        await viewer.play()
        await viewer.watch(10)
        # The silence begins with a beat that arrived, so it is as long as beats are held.
        await viewer.seek(viewer.position)
        assert viewer.page is not None
        await viewer.page.settle()
        viewer.wants_line = False
        proxy.hold(True)
        await viewer.watch(seconds)
        proxy.hold(False)
        viewer.wants_line = True
        await viewer.watch(15)
        ran = await viewer.finish()
        who = f"held {seconds} s"
        game.note(f"{who}: rewound {len(viewer.rewinds)} times")
        credit = await game.honest_credit(learner, ran, lost=lost, who=who)
        game.check(f"{who}: the silence counted up to the grace", credit.given >= ran - lost - 1)
    game.check(f"{who}: no finding at all", not await learner.findings())


@case(
    "F19",
    "a network path of 200 ms ± 150 ms and 2 % loss, from the first request on, to the end of the video",
    "telemetry.session: carry and jitter take in what is late; `ended` counts until the rest is earned",
    seconds=130,
    load=2,
    twin=False,
)
async def far_away(game: Game) -> None:
    await asyncio.gather(*(_far_away(game, seed) for seed in range(4)))


async def _far_away(game: Game, seed: int) -> None:
    duration = 100.0
    learner = await game.learner(duration)
    proxy = Proxy(game.arena.nodes[seed % len(game.arena.nodes)], late=bad_path(0.2, 0.15, 0.02, seed))
    async with behind(game.arena, proxy) as learner.arena:
        viewer = Viewer(learner)
        await viewer.open()
        await viewer.play()
        took = await viewer.to_the_end(duration + 20)
        who = f"path {seed}"
        game.check(f"{who}: watched to the end ({took:.1f} s), no rewind", viewer.watched and not viewer.rewinds)
        game.check(f"{who}: never reconnected", not viewer.recovered)
        await game.honest_credit(learner, duration, who=who)
    game.check(f"{who}: no finding at all", not await learner.findings())
