"""The lean client: one asyncio protocol a player, because a comfortable one would be busier than the server.

What belongs here is bytes: handshake, frames, beats, answers. When beats are sent is load.py's business. Client
frames must be masked; the mask is always zero, which a server has to apply like any other and costs us nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from time import perf_counter
from typing import Protocol, cast

from telemetry.messages import SUBPROTOCOL

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
_NO_MASK = bytes(4)


class Watcher(Protocol):
    """Who is told what the players' lines bring."""

    #: How an answer to a beat begins, up to its seq: an ack, or the beat itself from the echo.
    answer: bytes

    def answered(self, line: Line, seq: int) -> None:
        """The beat `seq` and all before it are answered."""

    def surprised(self, what: str) -> None:
        """Something came that no honest run brings: a rewind, an error, a close."""


class Line(asyncio.Protocol):
    """One player's socket. `opened` is done after the handshake; `welcomed` after the welcome."""

    __slots__ = ("_request", "_rest", "_transport", "began", "opened", "sent", "seq", "watcher", "welcomed")

    def __init__(self, watcher: Watcher, host: str, ticket: str) -> None:
        self.watcher = watcher
        self._request = _handshake(host, ticket)
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.seq = 0
        self.began = 0.0
        #: Beats that are not answered: their seq and when they were due, oldest first.
        self.sent: list[tuple[int, float]] = []

    # ---------------------------------------------------------------- sending

    def hello(self, video_id: int) -> None:
        """Ask to become the player."""
        self._send(TEXT, b'{"type":"hello","video":%d,"session":null,"takeover":false}' % video_id)

    def beat(self, due: float) -> None:
        """Report that the video runs with this machine's clock, from 0 at the first beat. `due` is when it was
        planned (perf_counter)."""
        if not self.seq:
            self.began = perf_counter()
        self.seq += 1
        self.sent.append((self.seq, due))
        self._send(
            TEXT,
            b'{"type":"beat","seq":%d,"position":%.6f,"playing":true,"event":"tick","rate":1.0,"visible":true,'
            b'"rewind":null}' % (self.seq, perf_counter() - self.began),
        )

    def cut(self) -> None:
        """Drop the line without a word, as a lost network does."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None and len(payload) < 126
        self._transport.write(bytes((opcode, 0x80 | len(payload))) + _NO_MASK + payload)

    # ---------------------------------------------------------------- receiving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)
        self._request = b""

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in (self.opened, self.welcomed):
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"the server hung up: {error or 'no reason given'}"))
                waiting.exception()  # It is looked at by whoever waits; nobody may be waiting.

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self.opened.done():
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            status = head.partition(b"\r\n")[0].decode()
            if " 101 " not in status:
                self.opened.set_exception(ConnectionError(f"the handshake was refused: {status}"))
                return
            self.opened.set_result(None)
            data = rest
        start, end_ = 0, len(data)
        while end_ - start >= 2:
            size, head_size = data[start + 1], 2
            if size == 126:
                if end_ - start < 4:
                    break
                size, head_size = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            stop = start + head_size + size
            if stop > end_:
                break
            self._frame(data[start], data[start + head_size : stop])
            start = stop
        self._rest = data[start:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            answer = self.watcher.answer
            if payload.startswith(answer):
                size = len(answer)
                self.watcher.answered(self, int(payload[size : payload.index(b",", size)]))
                return
            what = json.loads(payload)["type"]
            if what == "welcome":
                self.welcomed.set_result(None)
            else:
                self.watcher.surprised(f"{what}: {payload[:120].decode(errors='replace')}")
        elif opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            self.watcher.surprised(f"close {int.from_bytes(payload[:2], 'big')}")


def _handshake(host: str, ticket: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /ws/watch?ticket={ticket} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nUser-Agent: Mozilla/5.0 (bench)\r\n\r\n"
    ).encode()
