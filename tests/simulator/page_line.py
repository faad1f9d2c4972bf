"""How a page comes to its line and keeps it, as static/player/watch_socket.js: ticket, hello, back-off, newest.

What messages mean is not decided here. All times are simulated seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from tests.simulator.line import REPLACED, Line, Message
from tests.simulator.person import DoorShut, Person

#: A busy page asks again this often.
ASK_AGAIN_S = 3.0
BACK_OFF_FIRST_S, BACK_OFF_MOST_S = 1.0, 15.0
AT_ONCE_S, RESTART_SPREAD_S = 0.5, 3.0
#: A line that is not greeted within this time is given up.
GREET_WITHIN_S = 10.0
_CUT = 1006
_RESTART = 1012
#: Close codes after which a page does not connect again, and what it says then.
_FINAL = {4000: "protocol", 4001: "displaced", 4002: "busy", 4003: "sign-in", 4004: "closed"}

Hear = Callable[[Message], Awaitable[None]]
Stopped = Callable[[str], None]


class PageLine:
    """The newest line of one page. `hear` gets its messages, `stopped` why the page will not connect again."""

    def __init__(self, person: Person, video_id: int, hear: Hear, stopped: Stopped) -> None:
        self.person = person
        self.pace = person.pace
        self.newest: Line | None = None
        self.asleep = False
        self.busy = False
        self.greeted = False  # the newest line was welcomed
        self.net_down_until = 0.0
        self._video_id = video_id
        self._hear_page = hear
        self._stopped = stopped
        self._over = False
        self._session: str | None = None
        self._older: list[Line] = []
        self._backlog: list[tuple[Line, Message]] = []
        self._takeover = self._asking = self._asked_to_take_over = False
        self._dialling = False
        self._hurry = asyncio.Event()
        self._failures = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, *, takeover: bool = False) -> None:
        """Connect; with `takeover` whoever plays elsewhere must go."""
        self._takeover = takeover
        self.dial()

    def dial(self) -> None:
        """Open a line beside the present one, unless that is under way."""
        self._spawn(self._dial())

    def probe(self) -> None:
        """Find out now whether there is a line, without waiting for the next try."""
        self._failures = 0
        self._hurry.set()
        self.dial()

    def insist(self) -> None:
        """The learner pressed [在此继续]."""
        self._takeover = True
        # Not `_hello` itself: a question that is due in the same instant must see that this one was asked.
        self._spawn(self._ask_again(after=0.0))

    @property
    def ready(self) -> bool:
        """There is a line that was welcomed."""
        return self.newest is not None and self.greeted and not self.asleep

    async def send(self, message: Message) -> None:
        """Put it on the line, if it is ready."""
        if self.newest is not None and self.ready:
            await self.newest.send(message)

    async def wake(self) -> None:
        """The machine slept: what came meanwhile is heard now."""
        self.asleep = False
        backlog, self._backlog = self._backlog, []
        for line, message in backlog:
            await self._hear(line, message)
        self.probe()

    async def end(self) -> None:
        """Close everything; nobody is told."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in (*self._older, *([self.newest] if self.newest else [])):
            await line.close()
        self.newest = None

    # ---------------------------------------------------------------- inside

    async def _dial(self) -> None:
        if self._dialling or self._over:
            return
        self._dialling = True
        try:
            while not self._over:
                try:
                    if self.pace.now() < self.net_down_until:
                        raise DoorShut(0)
                    line = await Line.open(self.person, self._video_id, self._hear, self._lost)
                except DoorShut as error:
                    if error.status == 401:
                        self._stop("sign-in")
                        return
                    most = min(BACK_OFF_MOST_S, BACK_OFF_FIRST_S * 2**self._failures)
                    self._failures += 1
                    await self._back_off(most * self.person.rng.uniform(0.5, 1.0))
                    continue
                if self.newest is not None:
                    self._older.append(self.newest)
                self.newest, self.greeted = line, False
                await self._hello()
                self._spawn(self._greeted_in_time(line))
                return
        finally:
            self._dialling = False

    async def _greeted_in_time(self, line: Line) -> None:
        await self.pace.sleep(GREET_WITHIN_S)
        if line is self.newest and not (self.greeted or self.busy):
            await self._lost(line, _CUT)
            await line.close(REPLACED)

    async def _back_off(self, seconds: float) -> None:
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds / self.pace.speed):
                await self._hurry.wait()

    async def _hello(self) -> None:
        if self.newest is not None:
            # A second hello would reach a socket that plays already, which is against the protocol.
            self._asking, self._asked_to_take_over = True, self._takeover
            hello = {"type": "hello", "video": self._video_id, "session": self._session, "takeover": self._takeover}
            await self.newest.send(hello)

    async def _ask_again(self, after: float) -> None:
        await self.pace.sleep(after)
        if self.busy and not self._asking:
            await self._hello()

    async def _hear(self, line: Line, message: Message) -> None:
        if line is not self.newest:
            return
        if self.asleep:
            self._backlog.append((line, message))
            return
        if message["type"] == "welcome":
            self._session = message["session"]
            self.greeted = True
            self.busy = self._takeover = self._asking = False
            self._failures = 0
            older, self._older = self._older, []
            for each in older:
                self._spawn(each.close(REPLACED))
        elif message["type"] == "busy":
            self.busy, self._asking = True, False
            wants_more = self._takeover and not self._asked_to_take_over
            self._spawn(self._ask_again(0.0 if wants_more else ASK_AGAIN_S))
        await self._hear_page(message)

    async def _lost(self, line: Line, code: int) -> None:
        if line is not self.newest:
            return
        self.newest, self.greeted, self.busy = None, False, False
        if code in _FINAL:
            self._stop(_FINAL[code])
            return
        await self._hear_page({"type": "lost"})
        spread = RESTART_SPREAD_S if code == _RESTART else AT_ONCE_S
        self._spawn(self._dial_after(self.person.rng.uniform(0, spread)))

    async def _dial_after(self, seconds: float) -> None:
        await self.pace.sleep(seconds)
        await self._dial()

    def _stop(self, reason: str) -> None:
        self._over = True
        self._stopped(reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._over:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
