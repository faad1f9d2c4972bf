"""Load over HTTP: connections that ask again and again, or at a pace, with as little Python as that takes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Answers:
    """What came back: how long each took, in seconds, and every status that was not 200."""

    took: list[float] = field(default_factory=list)
    wrong: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.took) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """How long the slowest of this share took, in milliseconds."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class Line:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**23))

    async def ask(self, request: bytes) -> tuple[int, int]:
        """Send and read the whole answer: status and length of its body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await self._reader.readexactly(length)
        return int(head[9:12]), length

    def close(self) -> None:
        self._writer.close()


async def saturate(port: int, requests: Iterator[bytes], *, lines: int, seconds: float) -> Answers:
    """Every connection asks as soon as it was answered."""
    found = Answers()
    ends = perf_counter() + seconds

    async def run(line: Line) -> None:
        while (began := perf_counter()) < ends:
            await _timed(line, next(requests), began, found)

    await _with_lines(port, lines, run, found)
    return found


async def at_pace(port: int, requests: Iterator[bytes], *, lines: int, seconds: float, rate: float) -> Answers:
    """So many a second, evenly; the time counts from when a question was due, not from when it could be sent."""
    found = Answers()
    start = perf_counter()
    numbers = itertools.count()

    async def run(line: Line) -> None:
        while (due := start + next(numbers) / rate) < start + seconds:
            await asyncio.sleep(max(0.0, due - perf_counter()))
            await _timed(line, next(requests), due, found)

    await _with_lines(port, lines, run, found)
    return found


async def _timed(line: Line, request: bytes, since: float, found: Answers) -> None:
    status, _ = await line.ask(request)
    found.took.append(perf_counter() - since)
    if status != 200:
        found.wrong[status] = found.wrong.get(status, 0) + 1


async def _with_lines(port: int, lines: int, run, found: Answers) -> None:  # type: ignore[no-untyped-def]
    opened = [await Line.open(port) for _ in range(lines)]
    began = perf_counter()
    await asyncio.gather(*(run(line) for line in opened))
    found.seconds = perf_counter() - began
    for line in opened:
        line.close()
