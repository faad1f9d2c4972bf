"""One WebSocket over a network that is not always there: it may be cut, fall silent, or hold everything back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from telemetry.messages import SUBPROTOCOL
from tests.simulator.person import DoorShut, Person

Message = dict[str, Any]
Hear = Callable[["Line", Message], Awaitable[None]]
Lost = Callable[["Line", int], Awaitable[None]]
#: The page's own close code for a socket it gives up (static/player/watch_socket.js).
REPLACED = 3001


class Line:
    """`hear` gets every message, `lost` the close code (1006: cut) once, unless this side has closed it."""

    def __init__(self, socket: ClientConnection, hear: Hear, lost: Lost) -> None:
        self._socket = socket
        self._hear = hear
        self._lost = lost
        self._held: list[Message] | None = None
        self._dead = False
        self._given_up = False
        self._late: list[Message] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, person: Person, video_id: int, hear: Hear, lost: Lost) -> Line:
        """Ticket and handshake. Raises DoorShut."""
        ticket = await person.ticket(video_id)
        try:
            socket = await connect(
                f"{person.url.replace('http', 'ws', 1)}/ws/watch?ticket={ticket}",
                origin=person.url,  # type: ignore[arg-type]  # A plain string is one.
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # As above.
                additional_headers={"Cookie": person.cookie},
                local_addr=(person.address, 0),
                proxy=None,
                compression=None,
                ping_interval=None,
                open_timeout=10,
                close_timeout=1,
                max_queue=None,
            )
        except InvalidHandshake as error:
            raise DoorShut(getattr(getattr(error, "response", None), "status_code", 0)) from None
        except (OSError, TimeoutError, EOFError):
            raise DoorShut(0) from None
        return cls(socket, hear, lost)

    async def send(self, message: Message) -> None:
        """Put it on the wire; on a broken line it goes nowhere, as in life."""
        if self._dead:
            return
        if self._held is not None:
            self._held.append(message)
            return
        with suppress(ConnectionClosed):
            await self._socket.send(json.dumps(message))

    def hold(self) -> None:
        """A slow network: nothing arrives at either end for now, and nothing is lost."""
        if self._held is None:
            self._held = []

    async def release(self) -> None:
        """What was held back arrives at once."""
        held, self._held = self._held or [], None
        for message in held:
            await self.send(message)
        late, self._late = self._late, []
        for message in late:
            await self._hear(self, message)

    def die(self) -> None:
        """Half open: this end hears and says nothing any more, the other end does not know."""
        self._dead = True

    async def cut(self) -> None:
        """Broken at both ends, without a word."""
        self._socket.transport.abort()
        await asyncio.wait([self._reader])

    async def close(self, code: int = 1000) -> None:
        """Closed by the page; `lost` is not called."""
        self._given_up = True
        with suppress(ConnectionClosed, OSError):
            if self._dead:
                self._socket.transport.abort()
            else:
                await self._socket.close(code)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self._socket:
                if self._dead:
                    continue
                message: Message = json.loads(text)
                if self._held is not None:
                    self._late.append(message)
                else:
                    await self._hear(self, message)
        if not self._given_up and not self._dead:
            await self._lost(self, self._socket.close_code or 1006)
