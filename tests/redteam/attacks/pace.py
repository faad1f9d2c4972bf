"""A01–A08: claiming more time than passed, by perfection, by position, by step, by number, by rate, by silence."""

from __future__ import annotations

import asyncio
from itertools import product

from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, Page

#: So much more than has passed may be claimed without even a rewind (setting watch.jitter_s, less a little).
GREED_S = 1.9
BEAT_S = 5.0


async def greedy(page: Page, seconds: float, every: float) -> None:
    """Beat for so long, each time claiming as much more than has passed as is not rewound."""
    clock = page.arena.now
    await page.acked(page.frontier, event="play")
    began = heard = clock()
    while not page.closed and clock() - began < seconds:
        await asyncio.sleep(every / page.arena.speed)
        passed, heard = clock() - heard, clock()
        await page.acked(page.frontier + passed + GREED_S)


@case(
    "A01",
    "headless client, no media: perfect beats for 600 s; with 1, 10, 100 reconnects; past a check",
    "telemetry.session.step: earned ≤ elapsed; while `held` nothing counts (the reconnect's gap is one clock's)",
    seconds=610,
    slope=True,
)
async def headless(game: Game) -> None:
    length = game.seconds(600, 10)

    async def reconnecting(count: int) -> tuple[Learner, float]:
        learner = await game.learner(7200)
        page = await learner.page()
        first, every = page, length / count
        for _ in range(count):
            await greedy(page, every, min(BEAT_S, every / 2))
            await page.drop()
            again = await learner.page(session=page.session)
            game.check("the same page is recognised", again.last("welcome", "x")["recovered"])  # type: ignore[index]
            again.seq, page = page.seq, again
        await page.acked(page.frontier + 60)
        return learner, first.passed

    async def ignoring_a_check() -> None:
        due = length / 2
        learner = await game.learner(7200, check_due_in=due)
        page = await learner.page()
        await greedy(page, length, BEAT_S)
        game.check("the check was sent", page.checked)
        await game.credit(learner, due + BEAT_S, least=due - 1, who="past a check")

    async def unnoticed() -> None:
        learner = await game.learner(7200)
        page = await learner.page()
        watched = await page.watch(length)
        most = page.passed
        await game.credit(learner, most, least=watched - 1, who="plain 1×")
        game.note("the plain 1× script gets its time without a finding: real time is all that is claimed")

    async with game.twin():
        await asyncio.gather(game.slope(reconnecting), ignoring_a_check(), unnoticed())


@case(
    "A02",
    "`ended` at the last position at t = 1 s, once and up to 1000 times",
    "telemetry.session.step: `ended` is a position like any other; watched = the frontier got there",
    seconds=10,
    slope=True,
    smoke=True,
)
async def ended_at_once(game: Game) -> None:
    async def end(count: int) -> tuple[Learner, float]:
        learner = await game.learner(600)
        page = await learner.page()
        await page.acked(0.0, event="play")
        await asyncio.sleep(1.0)
        for _ in range(count):
            await page.beat(600.0, playing=False, event="ended")
        await page.settle()
        most = page.passed
        game.check(f"×{count}: not watched", not page.watched and not page.all("watched"))
        game.check(f"×{count}: the connection stays", not page.closed)
        return learner, most

    async with game.twin():
        await game.slope(end, (1, 10, 1000))


@case(
    "A03",
    "time dilation: steps of 1…120 s × gaps of 0.01…5 s, each also adaptive (shrinks the step when rewound)",
    "telemetry.session.step: allowance = elapsed + carry, whatever the number and the size of the steps",
    seconds=70,
    load=14,
)
async def dilation(game: Game) -> None:
    length = game.seconds(60, 8)
    cells = [*product((1, 5, 15, 30, 60, 120), (0.01, 0.1, 1.0, 5.0), (False, True))]

    async def cell(learner: Learner, step: float, gap: float, adaptive: bool) -> None:
        page = await learner.page()
        began, position = asyncio.get_running_loop().time(), 0.0
        await page.acked(0.0, event="play")
        while asyncio.get_running_loop().time() - began < length:
            await asyncio.sleep(gap)
            if page.rewound_to is not None:
                position, page.rewound_to = page.rewound_to, None
                step = step / 2 if adaptive else step
            elif adaptive:
                step *= 1.05
            position += step
            await page.beat(position)
        await page.settle()
        who = f"step {step:g} s gap {gap:g} s{' adaptive' if adaptive else ''}"
        await game.credit(learner, page.passed, who=who)

    async with game.twin():
        learners = await game.learners_of(len(cells), 100_000)
        await asyncio.gather(*(cell(who, *each) for who, each in zip(learners, cells, strict=True)))
    best = max(game.verdict.credits, key=lambda each: each.given)
    game.note(f"{len(cells)} cells; the best one got {best.given:.2f} s ({best.who})")


