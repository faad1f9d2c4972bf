"""One simulation: lets everybody live through the day, and compares what was stored with the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from telemetry.rules import watched_from_ms
from tests.simulator.cheater import Cheater
from tests.simulator.cheats import WAYS
from tests.simulator.honest import HonestLearner
from tests.simulator.pace import Pace
from tests.simulator.report import CheatFigures, Figures, HonestFigures
from tests.simulator.town import Stored, Town, town
from tests.simulator.truth import Loss

#: How long after the end everybody may take to say good-bye, in simulated seconds …
FAREWELL_S = 60.0
#: … and in real seconds: a machine that is too slow for the crowd must not hang.
FAREWELL_REAL_S = 30.0
#: How long credits may take to settle after the last good-bye, in real seconds: the sweep runs every five.
SETTLE_S = 15.0


@dataclass(frozen=True, slots=True)
class Plan:
    learners: int
    cheaters: int  # of the learners
    minutes: float
    speed: float
    seed: int = 1
    postgres: bool = False
    trouble: float = 1.0  # so many times the network and machine troubles of an ordinary day


async def simulate(plan: Plan, progress: Callable[[float, str], None]) -> Figures:
    """Play it. `progress` is called now and then with the share that is done and what is going on."""
    pace = Pace(plan.speed, plan.minutes)
    figures = Figures(plan.speed)
    progress(0.0, "starting the product and opening accounts")
    async with town(pace, plan.learners, plan.seed, postgres=plan.postgres) as place:
        ways = list(WAYS)
        people = place.people
        cheaters = [Cheater(person, ways[n % len(ways)]) for n, person in enumerate(people[: plan.cheaters])]
        honest = [HonestLearner(person, plan.trouble) for person in people[plan.cheaters :]]
        pace.start()
        lives = [asyncio.create_task(each.live()) for each in honest]
        lives += [asyncio.create_task(_cheat(each)) for each in cheaters]
        await _let_live(pace, lives, progress)
        for learner in honest:
            await learner.stop()
        for cheater in cheaters:
            await cheater.stop()
        for life in lives:
            if not life.cancelled() and (error := life.exception()) is not None:
                raise error
        progress(1.0, "looking at what was stored")
        await _look(place, honest, cheaters, figures)
    return figures


async def _cheat(cheater: Cheater) -> None:
    await cheater.pace.sleep(cheater.person.rng.uniform(0, 30))
    await WAYS[cheater.kind](cheater)


async def _let_live(pace: Pace, lives: list[asyncio.Task[None]], progress: Callable[[float, str], None]) -> None:
    waiting = set(lives)
    late = FAREWELL_REAL_S + FAREWELL_S / pace.speed
    while waiting and (pace.now() - pace.end) / pace.speed < late:
        _, waiting = await asyncio.wait(waiting, timeout=0.5)
        passed = min(pace.now(), pace.end)
        progress(
            passed / pace.end, f"{passed / 60:.0f} of {pace.end / 60:.0f} minutes, {len(waiting)} people there"
        )
    for life in waiting:
        life.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _look(place: Town, honest: list[HonestLearner], cheaters: list[Cheater], figures: Figures) -> None:
    rounding = figures.rounding
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_S
    for learner in honest:
        figures.did.update(learner.did)
        figures.told.update(learner.told)
        figures.delays += learner.delays
        while True:
            found = _honest(learner, await place.stored(learner.person), rounding)
            if not found.hours_missing or loop.time() > deadline:
                break
            await asyncio.sleep(0.5)
        figures.honest.append(found)
    for cheater in cheaters:
        stored = await place.stored(cheater.person)
        wrong = {video_id for video_id in stored.credited if video_id not in stored.watched}
        figures.cheaters.append(
            CheatFigures(
                number=cheater.person.account.number,
                kind=cheater.kind,
                claimed=sum(cheater.claimed.values()),
                allowed=cheater.purse.seconds,
                credited=sum(stored.frontiers.values()),
                hours_wrong=len(wrong),
                findings=tuple((each.kind.value, each.rating) for each in stored.findings),
            )
        )


def _honest(learner: HonestLearner, stored: Stored, rounding: float) -> HonestFigures:
    losses: list[Loss] = []
    unearned = credited = 0.0
    wrong = set(stored.credited)
    missing = 0
    for video in learner.person.videos:
        truth = learner.truths[video.id]
        frontier = stored.frontiers.get(video.id, 0.0)
        losses += truth.losses
        unearned += max(0.0, frontier - truth.frontier)
        counts = truth.frontier if video.id in stored.watched else frontier
        credited += counts
        if truth.frontier - counts > rounding:
            # The day was over before the server, which trails by a moment, had caught up.
            losses.append(Loss(truth.frontier - counts, "end_of_day", max(0.0, truth.acknowledged - counts)))
        enough = watched_from_ms(round(video.duration / learner.pace.speed * 1000)) / 1000 * learner.pace.speed
        if truth.frontier >= enough - rounding and (video.id in learner.handed_in_right or not video.has_quiz):
            wrong.discard(video.id)
        if video.id in stored.watched and (video.id in learner.passed or not video.has_quiz):
            missing += video.id not in stored.credited and not stored.held
    return HonestFigures(
        number=learner.person.account.number,
        watched=sum(truth.watched for truth in learner.truths.values()),
        credited=credited,
        unearned=unearned,
        losses=tuple(losses),
        hours=len(stored.credited),
        hours_missing=missing,
        hours_wrong=len(wrong),
        findings=tuple((each.kind.value, each.rating) for each in stored.findings),
    )
