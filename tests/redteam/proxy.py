"""A TCP proxy for bad networks: delay, loss, silence, half-open connections, idle time-outs, changing addresses.

The kernel here cannot do it (`tc netem` is missing), and TCP hides loss from programs anyway: what they see of a
lost packet is a delay until it was sent again. So that is what this proxy makes of it.
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp

from tests.redteam.arena import Arena

_CHUNK = 64 * 1024


def bad_path(mean_s: float, spread_s: float, loss: float, seed: int) -> Callable[[], float]:
    """One way of a network path: how late the next packet comes. A lost one comes after a time-out."""
    draw = random.Random(seed)

    def late() -> float:
        wait, timeout = draw.uniform(mean_s - spread_s, mean_s + spread_s), 2 * mean_s + 0.2
        while draw.random() < loss:
            wait += timeout
            timeout *= 2
        return max(0.0, wait)

    return late


class _Line:
    """One connection through the proxy."""

    def __init__(self) -> None:
        self.passing = asyncio.Event()
        self.passing.set()
        self.dead = False  # nothing passes any more, and neither end is told
        self.heard_at = time.monotonic()


class Proxy:
    """`source` gives the address from which the next connection goes on to the server."""

    def __init__(
        self,
        target: str,
        *,
        late: Callable[[], float] | None = None,
        idle_s: float | None = None,
        source: Callable[[], str] | None = None,
    ) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._late = late
        self._idle_s = idle_s
        self._source = source
        self._lines: set[_Line] = set()
        self._held = False
        self.longest_silence = 0.0  # of the server on one connection, seconds
        self.cut = 0  # connections closed because the server said nothing for too long
        self.url = ""

    def die(self) -> None:
        """Every open connection is half-open from now on; new ones work."""
        for line in self._lines:
            line.dead = True

    def hold(self, held: bool) -> None:
        """What is sent to the server waits in the network, and arrives together when it is let go."""
        self._held = held
        for line in self._lines:
            if held:
                line.passing.clear()
            else:
                line.passing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        local = (self._source(), 0) if self._source else None
        line = _Line()
        if self._held:
            line.passing.clear()
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target, local_addr=local)
        except OSError:
            writer.close()
            return
        self._lines.add(line)
        ways = [
            asyncio.create_task(self._carry(reader, up_writer, line, to_server=True)),
            asyncio.create_task(self._carry(up_reader, writer, line, to_server=False)),
        ]
        if self._idle_s is not None:
            ways.append(asyncio.create_task(self._watch_idle(line, self._idle_s)))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ways:
                each.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._lines.discard(line)
            for each_writer in (writer, up_writer):
                each_writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line, *, to_server: bool
    ) -> None:
        """One direction, in order; returns when that side has closed and everything has arrived."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(under_way, writer, line, to_server=to_server))
        try:
            with suppress(ConnectionError):
                while data := await reader.read(_CHUNK):
                    if not to_server:
                        now = time.monotonic()
                        self.longest_silence = max(self.longest_silence, now - line.heard_at)
                        line.heard_at = now
                    under_way.put_nowait((time.monotonic() + (self._late() if self._late else 0.0), data))
            under_way.put_nowait((0.0, b""))
            await arriving
        finally:
            arriving.cancel()

    async def _arrive(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        line: _Line,
        *,
        to_server: bool,
    ) -> None:
        while True:
            at, data = await under_way.get()
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            if to_server:
                await line.passing.wait()
            if line.dead:
                # Half-open: whatever is sent vanishes, and no end is ever told that the other one is gone.
                await asyncio.get_running_loop().create_future()
            if not data:
                return
            with suppress(ConnectionError):
                writer.write(data)
                await writer.drain()

    async def _watch_idle(self, line: _Line, limit_s: float) -> None:
        left = limit_s
        while left > 0:
            await asyncio.sleep(left)
            left = line.heard_at + limit_s - time.monotonic()
        self.cut += 1


@asynccontextmanager
async def behind(arena: Arena, proxy: Proxy) -> AsyncIterator[Arena]:
    """The arena as it is seen through this proxy."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    seen = copy.copy(arena)
    seen.nodes = [proxy.url]
    # A request never goes out on a connection that may be dead by now.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    try:
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            seen.http = http
            yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
