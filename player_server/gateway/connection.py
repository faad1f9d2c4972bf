"""One accepted WebSocket: sending without ever waiting for its reader, and closing with a reason."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web

from player_server.observe import metrics
from telemetry.messages import Close, encode

#: A client that left this many bytes unread is cut off. Honest clients never have more than a few hundred waiting,
#: and below the transport's own mark (64 KiB) a send never blocks.
UNREAD_BYTES = 32 * 1024
#: The head of a text frame whose payload has so many bytes; a longer one has its length in two more bytes.
_SHORT = tuple(bytes((0x81, size)) for size in range(126))
_LONG = bytes((0x81, 126))
_PING = bytes((0x89, 0))


class Connection:
    """Send and close; both may be called after the socket is gone.

    Closing is the handler's own last step (`finish`): aiohttp cuts the line at once when a socket is closed while
    its handler is receiving, and frames still under way then reset it, so that the client never reads the code.
    """

    __slots__ = ("_code", "_done", "_finished", "_reader", "_transport", "_ws")

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._ws = ws
        self._transport = transport
        line = transport.get_extra_info("socket")
        if line is not None:
            # Without this the kernel takes some four megabytes for a client that does not read.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
        self._code: Close | None = None
        self._reader: asyncio.Task[None] | None = None
        self._finished = False
        # Made for whoever waits: thousands of players would each carry one that nobody needs.
        self._done: asyncio.Event | None = None

    def send(self, message: msgspec.Struct) -> None:
        """Put one message on the wire. Never waits: a client that does not read is cut off instead.

        The frame is written here and not by aiohttp, whose way costs an ack as much as counting its beat does.
        """
        if self._code is not None or self._ws.closed or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            metrics.closes.labels(Close.SLOW_READER.name.lower()).inc()
            # A close frame would have to wait behind what is not read.
            self._transport.abort()
            return
        payload = encode(message)
        size = len(payload)
        head = _SHORT[size] if size < 126 else _LONG + size.to_bytes(2, "big")
        self._transport.write(head + payload)

    def ping(self) -> None:
        """Let the line be seen in use. The answer is not waited for: who is gone is found by the beats that fail to
        come, and aiohttp's own heartbeat would set a timer anew with every beat."""
        if self._code is None and not self._ws.closed and not self._transport.is_closing():
            self._transport.write(_PING)

    def close(self, code: Close) -> None:
        """Have its handler close it; the first code wins."""
        if self._code is None and not self._ws.closed:
            metrics.closes.labels(code.name.lower()).inc()
            self._code = code
            if self._reader is not None and self._reader is not asyncio.current_task():
                self._reader.cancel()

    @property
    def closing(self) -> bool:
        """Whether this side has begun to close it."""
        return self._code is not None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For the handler: `close` ends this block, wherever in it the handler waits."""
        self._reader = task = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._code is None or task is None or task.uncancel():
                raise
        finally:
            self._reader = None

    async def finish(self) -> None:
        """For the handler, at its end: say the code, and read on until the client has heard it or time is over."""
        try:
            if self._code is not None:
                await self._ws.close(code=self._code, message=self._code.name.lower().encode())
        finally:
            self._finished = True
            if self._done is not None:
                self._done.set()

    async def closed(self) -> None:
        """Wait until a close that was begun is done."""
        if self._code is not None and not self._finished:
            self._done = self._done or asyncio.Event()
            await self._done.wait()
