"""The player page of an honest learner, as static/player does it: picture, beats, line, what each message means.

`Picture` is in picture.py. What a person does to the page (pause, drag, lose the network) is in honest.py. All
times are simulated seconds; only messages on the wire are in the product's own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.simulator.line import Message
from tests.simulator.pace import BEAT_EVERY_S
from tests.simulator.page_line import PageLine
from tests.simulator.person import Person, Video
from tests.simulator.picture import Picture
from tests.simulator.truth import Truth

#: As in static/player: watch_socket.js, player.js, heartbeat.js. Seconds.
ANSWER_WITHIN_S = 10.0
SILENT_S = 15.0
TRAIL_FROM_S, TRAIL_TO_S = 1.0, 0.3
SAME_PLACE_S = 1.0
TICK_S = 0.25

Challenged = Callable[["PlayerPage", Message], Awaitable[None]]


class PlayerPage:
    """`stopped` says why the page will not connect again; `done`: the video is watched, or the page stopped."""

    def __init__(self, person: Person, video: Video, truth: Truth, challenged: Challenged, former: str) -> None:
        """`former`: how the page before this one ended, for what it had not reported."""
        self.person = person
        self.pace = person.pace
        self.video = video
        self.truth = truth
        self.picture = Picture(self.pace, video.duration, truth)
        self.picture.holds.add("connecting")
        self.done = asyncio.Event()
        self.live = False
        self.greeted = False  # ever
        self.watched = self.credited = False
        self.stopped: str | None = None
        self.told: Counter[str] = Counter()  # reason → seconds that the server said it did not count
        self.delays: list[float] = []  # from beat to ack, in real milliseconds
        self.trail = 0.0
        self._challenged = challenged
        self._former = former
        self._line = PageLine(person, video.id, self._hear, self._stop)
        self._seq = 0
        self._rewind: int | None = None
        self._wait: float | None = None
        self._reported: dict[int, tuple[float, float]] = {}  # seq → where the picture stood, and when
        self._sent_at = self._confirmed_at = self.pace.now()
        self._unanswered_since: float | None = None
        self._nudge = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Another page plays, and the learner is asked what to do."""
        return self._line.busy

    # ---------------------------------------------------------------- what a person does

    def open(self, *, takeover: bool = False) -> None:
        """Load the page and press play."""
        self.picture.wanted = True
        self._ticking = asyncio.create_task(self._tick())
        self._line.start(takeover=takeover)

    async def play(self) -> None:
        self.picture.wanted = True
        await self._changed("play")

    async def pause(self) -> None:
        self.picture.move()
        self.picture.wanted = False
        await self._changed("pause")

    async def drag(self, to: float) -> None:
        """Back within what was watched: the page allows no more."""
        if self.picture.running:
            await self.beat("tick")
        self.picture.put(min(to, max(self.truth.frontier, 0.0)))
        self.picture.ending = False
        await self.beat("seek")

    async def stall(self, seconds: float) -> None:
        """The picture waits for data."""
        self.picture.move()
        self.picture.stalled = True
        await self._changed("stall")
        await self.pace.sleep_within(seconds)
        self.picture.stalled = False
        await self._changed("play")

    async def sleep(self, seconds: float) -> None:
        """The machine sleeps: no picture, no timers, and messages wait."""
        self.picture.freeze(True)
        self._line.asleep = True
        await self.pace.sleep_within(seconds)
        self.picture.freeze(False)
        await self._line.wake()
        self._nudge.set()

    async def slow_network(self, seconds: float) -> None:
        """Everything is held back for a while and then arrives at once."""
        line = self._line.newest
        if line is None:
            return
        line.hold()
        await self.pace.sleep_within(seconds)
        await line.release()

    async def lose_network(self, seconds: float, *, cut: bool, notices: bool) -> None:
        """No network for so long. `cut`: the old line breaks at both ends; else it is half open for ever.
        `notices`: the browser tells the page when the network is back."""
        self._line.net_down_until = self.pace.now() + seconds
        if (line := self._line.newest) is not None:
            if cut:
                await line.cut()
            else:
                line.die()
        await self.pace.sleep_within(seconds)
        if notices and not self.done.is_set():
            self._line.probe()

    def insist(self) -> None:
        """Press [在此继续]."""
        self._line.insist()

    async def leave(self) -> None:
        """Close the tab, or go elsewhere: report the place that is left, and say good-bye."""
        if self.picture.running:
            await self.beat("tick")
        await self._line.send({"type": "bye"})
        await self.vanish()

    async def crash(self) -> None:
        """The browser is gone without a word."""
        if (line := self._line.newest) is not None:
            await line.cut()
        await self.vanish()

    async def vanish(self) -> None:
        """Nothing of this page moves any more."""
        self.picture.move()
        self.picture.wanted = False
        self.picture.move()
        self._stop("left")
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self._line.end()

    async def settle(self, seconds: float) -> None:
        """Wait until everything that was sent is acknowledged, and for the line while it is lost."""
        until = self.pace.now() + seconds
        while (self._reported or not self.live) and self.stopped is None and self.pace.now() < until:
            await self.pace.sleep(0.5)

    # ---------------------------------------------------------------- beats

    async def beat(self, event: str) -> None:
        """Report where the picture stands, if there is a line to report it on."""
        self.picture.move()
        if not self._line.ready:
            return
        self._seq += 1
        self._sent_at = self.pace.now()
        self._reported[self._seq] = (self.picture.position, self._sent_at)
        if self._unanswered_since is None:
            self._unanswered_since = self._sent_at
        await self._line.send(
            {
                "type": "beat",
                "seq": self._seq,
                "position": self.picture.position / self.pace.speed,
                "playing": self.picture.running or self.picture.ending,
                "event": event,
                "rate": self.picture.rate,
                "visible": True,
                "rewind": self._rewind,
            }
        )

    async def _changed(self, event: str) -> None:
        await self.beat(event)
        self._nudge.set()

    async def _tick(self) -> None:
        """The page's timer, four times a second in life; here it wakes when something is due."""
        while not self.done.is_set():
            late = self.person.rng.uniform(0.0, TICK_S)
            self._nudge.clear()
            delay = max(0.0, self._due_at() - self.pace.now()) + late
            try:
                async with asyncio.timeout(delay / self.pace.speed):
                    await self._nudge.wait()
                continue
            except TimeoutError:
                pass
            if not self._line.asleep:
                await self._look()

    def _due_at(self) -> float:
        if self._line.asleep:
            return self.pace.now() + 3600
        due = [self._sent_at + self._every()]
        if self.picture.running:
            due += [self.picture.ends_at(), self._confirmed_at + SILENT_S]
        if self._unanswered_since is not None:
            due.append(self._unanswered_since + ANSWER_WITHIN_S)
        return min(due)

    def _every(self) -> float:
        if self.picture.ending and self._wait is not None:
            return min(BEAT_EVERY_S, max(0.5, self._wait + 0.1))
        return BEAT_EVERY_S

    async def _look(self) -> None:
        now = self.pace.now()
        picture = self.picture
        picture.move()
        at_end = picture.at_end and picture.wanted and not picture.holds
        if at_end and not picture.ending and not self.watched:
            picture.ending = True
            await self.beat("ended")
        elif not picture.running:
            self._confirmed_at = now if "silent" not in picture.holds else self._confirmed_at
        elif now - self._confirmed_at > SILENT_S:
            picture.hold("silent")
        if self._unanswered_since is not None and now - self._unanswered_since > ANSWER_WITHIN_S:
            self._unanswered_since = now
            self._line.dial()
        if now - self._sent_at >= self._every():
            await self.beat("ended" if picture.ending else "tick")
            self._sent_at = now

    def _stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self.picture.hold("stopped")
        self.live = False
        self.done.set()
        self._nudge.set()

    # ---------------------------------------------------------------- what the server says

    async def _hear(self, message: Message) -> None:
        self._unanswered_since = None
        match message["type"]:
            case "welcome":
                await self._welcome(message)
            case "ack":
                self._acknowledged(message)
            case "rewind":
                await self._rewound(message)
            case "challenge":
                await self._held(message)
            case "resume":
                await self._resume(message)
            case "busy":
                self.picture.hold("busy")
            case "lost":
                self.live = False
            case "watched":
                self._is_watched()
            case "credited" if message["video"] == self.video.id:
                self.credited = True
                self._is_watched()

    async def _welcome(self, message: Message) -> None:
        speed, picture = self.pace.speed, self.picture
        first, self.greeted, self.live = not self.greeted, True, True
        self._rewind = None
        self._confirmed_at = self.pace.now()
        self._reported.clear()
        frontier = message["frontier"] * speed
        if message["watched"] or message["credited"]:
            self.credited = message["credited"]
            self._is_watched()
            return
        picture.move()
        if first:
            self.truth.back_to(frontier, self._former)
            picture.put(min(message["position"] * speed, self.truth.frontier, self.video.duration - SAME_PLACE_S))
        elif not message["recovered"] and picture.position > frontier + SAME_PLACE_S:
            self._go_back(frontier, "not_recovered")
        if message["challenge"]:
            await self._held(message["challenge"])
        else:
            picture.release("challenge")
        picture.release("connecting", "busy", "silent")
        await self._changed("ended" if picture.ending else "tick")

    def _acknowledged(self, message: Message) -> None:
        self._confirmed_at = self.pace.now()
        self.live = True
        reported = self._reported.get(message["seq"])
        for seq in [each for each in self._reported if each <= message["seq"]]:
            del self._reported[seq]
        self.truth.acknowledged = max(self.truth.acknowledged, message["frontier"] * self.pace.speed)
        if reported is not None:
            self.delays.append((self.pace.now() - reported[1]) / self.pace.speed * 1000)
        if reported is not None and "challenge" not in self.picture.holds:
            self.trail = max(0.0, reported[0] - message["frontier"] * self.pace.speed)
            slow = self.trail > (TRAIL_TO_S if self.picture.rate < 1 else TRAIL_FROM_S)
            self.picture.set_rate(0.97 if slow else 1.0)
        if message["uncredited"]:
            reason, seconds = message["uncredited"]["reason"], message["uncredited"]["seconds"]
            self.told[reason] += seconds * self.pace.speed
        self._wait = None if message["wait"] is None else message["wait"] * self.pace.speed
        self.picture.release("silent")
        if message["watched"]:
            self._is_watched()

    async def _rewound(self, message: Message) -> None:
        self._rewind = message["id"]
        self._go_back(message["to"] * self.pace.speed, message["reason"])
        await self._changed("seek")

    def _go_back(self, to: float, reason: str | None) -> None:
        self.picture.move()
        self.truth.back_to(to, reason)
        self.picture.put(to)
        self.picture.ending = False
        self.trail = 0.0
        self.picture.set_rate(1.0)

    async def _held(self, challenge: Message) -> None:
        self.picture.move()
        self.picture.hold("challenge")
        self.picture.ending = False
        await self._challenged(self, challenge)

    async def _resume(self, message: Message) -> None:
        position = message["position"] * self.pace.speed
        if abs(self.picture.position - position) > SAME_PLACE_S:
            # The place may lie behind the frontier, when the learner was watching something again.
            self.truth.back_to(max(position, self.truth.acknowledged), "challenge")
            self.picture.put(position)
            self.picture.ending = False
        self.picture.release("challenge")
        if self.picture.at_end and not self.watched:
            self.picture.ending = True
        await self._changed("ended" if self.picture.ending else "play")

    def _is_watched(self) -> None:
        self.picture.move()
        self.watched = self.picture.free = True
        self.done.set()
        self._nudge.set()