@case(
    "A04",
    "tick farming: 600 beats in 60 s, each claiming all that is not rewound",
    "telemetry.session.step: a beat's allowance is the time since the last one, not a constant",
    seconds=65,
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
            await page.beat(page.frontier + every + GREED_S)
        await page.settle()
        return learner, page.passed

    async with game.twin():
        await game.slope(farm, (10, 100, 600))


@case(
    "A05",
    "playing at 1.25×, 2× and 16× while declaring 1×; and at 2× while declaring 2×",
    "telemetry.session.step: the declared rate is evidence, never credit; max_rate × elapsed is the allowance",
    seconds=125,
    smoke=True,
)
async def faster(game: Game) -> None:
    length = game.seconds(120, 8)

    async def play(rate: float, declared: float) -> None:
        learner = await game.learner(7200)
        page = await learner.page()
        await page.acked(0.0, event="play")
        position, heard, began = 0.0, game.arena.now(), game.arena.now()
        while game.arena.now() - began < length:
            await asyncio.sleep(min(BEAT_S, length / 4))
            if page.rewound_to is not None:
                position, page.rewound_to = page.rewound_to, None
            passed, heard = game.arena.now() - heard, game.arena.now()
            position += passed * rate
            await page.acked(position, rate=declared)
        await game.credit(learner, page.passed, who=f"{rate:g}× declared as {declared:g}×")

    async with game.twin():
        await asyncio.gather(*(play(*each) for each in ((1.25, 1.0), (2.0, 1.0), (16.0, 1.0), (2.0, 2.0))))


@case(
    "A06",
    "micro-seeks of +3 s, ten times a second",
    "telemetry.session.step: ahead of the frontier by more than the allowance is rewound; resume ≤ frontier",
    seconds=65,
)
async def micro_seeks(game: Game) -> None:
    length = game.seconds(60, 8)
    async with game.twin():
        learner = await game.learner(7200)
        page = await learner.page()
        await page.acked(0.0, event="play")
        began, position = game.arena.now(), 0.0
        while game.arena.now() - began < length:
            await asyncio.sleep(0.1)
            if page.rewound_to is not None:
                position, page.rewound_to = page.rewound_to, None
            position += 3.0
            await page.beat(position, event="seek")
        await page.settle()
        most = page.passed
        await page.drop()
        again = await learner.page()
        welcome = again.all("welcome")[0]
        game.check("it resumes no further than the frontier", welcome["position"] <= welcome["frontier"])
        await game.credit(learner, most)


@case(
    "A07",
    "pause, seek and visibility events suppressed: `playing` throughout, with the positions of an honest visit",
    "telemetry.session.step: only positions within the allowance earn; events are evidence",
    seconds=75,
)
async def suppressed(game: Game) -> None:
    part = game.seconds(20, 4)

    async with game.twin():
        honest, liar = await game.learners_of(2, 7200)
        told, hidden = await honest.page(), await liar.page()
        clock = game.arena.now

        async def both(position: float, *, playing: bool = True, event: str = "tick") -> None:
            """The same position at the same time; only one of the two says what happened."""
            await asyncio.gather(told.acked(position, playing=playing, event=event), hidden.acked(position))

        await both(0.0, event="play")
        began = clock()
        while clock() - began < part:
            await asyncio.sleep(part / 5)
            await both(clock() - began)
        at = clock() - began
        await both(at, playing=False, event="pause")
        for _ in range(5):
            await asyncio.sleep(part / 5)
            await both(at, playing=False)
        await both(at / 2, event="seek")  # Rewinds to the middle and plays on, beyond where it was.
        again = clock()
        while clock() - again < part:
            await asyncio.sleep(part / 5)
            await both(at / 2 + clock() - again)
        most = hidden.passed
        fair = await game.credit(honest, told.passed, least=at - 0.5, who="honest")
        await game.credit(liar, min(most, fair.given + 0.5), who="suppressed")


@case(
    "A08",
    "always “visible”, muted, off-screen: against an honest page that is hidden half of the time",
    "telemetry.session.step: visibility is evidence; checks come by earned time alone",
    seconds=50,
)
async def visible(game: Game) -> None:
    due = game.seconds(30, 6)

    async def play(learner: Learner, hidden: bool) -> None:
        page = await learner.page()
        clock = game.arena.now
        await page.acked(0.0, event="play")
        began = clock()
        now = longest = 0.0
        while clock() - began < due + 10:
            await asyncio.sleep(1.0)
            longest, now = max(longest, clock() - began - now), clock() - began
            seen = not (hidden and int(now) % 10 >= 5)
            await page.acked(now, visible=seen, event="tick" if seen else "visibility")
        game.check("the check came", page.checked)
        who = "hidden half of the time" if hidden else "always visible"
        # The beat that crosses the point counts whole, then the frontier is frozen.
        await game.credit(learner, due + longest + 0.5, least=due, who=who)

    async with game.twin():
        one, two = await game.learners_of(2, 7200, check_due_in=due)
        await asyncio.gather(play(one, True), play(two, False))
