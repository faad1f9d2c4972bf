"""An honest learner: watches, pauses, goes back, loses the network, reloads, takes breaks, misses checks.

`HABITS` and `TROUBLES` say how often each happens while somebody studies. Nothing here knows how the server counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.simulator.line import Message
from tests.simulator.person import Person, Video
from tests.simulator.player_page import PlayerPage
from tests.simulator.truth import Truth

#: What people do, and how often an hour while the video plays.
HABITS: dict[str, float] = {"pause": 8.0, "drag_back": 4.0, "reload": 2.0, "second_tab": 0.7, "break": 1.5}
#: What networks and machines do to them: an ordinary day. `Plan.trouble` makes it worse.
TROUBLES: dict[str, float] = {
    "stall": 3.0,
    "slow_network": 4.0,
    "half_open": 1.0,
    "lost_play": 0.5,
    "line_cut": 1.5,
    "sleep": 0.7,
    "crash": 0.2,
}
#: A check is missed about once in so many.
MISSED_SHARE = 0.06
#: A quiz is not all right at the first try about this often.
FAILED_SHARE = 0.35
#: Everybody comes within this many seconds.
ARRIVALS_S = 60.0


class HonestLearner:
    """`did` counts what happened to this learner; `truths` says what was truly watched, by video."""

    def __init__(self, person: Person, trouble: float) -> None:
        self.person = person
        self._trouble = trouble
        self.pace = person.pace
        self.rng = person.rng
        self.truths = {video.id: Truth(video.duration) for video in person.videos}
        self.did: Counter[str] = Counter()
        self.told: Counter[str] = Counter()  # reason → seconds that the server named as not counted
        self.delays: list[float] = []  # from beat to ack, in real milliseconds
        self.passed: set[int] = set()
        self.handed_in_right: set[int] = set()  # whether or not the result came back
        self._page: PlayerPage | None = None
        self._pages: list[PlayerPage] = []
        self._checks: set[tuple[str, bool]] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def live(self) -> None:
        """Study from the arrival to the end of the simulation."""
        await self.pace.sleep(self.rng.uniform(0, ARRIVALS_S))
        former = "first"
        unfinished = list(self.person.videos)
        while unfinished and not self.pace.over:
            video = unfinished[0]
            page = self._page = self._open(video, former)
            former = await self._study(page)
            if page.watched:
                await page.settle(10)
                await page.leave()
                unfinished.pop(0)
                await self._quiz(video)
                former = "first"
            elif page.stopped in ("closed", "denied", "sign-in", "protocol"):
                self.did[f"stopped: {page.stopped}"] += 1
                return
        if self._page is not None and self._page.stopped is None:
            await self._page.pause()
            await self._page.settle(45)
            await self._page.leave()

    async def stop(self) -> None:
        """End whatever is still under way."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        for page in self._pages:
            await page.vanish()
        await self.person.close()

    def _open(self, video: Video, former: str, *, takeover: bool = False) -> PlayerPage:
        page = PlayerPage(self.person, video, self.truths[video.id], self._challenged, former)
        page.told, page.delays = self.told, self.delays
        self._pages = [each for each in self._pages if each.stopped is None] + [page]
        page.open(takeover=takeover)
        return page

    async def _study(self, page: PlayerPage) -> str:
        """Until the video is watched or the page is gone; how it went."""
        rates = HABITS | {name: rate * self._trouble for name, rate in TROUBLES.items()}
        total = sum(rates.values())
        names, weights = list(rates), list(rates.values())
        while not page.done.is_set() and not self.pace.over:
            await self._within(page, self.rng.expovariate(total / 3600))
            if page.busy and not page.done.is_set():
                # Somebody seems to play elsewhere: it was this learner's own page a moment ago.
                page.insist()
                continue
            if page.done.is_set() or self.pace.over or not page.picture.running:
                continue
            name = self.rng.choices(names, weights)[0]
            self.did[name] += 1
            how: Callable[[PlayerPage], Awaitable[str | None]] = getattr(self, f"_{name}")
            gone = await how(page)
            if gone is not None:
                return gone
        if page.stopped == "displaced":
            self.did["displaced"] += 1
        return page.stopped or "first"

    async def _within(self, page: PlayerPage, seconds: float) -> None:
        """Watch for so long, or until the page is done or the day is over. A busy page is answered soon."""
        seconds = min(seconds, self.pace.end - self.pace.now(), 8.0 if page.busy or not page.greeted else 3600.0)
        try:
            async with asyncio.timeout(max(0.0, seconds) / self.pace.speed):
                await page.done.wait()
        except TimeoutError:
            return

    def _about(self, seconds: float) -> float:
        """A time that people take: mostly near this, sometimes much longer."""
        return min(seconds * 6, self.rng.lognormvariate(0.0, 0.7) * seconds)

    # ---------------------------------------------------------------- habits: each says how the page went, or None

    async def _pause(self, page: PlayerPage) -> str | None:
        await page.pause()
        await self._within(page, self._about(20))
        await page.play()
        return None

    async def _drag_back(self, page: PlayerPage) -> str | None:
        await page.drag(page.picture.position - self.rng.uniform(5, 90))
        return None

    async def _stall(self, page: PlayerPage) -> str | None:
        await page.stall(self._about(8))
        return None

    async def _slow_network(self, page: PlayerPage) -> str | None:
        await page.slow_network(self.rng.uniform(1, 12))
        return None

    async def _half_open(self, page: PlayerPage) -> str | None:
        await page.lose_network(self.rng.uniform(0, 40), cut=False, notices=self.rng.random() < 0.5)
        return None

    async def _lost_play(self, page: PlayerPage) -> str | None:
        """The line falls silent during a pause, so that nobody hears that the video plays on."""

        async def play_on() -> None:
            await self.pace.sleep(self.rng.uniform(0.5, 3))
            await page.play()

        await page.pause()
        await self._within(page, self._about(5))
        await asyncio.gather(
            page.lose_network(self.rng.uniform(5, 20), cut=False, notices=self.rng.random() < 0.5), play_on()
        )
        return None

    async def _line_cut(self, page: PlayerPage) -> str | None:
        await page.lose_network(self.rng.uniform(0, 20), cut=True, notices=self.rng.random() < 0.8)
        return None

    async def _reload(self, page: PlayerPage) -> str | None:
        await page.leave()
        await self.pace.sleep(self.rng.uniform(1, 3))
        return "reload"

    async def _crash(self, page: PlayerPage) -> str | None:
        await page.crash()
        await self.pace.sleep_within(self.rng.uniform(5, 40))
        return "crash"

    async def _sleep(self, page: PlayerPage) -> str | None:
        await page.sleep(self._about(120))
        return None

    async def _break(self, page: PlayerPage) -> str | None:
        if self.rng.random() < 0.5:
            await page.pause()
            await self._within(page, self._about(180))
            await page.play()
            return None
        await page.leave()
        await self.pace.sleep_within(self._about(240))
        return "reload"

    async def _second_tab(self, page: PlayerPage) -> str | None:
        """Another tab with the same video by mistake: mostly closed again, sometimes the one to go on with."""
        other = self._open(page.video, "takeover")
        await self._within(other, 4)
        if not other.greeted and self.rng.random() < 0.7:
            await other.vanish()
            return None
        other.insist()
        await self._within(page, 10)
        await page.vanish()
        self._page = other
        return await self._study(other)

    # ---------------------------------------------------------------- checks and quizzes

    async def _challenged(self, page: PlayerPage, challenge: Message) -> None:
        key = (str(challenge["id"]), bool(challenge["missed"]))
        if key in self._checks:
            return
        self._checks.add(key)
        task = asyncio.create_task(self._check(challenge))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _check(self, challenge: Message) -> None:
        self.did["check"] += not challenge["missed"]
        if challenge["missed"]:
            await self.pace.sleep(self._about(60))
            await self._renew(challenge)
            return
        left = challenge["deadline"] * self.pace.speed
        if self.rng.random() < MISSED_SHARE:
            self.did["missed check"] += 1
            await self.pace.sleep(left + self._about(120))
            await self._renew(challenge)
            return
        await self.pace.sleep(min(self._about(20), left * 0.5))
        for _ in range(4):
            word = await self.person.answer(challenge, self._read)
            if word in ("confirmed", "already_confirmed"):
                return
            self.did[f"check: {word or 'no answer'}"] += 1
            if word == "late":
                await self._renew(challenge)
                return
            await self.pace.sleep(5)

    async def _read(self) -> None:
        await self.pace.sleep(min(self._about(5), 20))

    async def _renew(self, challenge: Message) -> None:
        """Press the button for a new code until there is one; it comes over the page's line."""
        for _ in range(5):
            status = await self.person.renew(challenge)
            if status == 200:
                return
            self.did[f"renew: {status}"] += 1
            await self.pace.sleep(5)

    async def _quiz(self, video: Video) -> None:
        if not video.has_quiz:
            return
        await self.pace.sleep_within(self._about(45))
        for _ in range(6):
            if self.pace.over:
                return
            self.did["quiz"] += 1
            right = self.rng.random() >= FAILED_SHARE
            if right:
                self.handed_in_right.add(video.id)
            outcome = await self.person.hand_in(video, right=right)
            if outcome == "passed":
                self.passed.add(video.id)
                return
            await self.pace.sleep_within(self._about(40))
