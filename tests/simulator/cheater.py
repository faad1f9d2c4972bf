"""What every cheater has: lines without a page, a phone if the checks are to be answered, and the account of what
the server may at most have seen. The ways to cheat are in cheats.py.

`allowed` is the time in which one of the lines was the player and no check was open, measured from outside, from
before the hello to the end of the line: whatever is credited beyond it was not earned.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.simulator.line import Line, Message
from tests.simulator.pace import Pace
from tests.simulator.person import DoorShut, Person, Video

#: How long a cheater waits for a door before trying again, in seconds.
PATIENCE_S = 30.0


class Purse:
    """Adds up the time of being the player while no check is open. Seconds of the simulation."""

    def __init__(self, pace: Pace) -> None:
        self.seconds = 0.0
        self._pace = pace
        self._owners = 0
        self._held = False
        self._since = 0.0

    def _move(self) -> None:
        now = self._pace.now()
        if self._owners and not self._held:
            self.seconds += now - self._since
        self._since = now

    def owns(self, since: float) -> None:
        """A hello that was sent at `since` was accepted."""
        self._move()
        if not self._owners and not self._held:
            self.seconds += self._since - since
        self._owners += 1

    def over(self) -> None:
        """A line that owned the player is closed."""
        self._move()
        self._owners -= 1

    def hold(self, held: bool) -> None:
        """A check is open, or is about to be answered."""
        self._move()
        self._held = held


class CheatLine:
    """A socket that says what it is told to. `frontier` and `rewind` as last told by the server."""

    def __init__(self, cheater: Cheater, video: Video) -> None:
        self.cheater = cheater
        self.video = video
        self.pace = cheater.pace
        self.seq = 0
        self.frontier = 0.0
        self.rewind: int | None = None
        self.rewound_to: float | None = None
        self.session: str | None = None
        self.busy = False
        self.watched = False
        self.owned = False
        self.sent: list[Message] = []
        self.ended = asyncio.Event()
        self._greeted = asyncio.Event()
        self._line: Line | None = None
        self._hello_at = 0.0

    async def open(self, *, session: str | None = None, takeover: bool = True) -> bool:
        """Connect and say hello; whether it plays now."""
        try:
            self._line = await Line.open(self.cheater.person, self.video.id, self._hear, self._lost)
        except DoorShut:
            await self.pace.sleep(5)
            return False
        self._hello_at = self.pace.now()
        await self._line.send({"type": "hello", "video": self.video.id, "session": session, "takeover": takeover})
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S / self.pace.speed + 2):
                await self._greeted.wait()
        return self.owned and not self.ended.is_set()

    async def beat(self, position: float, *, event: str = "tick", playing: bool = True, rate: float = 1.0) -> None:
        """Claim this position (seconds of the simulation)."""
        if self._line is None:
            return
        self.seq += 1
        self.cheater.claim(self.video, position)
        message = {
            "type": "beat",
            "seq": self.seq,
            "position": position / self.pace.speed,
            "playing": playing,
            "event": event,
            "rate": rate,
            "visible": True,
            "rewind": self.rewind,
        }
        self.sent.append(message)
        await self._line.send(message)

    async def raw(self, message: Message) -> None:
        if self._line is not None:
            await self._line.send(message)

    async def cut(self) -> None:
        """Gone without a word."""
        if self._line is not None:
            await self._line.cut()

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()
        self._end()

    def _end(self) -> None:
        if self.owned and not self.ended.is_set():
            self.cheater.purse.over()
        self.ended.set()
        self._greeted.set()

    async def _lost(self, _line: Line, _code: int) -> None:
        self._end()

    async def _hear(self, _line: Line, message: Message) -> None:
        speed = self.pace.speed
        match message["type"]:
            case "welcome":
                self.session, self.frontier = message["session"], message["frontier"] * speed
                self.watched = message["watched"] or message["credited"]
                self.cheater.purse.owns(self._hello_at)
                self.owned = True
                self._greeted.set()
                if message["challenge"]:
                    self.cheater.checked(message["challenge"])
            case "busy":
                self.busy = True
                self._greeted.set()
            case "ack":
                self.frontier, self.watched = message["frontier"] * speed, message["watched"]
            case "rewind":
                self.rewind, self.rewound_to = message["id"], message["to"] * speed
            case "challenge":
                self.cheater.checked(message)
            case "resume":
                self.cheater.purse.hold(False)
                self.cheater.check = None


class Cheater:
    """One cheating person. `answers`: checks are answered with the phone; without it they are ignored."""

    def __init__(self, person: Person, kind: str) -> None:
        self.person = person
        self.kind = kind
        self.pace = person.pace
        self.purse = Purse(person.pace)
        self.answers = False
        self.check: Message | None = None
        self.claimed: dict[int, float] = {}
        self.lines: list[CheatLine] = []
        self._answering: set[asyncio.Task[None]] = set()

    async def line(
        self, video: Video, *, session: str | None = None, takeover: bool = True, patient: bool = True
    ) -> CheatLine | None:
        """A line that plays this video, tried again until it does; None: the day is over, or it was not let in."""
        while not self.pace.over:
            line = CheatLine(self, video)
            self.lines.append(line)
            if await line.open(session=session, takeover=takeover):
                return line
            await line.close()
            if not patient:
                return None
            await self.pace.sleep(2)
        return None

    def claim(self, video: Video, position: float) -> None:
        """Remember the farthest claim, for the report."""
        self.claimed[video.id] = max(self.claimed.get(video.id, 0.0), min(position, video.duration))

    def checked(self, challenge: Message) -> None:
        """A check is open: nothing is earned until it is answered."""
        self.purse.hold(True)
        known = self.check is not None and self.check["id"] == challenge["id"]
        known = known and self.check is not None and self.check["missed"] == challenge["missed"]
        self.check = challenge
        if self.answers and not known:
            task = asyncio.create_task(self._answer(challenge))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, challenge: Message) -> None:
        if challenge["missed"]:
            await self.person.renew(challenge)
            return

        async def about_to_press() -> None:
            # The server may let go from this moment on.
            self.purse.hold(False)

        if await self.person.answer(challenge, about_to_press) not in ("confirmed", "already_confirmed"):
            self.purse.hold(True)

    async def stop(self) -> None:
        """End whatever is under way."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        for line in self.lines:
            if not line.ended.is_set():
                await line.close()
        await self.person.close()
