"""A crew of players and the three ways it beats: as fast as it is answered, at a pace, all coming at once."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from tests.bench.wire import Line

#: How many come at once where coming is not what is measured.
GENTLY = 50
#: How long anything may take that should take a moment, in seconds: connecting thousands on a busy machine.
PATIENCE_S = 900.0

ACK = b'{"type":"ack","seq":'
ECHO = b'{"type":"beat","seq":'

#: Gives the n-th player's ticket.
Tickets = Callable[[int], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds from when something was due until it was answered."""

    count: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: list[float]) -> Delays:
        ordered = sorted(seconds)
        last = len(ordered) - 1
        p50, p99 = (round(ordered[round(last * share)] * 1000, 2) for share in (0.5, 0.99))
        return cls(len(ordered), p50, p99, round(ordered[last] * 1000, 2))

    @classmethod
    def median(cls, many: list[Delays]) -> Delays:
        """The usual round of several: one in which something else had the machine changes nothing but the worst."""
        p50, p99 = (round(statistics.median(getattr(each, name) for each in many), 2) for name in ("p50", "p99"))
        return cls(sum(each.count for each in many), p50, p99, max(each.worst for each in many))


class Crew:
    """`size` players on one server. `answered` counts; it also beats again while `eager`."""

    def __init__(self, port: int, video_id: int | None) -> None:
        """`video_id` None: the server is the echo, which needs no hello."""
        self._port = port
        self._video_id = video_id
        self.answer = ECHO if video_id is None else ACK
        self.lines: list[Line] = []
        self.answers = 0
        self.surprises: Counter[str] = Counter()
        self._eager = False
        self._delays: list[float] | None = None

    # ---------------------------------------------------------------- what the lines bring

    def answered(self, line: Line, seq: int) -> None:
        sent = line.sent
        while sent and sent[0][0] <= seq:
            due = sent.pop(0)[1]
            self.answers += 1
            if self._delays is not None:
                self._delays.append(perf_counter() - due)
        if self._eager and not sent:
            line.beat(perf_counter())

    def surprised(self, what: str) -> None:
        self.surprises[what] += 1

    # ---------------------------------------------------------------- coming and going

    async def come(self, size: int, tickets: Tickets, *, at_once: int = GENTLY) -> Delays:
        """Connect this many players and let them say hello; how long each took until its welcome."""
        gate = asyncio.Semaphore(at_once)

        async def one(number: int) -> float:
            async with gate:
                ticket = await tickets(number)
                began = perf_counter()
                line = await self._connect(ticket)
                self.lines.append(line)
                return perf_counter() - began

        async with asyncio.timeout(PATIENCE_S):
            return Delays.of(await asyncio.gather(*(one(number) for number in range(size))))

    async def _connect(self, ticket: str) -> Line:
        host = f"127.0.0.1:{self._port}"
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: Line(self, host, ticket), "127.0.0.1", self._port)
        await line.opened
        if self._video_id is not None:
            line.hello(self._video_id)
            await line.welcomed
        return line

    def go(self) -> None:
        """Cut every line."""
        for line in self.lines:
            line.cut()

    # ---------------------------------------------------------------- beating

    def beat(self) -> None:
        """Every player beats once."""
        for line in self.lines:
            line.beat(perf_counter())

    async def once(self) -> None:
        """Every player beats once and waits for its answer."""
        self.beat()
        await self.settled()

    def start(self) -> None:
        """Everybody beats, and beats again as soon as it is answered, until `stop`."""
        self._eager = True
        self.beat()

    async def stop(self) -> None:
        """No further beats; returns when all are answered."""
        self._eager = False
        await self.settled()

    async def paced(self, per_second: float, seconds: float) -> Delays:
        """Beats in turn, evenly over time, whether answered or not. A beat is late from when it was due, not
        from when this process found the time to send it."""
        self._delays = []
        began, number, size = perf_counter(), 0, len(self.lines)
        total = max(1, round(per_second * seconds))
        while number < total:
            now = perf_counter()
            while number < total and (due := began + number / per_second) <= now:
                self.lines[number % size].beat(due)
                number += 1
            await asyncio.sleep(0.001)
        await self.settled()
        delays, self._delays = self._delays, None
        return Delays.of(delays)

    async def settled(self) -> None:
        """Wait until nothing is unanswered."""
        deadline = perf_counter() + PATIENCE_S
        while any(line.sent for line in self.lines):
            if perf_counter() > deadline:
                raise TimeoutError(f"beats are not answered; besides acks there came {dict(self.surprises)}")
            await asyncio.sleep(0.01)
