"""An honest player page without a browser: a video that runs with the servers' clock, and what the page does about
every message and every lost line. Written after static/player/, so that honest rows judge the server by it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import aiohttp

from telemetry.messages import Close
from tests.redteam.people import Learner, Page, Refused

#: How often the page looks, seconds (static/player/ticker.js).
TICK_S = 0.25
#: It pauses when nothing was confirmed for this long (player.js).
SILENT_S = 15.0
#: A new socket is opened beside one that does not answer a beat for this long (watch_socket.js).
ANSWER_S = 10.0
#: It plays a little slower while the server trails (playback.js).
TRAIL_FROM_S, TRAIL_TO_S, TRAILING = 1.0, 0.3, 0.97
RETRY_S = 0.5
#: After a restart everybody returns within this time.
RESTART_SPREAD_S = 3.0


class Viewer:
    """One page. `ran` is how long its video has run, in seconds of the servers' clock: the truth of the row."""

    def __init__(
        self,
        learner: Learner,
        video: int = 0,
        *,
        node: int | None = None,
        every: float = 5.0,
        speed: float = 1.0,
        ends_at: float | None = None,
        silent_s: float = SILENT_S,
        shape: Callable[[float], float] = lambda position: position,
    ) -> None:
        self.learner = learner
        self.video = video
        self.node = node
        self.every = every
        self.ends_at = ends_at  # where the browser's own video ends; None: where the catalogue says
        self.silent_s = silent_s
        self.shape = shape  # what the browser makes of the true position when it is asked
        self.page: Page | None = None
        self.session: str | None = None
        self.rewinds: list[float] = []
        self.recovered: list[bool] = []  # for each welcome after the first
        self.busy = 0
        self.refused: list[int] = []
        self.back_after: list[float] = []  # seconds each return took
        self.wants_line = True  # False: it does not know yet that its line is dead
        self._speed = speed  # of the media clock
        self._at = 0.0
        self._since: float | None = None
        self._ran = 0.0
        self._trailing = False
        self._silent = False
        self._ending = False
        self._sent_at = self._confirmed_at = -1e9
        self._unanswered: float | None = None
        self._acked = 0
        self._reported: dict[int, float] = {}
        self._lost_at: float | None = None
        self._retry_at = -1e9

    # ---------------------------------------------------------------- the video element

    def _now(self) -> float:
        return self.learner.arena.now()

    @property
    def position(self) -> float:
        if self._since is None:
            return self._at
        return min(self._end, self._at + (self._now() - self._since) * self._rate)

    @property
    def _rate(self) -> float:
        return self._speed * (TRAILING if self._trailing else 1.0)

    @property
    def _end(self) -> float:
        if self.ends_at is not None:
            return self.ends_at
        welcome = self.page.last("welcome") if self.page else None
        return float(welcome["duration"]) if welcome else 1e9

    @property
    def waiting(self) -> float:
        """For how long a beat has been waiting for its ack."""
        if self.page is None or self._unanswered is None or self.page.acked_seq > self._acked:
            return 0.0
        return self._now() - self._unanswered

    @property
    def watched(self) -> bool:
        return self.page is not None and self.page.watched

    @property
    def ran(self) -> float:
        return self._ran + (0.0 if self._since is None else self._now() - self._since)

    def _anchor(self, position: float, playing: bool) -> None:
        now = self._now()
        self._ran = self.ran
        self._at, self._since = position, now if playing else None

    @property
    def playing(self) -> bool:
        return self._since is not None

    async def play(self) -> None:
        self._anchor(self.position, True)
        self._confirmed_at = self._now()
        await self._beat("play")

    async def pause(self) -> None:
        self._anchor(self.position, False)
        await self._beat("pause")

    async def stall(self) -> None:
        self._anchor(self.position, False)
        await self._beat("stall")

    async def seek(self, to: float) -> None:
        self._ending = False
        self._anchor(to, self.playing)
        await self._beat("seek")

    # ---------------------------------------------------------------- the page

    async def open(self) -> None:
        """Load the page: connect and say hello, until it is welcomed."""
        while self.page is None:
            await self._come_back()
            if self.page is None:
                await asyncio.sleep(TICK_S)

    async def watch(self, seconds: float) -> None:
        """Let the page live for so long, by the servers' clock."""
        until, speed = self._now() + seconds, self.learner.arena.speed
        while (left := until - self._now()) > 0:
            await asyncio.sleep(min(TICK_S, left) / speed)
            await self.tick()

    async def finish(self) -> float:
        """Pause, wait until that is confirmed, and return `ran`."""
        if self.page is None or self.page.closed:
            await self._come_back()
        await self.pause()
        if self.page is not None:
            await self.page.settle()
        return self.ran

    async def tick(self) -> None:
        """What the page does four times a second."""
        page, now = self.page, self._now()
        if page is None or page.closed:
            if self._lost_at is None:
                self._lost_at = now
                if page is not None and page.close_code == Close.RESTART:
                    self._retry_at = now + random.uniform(0, RESTART_SPREAD_S)
            if self.wants_line:
                await self._come_back()
            self._mind_silence()
            return
        if page.rewound_to is not None:
            self.rewinds.append(page.rewound_to)
            self._anchor(page.rewound_to, self.playing or self._ending)
            self._ending = False
            self._trailing, page.rewound_to = False, None
            self._reported.clear()
        self._take_acks(page)
        self._mind_silence()
        if self._unanswered is not None and now - self._unanswered > ANSWER_S and self.wants_line:
            self._unanswered = now
            self._lost_at = self._lost_at or now
            await self._come_back()
        elif self.playing and self.position >= self._end:
            self._anchor(self._end, False)
            self._ending = True
            await self._beat("ended")
        elif now - self._sent_at >= self._pace(page):
            await self._beat("ended" if self._ending else "tick")

    def _pace(self, page: Page) -> float:
        """How long until the next report; at the end the server says when the rest will be earned."""
        if not self._ending or page.wait is None:
            return self.every
        return min(self.every, max(0.5, page.wait + 0.1))

    async def to_the_end(self, within: float) -> float:
        """Watch until the server says that all was watched; returns how long that took."""
        began = self._now()
        while not self.watched and self._now() - began < within:
            await self.watch(TICK_S)
        return self._now() - began

    def _take_acks(self, page: Page) -> None:
        if page.acked_seq <= self._acked:
            return
        self._acked, self._unanswered, self._confirmed_at = page.acked_seq, None, self._now()
        reported = self._reported.get(page.acked_seq)
        self._reported = {seq: at for seq, at in self._reported.items() if seq > page.acked_seq}
        if reported is not None:
            trail = reported - page.frontier
            self._anchor(self.position, self.playing)
            self._trailing = trail > (TRAIL_TO_S if self._trailing else TRAIL_FROM_S)
        if self._silent:
            self._silent = False
            self._anchor(self.position, True)

    def _mind_silence(self) -> None:
        """Pause as of the moment when the silence was too long, also if nobody could look just then."""
        stop = self._confirmed_at + self.silent_s
        if self._since is None or self._now() <= stop:
            return
        ran = max(0.0, stop - self._since)
        self._at = min(self._end, self._at + ran * self._rate)
        self._ran += ran
        self._since, self._silent = None, True

    async def _beat(self, event: str) -> None:
        page = self.page
        if page is None or page.closed:
            return
        now = self._now()
        position = max(0.0, self.shape(self.position))
        self._reported[page.seq + 1] = position
        self._sent_at = now
        if self._unanswered is None:
            self._unanswered = now
        await page.beat(position, playing=self.playing, event=event, rate=TRAILING if self._trailing else 1.0)

    async def come_back(self) -> bool:
        """Open a new socket now; whether it was welcomed."""
        self._retry_at = -1e9
        former = self.page
        await self._come_back()
        return self.page is not former

    async def _come_back(self) -> None:
        if self._now() < self._retry_at:
            return
        asked, former = self._now(), self.page
        try:
            page = await self.learner.socket(self.video, node=self.node)
            answer = await page.hello(session=self.session)
        except Refused as error:
            self.refused.append(error.status)
            self._retry_at = self._now() + RETRY_S * random.uniform(1, 3)
            return
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._retry_at = self._now() + RETRY_S * random.uniform(1, 3)
            return
        if answer is None or answer["type"] != "welcome":
            self.busy += bool(answer and answer["type"] == "busy")
            self._retry_at = self._now() + RETRY_S * random.uniform(1, 3)
            with suppress(OSError):
                await page.close()
            return
        self._welcomed(page, answer["recovered"], asked)
        await self._beat("tick")
        if former is not None and not former.closed:
            # The line may be dead, so nobody waits for the good-bye.
            former.socket.transport.abort()

    def _welcomed(self, page: Page, recovered: bool, asked: float) -> None:
        self._mind_silence()
        if self.session is not None:
            self.recovered.append(recovered)
            self.back_after.append(self._now() - (asked if self._lost_at is None else self._lost_at))
        self.page, self.session = page, page.session
        self._acked, self._unanswered, self._lost_at = 0, None, None
        self._reported.clear()
        self._confirmed_at = self._now()
        if self._silent:
            self._silent = False
            self._anchor(self.position, True)
        if not recovered and self.position > page.frontier + 1:
            self._anchor(page.frontier, self.playing)
