"""One accepted WebSocket: sending without ever waiting for its reader, and closing with a reason."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import WSMsgType, web

from player_server.observe import metrics
from telemetry.messages import Close, encode

#: A client that left this many bytes unread is cut off. Honest clients never have more than a few hundred waiting,
#: and below the transport's own mark (64 KiB) a send never blocks.
UNREAD_BYTES = 32 * 1024


class Connection:
    """Send and close; both may be called after the socket is gone."""

    __slots__ = ("_closing", "_transport", "_ws")

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._ws = ws
        self._transport = transport
        self._closing: asyncio.Task[bool] | None = None

    async def send(self, message: msgspec.Struct) -> None:
        """Put one message on the wire. Never blocks: a client that does not read is cut off instead."""
        if self._ws.closed or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            metrics.closes.labels(Close.SLOW_READER.name.lower()).inc()
            # A close frame would have to wait behind what is not read.
            self._transport.abort()
            return
        try:
            await self._ws.send_frame(encode(message), WSMsgType.TEXT)
        except (ConnectionError, RuntimeError):
            # It closed while we were sending; its handler notices by itself.
            return

    def close(self, code: Close) -> None:
        """Close it in the background; the first code wins."""
        if self._closing is None and not self._ws.closed:
            metrics.closes.labels(code.name.lower()).inc()
            self._closing = asyncio.create_task(self._ws.close(code=code, message=code.name.lower().encode()))

    @property
    def closing(self) -> bool:
        """Whether this side has begun to close it."""
        return self._closing is not None

    async def closed(self) -> None:
        """Wait until a close that was begun is done."""
        if self._closing is not None:
            await asyncio.wait([self._closing])
