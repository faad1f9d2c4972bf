"""What a case is handed: accounts, time, the two oracles (slope, honest twin), and the book of what was found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.redteam.arena import Arena, Kind, Stores
from tests.redteam.case import Case, Check, Credit, Verdict
from tests.redteam.people import NEVER_S, Learner, checks_due_in, make_learners
from tests.support.chromium import FLAGS, find_chromium
from tests.support.school import Lessons

if TYPE_CHECKING:
    from playwright.async_api import Browser

#: An honest learner beside an attacker gets what it gets alone, within this many seconds.
TWIN_S = 1.0
#: Runs of a slope may differ by what a beat at its end decides.
SLOPE_S = 1.0
#: Everything has settled when nothing has moved for this long.
STILL_S = 1.0
#: Findings that nobody honest may get. A second page is only information.
SUSPICIOUS = frozenset({"ahead_of_frontier", "replay", "impossible_rate", "phone_reused", "wrong_phone"})


class Game:
    """One case being played."""

    def __init__(self, case: Case, arena: Arena, stores: Stores, *, smoke: bool) -> None:
        self.case = case
        self.arena = arena
        self.stores = stores
        self.smoke = smoke
        self.verdict = Verdict(case)
        self.learners: list[Learner] = []
        self._booked: list[tuple[Learner, Credit, tuple[int, ...]]] = []
        self.stack = AsyncExitStack()

    # ---------------------------------------------------------------- making

    def seconds(self, full: float, smoke: float) -> float:
        """How long something goes on: shorter in the smoke subset."""
        return smoke if self.smoke else full

    async def learners_of(self, count: int, *durations_s: float, **options: Any) -> list[Learner]:
        """So many learners of one new course with videos of these durations. `options` as of `learner`."""
        quiz, enrolled = options.pop("quiz", False), options.pop("enrolled", True)
        check_due_in, arena = options.pop("check_due_in", NEVER_S), options.pop("arena", self.arena)
        assert not options, options
        return await self.pupils_of(
            await arena.course(*durations_s, quiz=quiz),
            count,
            arena=arena,
            enrolled=enrolled,
            check_due_in=check_due_in,
        )

    async def pupils_of(
        self,
        lessons: Lessons,
        count: int = 1,
        *,
        arena: Arena | None = None,
        enrolled: bool = True,
        check_due_in: float | None = NEVER_S,
    ) -> list[Learner]:
        """Learners of a course that is there already. `check_due_in` None: the product draws the first check."""
        made = await make_learners(arena or self.arena, lessons, count, enrolled=enrolled)
        if check_due_in is not None:
            await checks_due_in(made, check_due_in)
        self.learners += made
        return made

    async def learner(self, *durations_s: float, **options: Any) -> Learner:
        """A learner of a new course with videos of these durations in seconds.

        Options: quiz (False), enrolled (True), arena, check_due_in: seconds of earned time until the first check
        (default: it never comes, so that cases are about one thing; None: the product draws it).
        """
        return (await self.learners_of(1, *durations_s, **options))[0]

    @asynccontextmanager
    async def own_arena(self, kind: Kind | None = None, *, nodes: int | None = None) -> AsyncIterator[Arena]:
        """Server, worker, Valkey and database for this case alone, to be killed at will."""
        async with self.stores.own(kind or Kind(), nodes=nodes) as arena:
            yield arena
            # Its database ends with it, so what the case has booked is looked at a last time now.
            await self.look_again([each for each in self._booked if each[0].arena is arena])
            self._booked = [each for each in self._booked if each[0].arena is not arena]

    def folder(self) -> Path:
        """An empty folder that ends with the case."""
        return Path(self.stack.enter_context(TemporaryDirectory(prefix="xueshi-case-")))

    async def chromium(self, *flags: str) -> Browser:
        """A Chromium of this case's own."""
        from playwright.async_api import async_playwright

        playwright = await self.stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])
        self.stack.push_async_callback(browser.close)
        return browser

    # ---------------------------------------------------------------- judging

    def check(self, what: str, held: object) -> bool:
        """Book one thing that must be true."""
        self.verdict.checks.append(Check(what, bool(held)))
        return bool(held)

    def note(self, text: str) -> None:
        """Something worth reading in the table that decides nothing."""
        self.verdict.notes.append(text)

    async def settled(self, learner: Learner, *videos: int) -> float:
        """Close the learner's pages, wait until nothing moves any more, and read what was earned."""
        await asyncio.gather(*(page.close() for page in learner.pages))
        before, since = await learner.earned(*videos), asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - since < STILL_S:
            await asyncio.sleep(STILL_S / 4)
            now = await learner.earned(*videos)
            if now != before:
                before, since = now, asyncio.get_running_loop().time()
        return before

    async def credit(
        self,
        learner: Learner,
        most: float,
        *,
        least: float = 0.0,
        videos: Sequence[int] = (),
        who: str = "attacker",
    ) -> Credit:
        """Book the credit after everything has settled: seconds allowed at most (and at least, where honest)."""
        credit = Credit(who, await self.settled(learner, *videos), most, least)
        self.verdict.credits.append(credit)
        self._booked.append((learner, credit, tuple(videos)))
        return credit

    async def honest_credit(
        self, learner: Learner, watched: float, *, lost: float = 0.0, who: str = "honest"
    ) -> Credit:
        """Book honest time: all that was watched but `lost`, within TWIN_S, and no suspicion."""
        credit = await self.credit(learner, watched + TWIN_S, least=watched - lost - TWIN_S, who=who)
        await self.no_suspicion(learner, who)
        return credit

    async def no_suspicion(self, learner: Learner, who: str = "honest") -> None:
        found = await learner.findings()
        self.check(f"{who}: no suspicious finding (found {found})", not SUSPICIOUS & found.keys())

    async def slope(
        self,
        attempt: Callable[[int], Awaitable[tuple[Learner, float]]],
        counts: Sequence[int] = (1, 10, 100),
        *,
        what: str = "",
        slack: float = SLOPE_S,
    ) -> None:
        """The same attack with 1, 10, 100 …: nobody gets more than allowed, and more does not earn more.

        `attempt(n)` plays it on an account of its own and returns (learner, most). They run side by side. `what`
        names the slope where a case has several; `slack` is by how many seconds runs may differ.
        """
        counts = counts[:2] if self.smoke else counts
        played = await asyncio.gather(*(attempt(count) for count in counts))
        credits = [
            await self.credit(learner, most, who=f"{what} ×{count}".strip())
            for count, (learner, most) in zip(counts, played, strict=True)
        ]
        first = credits[0]
        for credit in credits:
            self.verdict.slope[credit.who] = credit.given
            grown = credit.given - first.given - max(0.0, credit.most - first.most)
            self.check(f"{credit.who} earned no more than ×{counts[0]} ({grown:+.2f} s)", grown <= slack)

    @asynccontextmanager
    async def twin(self, *, arena: Arena | None = None) -> AsyncIterator[Learner]:
        """An honest learner who watches beside the block, and must get every second of it."""
        learner = await self.learner(100_000, arena=arena or self.arena)
        page = await learner.page()
        watching = asyncio.create_task(page.watch())
        try:
            yield learner
        finally:
            watching.cancel()
            watched = await watching
        if page.closed and page.arena.speed == 1:
            self.check(f"the twin's page stays open (closed with {page.close_code})", False)
        # On a fast clock a machine that stalls for a moment is a silence, which costs what exceeds the grace.
        lost = page.lost_in_gaps if page.arena.speed > 1 else 0.0
        given = await self.settled(learner)
        self.verdict.twins.append(Credit("twin", given, watched + TWIN_S, watched - lost - TWIN_S))
        if lost:
            self.note(f"twin: {lost:.1f} s lost in explained gaps (this machine stalled; the clock runs fast)")
        await self.no_suspicion(learner, "twin")

    async def look_again(self, booked: Sequence[tuple[Learner, Credit, tuple[int, ...]]] | None = None) -> None:
        """At the very end: what was booked must not have grown since (a late commit, a sweep, a retired player)."""
        for learner, credit, videos in self._booked if booked is None else booked:
            now = await learner.earned(*videos)
            if now != credit.given:
                self.check(
                    f"{credit.who}: {credit.given:.2f} s grew to {now:.2f} s after the case", now <= credit.most
                )
