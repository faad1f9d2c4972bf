"""The player page of an honest learner, as static/player does it: picture, beats, line, what each message means.

`Picture` is in picture.py. What a person does to the page (pause, drag, lose the network) is in honest.py. All
times are simulated seconds; only messages on the wire are in the product's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.simulator.line import REPLACED, Line, Message
from tests.simulator.pace import BEAT_EVERY_S
from tests.simulator.person import DoorShut, Person, Video
from tests.simulator.picture import Picture
from tests.simulator.truth import Truth

#: As in static/player: watch_socket.js, player.js, heartbeat.js. Seconds.
ANSWER_WITHIN_S = 10.0
SILENT_S = 15.0
ASK_AGAIN_S = 3.0
TRAIL_FROM_S, TRAIL_TO_S = 1.0, 0.3
SAME_PLACE_S = 1.0
TICK_S = 0.25
BACK_OFF_FIRST_S, BACK_OFF_MOST_S = 1.0, 15.0
RESTART_SPREAD_S = 3.0

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
        self.greeted = False
        self.busy = False
        self.watched = self.credited = False
        self.stopped: str | None = None
        self.asleep = False
        self.net_down_until = 0.0
        #: Reason → seconds that the server said it did not count, since the last loss of this kind.
        self.told: dict[str, float] = {}
        self.trail = 0.0
        self._challenged = challenged
        self._former = former
        self._line: Line | None = None
        self._older: list[Line] = []
        self._session: str | None = None
        self._takeover = False
        self._seq = 0
        self._rewind: int | None = None
        self._wait: float | None = None
        self._reported: dict[int, float] = {}
        self._sent_at = self._confirmed_at = self.pace.now()
        self._unanswered_since: float | None = None
        self._dialling = False
        self._greeting = False
        self._asking = self._asked_to_take_over = False
        self._hurry = asyncio.Event()
        self._failures = 0
        self._backlog: list[tuple[Line, Message]] = []
        self._nudge = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------- what a person does

    def open(self, *, takeover: bool = False) -> None:
        """Load the page and press play."""
        self._takeover = takeover
        self.picture.wanted = True
        self._spawn(self._tick())
        self._spawn(self._dial())

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
        self.asleep = True
        await self.pace.sleep_within(seconds)
        self.asleep = False
        self.picture.freeze(False)
        backlog, self._backlog = self._backlog, []
        for line, message in backlog:
            await self._hear(line, message)
        self._nudge.set()
        self.probe()

    async def slow_network(self, seconds: float) -> None:
        """Everything is held back for a while and then arrives at once."""
        line = self._line
        if line is None:
            return
        line.hold()
        await self.pace.sleep_within(seconds)
        await line.release()

    async def lose_network(self, seconds: float, *, cut: bool, notices: bool) -> None:
        """No network for so long. `cut`: the old line breaks at both ends; else it is half open for ever.
        `notices`: the browser tells the page when the network is back."""
        self.net_down_until = self.pace.now() + seconds
        if (line := self._line) is not None:
            if cut:
                await line.cut()
            else:
                line.die()
        await self.pace.sleep_within(seconds)
        if notices:
            self.probe()

    def probe(self) -> None:
        """The line may be broken: find out now."""
        if self.stopped is None and not self.done.is_set():
            self._failures = 0
            self._hurry.set()
            self._spawn(self._dial())

    async def leave(self) -> None:
        """Close the tab, or go elsewhere: report the place that is left, and say good-bye."""
        if self.picture.running:
            await self.beat("tick")
        if self._line is not None and self.live:
            await self._line.send({"type": "bye"})
        await self.vanish()

    async def crash(self) -> None:
        """The browser is gone without a word."""
        if self._line is not None:
            await self._line.cut()
        await self.vanish()

    async def vanish(self) -> None:
        """Nothing of this page moves any more."""
        self.picture.move()
        self.picture.wanted = False
        self.picture.move()
        self._stop("left")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in (*self._older, *([self._line] if self._line else [])):
            await line.close()
        self._line = None

    async def settle(self, seconds: float) -> None:
        """Wait until everything that was sent is acknowledged, or the line is of no use."""
        until = self.pace.now() + seconds
        while self._reported and self.live and self.pace.now() < until:
            await self.pace.sleep(0.5)

    # ---------------------------------------------------------------- beats

    async def beat(self, event: str) -> None:
        """Report where the picture stands, if there is a line to report it on."""
        self.picture.move()
        if self._line is None or self._greeting or self.asleep:
            return
        self._seq += 1
        self._sent_at = self.pace.now()
        if self._unanswered_since is None:
            self._unanswered_since = self._sent_at
        self._reported[self._seq] = self.picture.position
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
            if not self.asleep:
                await self._look()

    def _due_at(self) -> float:
        if self.asleep:
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
            self._spawn(self._dial())
        if now - self._sent_at >= self._every():
            await self.beat("ended" if picture.ending else "tick")
            self._sent_at = now

    # ---------------------------------------------------------------- the line

    async def _dial(self) -> None:
        if self._dialling or self.stopped is not None:
            return
        self._dialling = True
        try:
            while self.stopped is None:
                try:
                    if self.pace.now() < self.net_down_until:
                        raise DoorShut(0)
                    line = await Line.open(self.person, self.video.id, self._hear, self._lost)
                except DoorShut as error:
                    if error.status == 401:
                        self._stop("sign-in")
                        return
                    most = min(BACK_OFF_MOST_S, BACK_OFF_FIRST_S * 2**self._failures)
                    self._failures += 1
                    await self._back_off(most * self.person.rng.uniform(0.5, 1.0))
                    continue
                if self._line is not None:
                    self._older.append(self._line)
                self._line = line
                self._greeting = True
                await self._hello(takeover=self._takeover)
                return
        finally:
            self._dialling = False

    async def _back_off(self, seconds: float) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds / self.pace.speed):
                await self._hurry.wait()

    async def _hello(self, *, takeover: bool) -> None:
        if self._line is not None:
            # A second hello would reach a socket that plays already, which is against the protocol.
            self._asking, self._asked_to_take_over = True, takeover
            hello = {"type": "hello", "video": self.video.id, "session": self._session, "takeover": takeover}
            await self._line.send(hello)

    async def _lost(self, line: Line, code: int) -> None:
        if line is not self._line:
            return
        self._line = None
        self.live = False
        self._unanswered_since = None
        reason = {4000: "protocol", 4001: "displaced", 4002: "busy", 4003: "sign-in", 4004: "closed"}.get(code)
        if reason is not None:
            self._stop(reason)
            return
        spread = RESTART_SPREAD_S if code == 1012 else 0.5
        self._spawn(self._dial_after(self.person.rng.uniform(0, spread)))

    async def _dial_after(self, seconds: float) -> None:
        await self.pace.sleep(seconds)
        await self._dial()

    def _stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self.picture.hold("stopped")
        self.live = False
        self.done.set()
        self._nudge.set()

    # ---------------------------------------------------------------- what the server says

    async def _hear(self, line: Line, message: Message) -> None:
        if line is not self._line:
            return
        if self.asleep:
            self._backlog.append((line, message))
            return
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
                self._busy()
            case "watched":
                self._is_watched()
            case "credited":
                self.credited = True
                self._is_watched()

    async def _welcome(self, message: Message) -> None:
        speed, picture = self.pace.speed, self.picture
        first, self.greeted, self.live, self.busy = not self.greeted, True, True, False
        self._greeting = False
        self._session = message["session"]
        self._takeover = self._asking = False
        self._failures = 0
        self._rewind = None
        self._confirmed_at = self.pace.now()
        self._reported.clear()
        older, self._older = self._older, []
        for line in older:
            self._spawn(line.close(REPLACED))
        frontier = message["frontier"] * speed
        if message["watched"] or message["credited"]:
            self.credited = message["credited"]
            self._is_watched()
            return
        picture.move()
        if first:
            self.truth.back_to(frontier, self._former, self.truth.unacknowledged)
            picture.put(min(message["position"] * speed, self.truth.frontier, self.video.duration - SAME_PLACE_S))
        elif not message["recovered"] and picture.position > frontier + SAME_PLACE_S:
            self._go_back(frontier, "not_recovered", self.truth.unacknowledged)
        if message["challenge"]:
            await self._held(message["challenge"])
        else:
            picture.release("challenge")
        picture.release("connecting", "busy", "silent")
        await self._changed("ended" if picture.ending else "tick")

    def _acknowledged(self, message: Message) -> None:
        self._confirmed_at = self.pace.now()
        self.live = True
        position = self._reported.get(message["seq"])
        for seq in [each for each in self._reported if each <= message["seq"]]:
            del self._reported[seq]
        self.truth.acknowledged = max(self.truth.acknowledged, message["frontier"] * self.pace.speed)
        if position is not None and "challenge" not in self.picture.holds:
            self.trail = max(0.0, position - message["frontier"] * self.pace.speed)
            slow = self.trail > (TRAIL_TO_S if self.picture.rate < 1 else TRAIL_FROM_S)
            self.picture.set_rate(0.97 if slow else 1.0)
        if message["uncredited"]:
            reason, seconds = message["uncredited"]["reason"], message["uncredited"]["seconds"]
            self.told[reason] = self.told.get(reason, 0.0) + seconds * self.pace.speed
        self._wait = None if message["wait"] is None else message["wait"] * self.pace.speed
        self.picture.release("silent")
        if message["watched"]:
            self._is_watched()

    async def _rewound(self, message: Message) -> None:
        self._rewind = message["id"]
        reason = str(message["reason"])
        # What the server trailed was to be seen in every ack; what it did not count it has said with this one.
        self._go_back(message["to"] * self.pace.speed, reason, self.told.pop(reason, 0.0) + self.trail)
        await self._changed("seek")

    def _go_back(self, to: float, reason: str, told: float) -> None:
        self.picture.move()
        self.truth.back_to(to, reason, told)
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
            self._go_back(position, "challenge", self.told.pop("challenge", 0.0) + self.trail)
        self.picture.release("challenge")
        if self.picture.at_end and not self.watched:
            self.picture.ending = True
        await self._changed("ended" if self.picture.ending else "play")

    def _busy(self) -> None:
        self.busy, self._greeting, self._asking = True, False, False
        self.picture.hold("busy")
        wants_more = self._takeover and not self._asked_to_take_over
        self._spawn(self._ask_again(0.0 if wants_more else ASK_AGAIN_S))

    async def _ask_again(self, after: float) -> None:
        await self.pace.sleep(after)
        if self.busy and not self._asking:
            await self._hello(takeover=self._takeover)

    def insist(self) -> None:
        """Press [在此继续]."""
        self._takeover = True
        if self.busy and not self._asking:
            self._spawn(self._hello(takeover=True))

    def _is_watched(self) -> None:
        self.picture.move()
        self.watched = self.picture.free = True
        self.done.set()
        self._nudge.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
