"""A player without a browser: speaks xueshi.watch.v1 with the `websockets` client, and nothing it is not told."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from player_server.auth.login_sessions import Client, hash_token, open_login
from player_server.learning.services import Services
from player_server.storage import tickets
from player_server.storage.tickets import Ticket
from telemetry.messages import SUBPROTOCOL
from tests.support.school import Pupil

Message = dict[str, Any]


async def log_in(services: Services, pupil: Pupil) -> str:
    """A log-in session of this learner, without the log-in page; returns its hash."""
    async with services.db.write() as conn:
        token = await open_login(
            services,
            conn,
            person_id=pupil.person_id,
            learner_id=pupil.learner_id,
            client=Client(address="127.0.0.1", device="test"),
        )
    return hash_token(token)


async def ticket_for(services: Services, pupil: Pupil, video_id: int, login_hash: str) -> str:
    """A ticket as the POST gives it."""
    return await tickets.issue(services.redis, Ticket(pupil.person_id, pupil.learner_id, video_id, login_hash))


class WatchClient:
    """One socket. `position` runs with this machine's clock while `playing`, as a real video would."""

    def __init__(self, socket: ClientConnection, video_id: int) -> None:
        self.socket = socket
        self.video_id = video_id
        self.session: str | None = None
        self.seq = 0
        self.rewind: int | None = None
        self.welcome: Message = {}
        self.inbox: list[Message] = []

    @classmethod
    async def open(cls, url: str, ticket: str, video_id: int, **options: Any) -> Self:
        """Connect to the node at `url` (http://…) with this ticket."""
        address = f"{url.replace('http', 'ws', 1)}/ws/watch?ticket={ticket}"
        options = {"origin": url, "subprotocols": [SUBPROTOCOL], "proxy": None, **options}
        return cls(await connect(address, **options), video_id)

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self, *, timeout: float = 5.0) -> Message:
        """The next message of any type."""
        async with asyncio.timeout(timeout):
            message: Message = json.loads(await self.socket.recv())
        self.inbox.append(message)
        if message["type"] == "rewind":
            self.rewind = message["id"]
        return message

    async def until(self, kind: str, *, timeout: float = 5.0) -> Message:
        """Read on to the next message of this type."""
        async with asyncio.timeout(timeout):
            while True:
                message = await self.receive(timeout=timeout)
                if message["type"] == kind:
                    return message

    async def had(self, kind: str) -> Message:
        """A message of this type, come already or still to come."""
        return next((each for each in self.inbox if each["type"] == kind), None) or await self.until(kind)

    async def hello(self, *, session: str | None = None, takeover: bool = False) -> Message:
        """Say hello; returns the welcome, or the busy or error message."""
        await self.send(type="hello", video=self.video_id, session=session, takeover=takeover)
        answer = await self.receive()
        if answer["type"] == "welcome":
            self.welcome = answer
            self.session = answer["session"]
        return answer

    async def beat(self, position: float, *, playing: bool = True, event: str = "tick", **more: Any) -> int:
        """Send one beat; returns its seq."""
        self.seq += 1
        await self.send(
            type="beat",
            seq=self.seq,
            position=position,
            playing=playing,
            event=event,
            rate=1.0,
            visible=True,
            rewind=self.rewind,
            **more,
        )
        return self.seq

    async def acked(self, position: float, **more: Any) -> Message:
        """Send one beat and wait for its ack."""
        seq = await self.beat(position, **more)
        while True:
            ack = await self.until("ack")
            if ack["seq"] >= seq:
                return ack

    async def play(self, seconds: float, *, start: float = 0.0, every: float = 0.25) -> Message:
        """Watch in real time from `start`; returns the last ack."""
        began = time.monotonic()
        ack = await self.acked(start, event="play")
        while (passed := time.monotonic() - began) < seconds:
            await asyncio.sleep(min(every, seconds - passed))
            ack = await self.acked(start + time.monotonic() - began)
        return ack

    async def close_code(self, *, timeout: float = 5.0) -> int:
        """Read until the server closes; returns its code."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(timeout):
                while True:
                    self.inbox.append(json.loads(await self.socket.recv()))
        return self.socket.close_code or 0

    async def drop(self) -> None:
        """Cut the line without a word, as a lost network does."""
        self.socket.transport.abort()
        with suppress(ConnectionClosed):
            await self.socket.recv()

    async def bye(self) -> None:
        with suppress(ConnectionClosed):
            await self.send(type="bye")
        await self.socket.close()
