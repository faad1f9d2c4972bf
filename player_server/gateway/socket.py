"""GET /ws/watch: check who comes, let one page play, feed its beats to the counting core.

After the welcome nothing in the receive loop waits for Redis or SQL: a beat is counted in memory and handed to the
committer, so pings are answered and slow stores hurt nobody's socket.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from player_server.auth.login_sessions import hash_token, still_logged_in
from player_server.gateway.connection import Connection
from player_server.gateway.hub import Hub, make_player
from player_server.gateway.player import Player
from player_server.learning.watch import Occupied, Opened, Refused, TryLater
from player_server.observe import metrics
from player_server.storage import tickets
from player_server.storage.clock import monotonic_ms
from player_server.storage.tickets import Ticket
from player_server.web import cookies
from player_server.web.address import device_of, is_own_origin
from player_server.web.keys import SERVICES
from telemetry.messages import (
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    Beat,
    Busy,
    Bye,
    ClientMessage,
    Close,
    Error,
    Hello,
    Watched,
    Welcome,
    decode_client,
)

HUB = web.AppKey("hub", Hub)

#: A socket that does not say hello within this many seconds is closed.
HELLO_S = 10.0
#: So often the player is asked for before a newcomer is told that somebody plays (see WatchRules.leaving_ms).
LEAVING_LOOKS = 4
#: After this many messages in a row that are none, the client is not one of ours.
MOST_BAD = 100


async def watch(request: web.Request) -> web.StreamResponse:
    """The WebSocket. Refusals before the handshake: 403 foreign origin, 401 no good ticket, 400 no subprotocol."""
    services = request.app[SERVICES]
    hub = request.app[HUB]
    origin = request.headers.get("Origin")
    if origin is None or not (is_own_origin(request, origin) or origin in services.settings.server.allowed_origins):
        raise web.HTTPForbidden
    offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if SUBPROTOCOL not in offered:
        raise web.HTTPBadRequest
    if hub.stopping:
        raise web.HTTPServiceUnavailable
    try:
        ticket = await tickets.redeem(services.redis, request.query.get("ticket", ""))
    except (RedisError, OSError):
        metrics.redis_failures.labels("ticket").inc()
        raise web.HTTPServiceUnavailable from None
    if ticket is None or not await _of_this_log_in(request, ticket):
        raise web.HTTPUnauthorized
    ws = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        max_msg_size=MAX_FRAME_BYTES + 1,  # aiohttp refuses a message of exactly this size.
        compress=False,
        timeout=2.0,
    )
    await ws.prepare(request)
    # They are sent; a player lives for hours, and its headers would be a fifth of its memory.
    ws.headers.clear()
    transport = request.transport
    if transport is None:
        return ws
    await _Socket(hub, ws, Connection(ws, transport), ticket, device_of(request)).run()
    return ws


async def _of_this_log_in(request: web.Request, ticket: Ticket) -> bool:
    """Whether the ticket's log-in goes on, and is that of the browser that brings it.

    A browser always sends its cookie, so nobody can be made to play for somebody else by a planted ticket. A client
    that sends none is no browser; the ticket's secret then stands for its learner.
    """
    cookie = cookies.login_token(request)
    if cookie is not None and hash_token(cookie) != ticket.login_hash:
        return False
    try:
        return await still_logged_in(request.app[SERVICES], ticket.login_hash)
    except (SQLAlchemyError, OSError):
        raise web.HTTPServiceUnavailable from None


class _Socket:
    """One socket's life: hello, perhaps busy, then beats."""

    def __init__(
        self, hub: Hub, ws: web.WebSocketResponse, connection: Connection, ticket: Ticket, user_agent: str
    ) -> None:
        self.hub = hub
        self.ws = ws
        self.connection = connection
        self.ticket = ticket
        self.user_agent = user_agent
        self.bad = 0

    async def run(self) -> None:
        try:
            player = await self._enter()
            if player is not None:
                await self._stay(player)
        finally:
            await self.connection.finish()

    async def _stay(self, player: Player) -> None:
        """Play until one side goes, then give the player back."""
        bye = False
        try:
            # A newer page may have come between the welcome and here.
            if not self.connection.closing:
                with self.connection.reading():
                    bye = await self._play(player)
        finally:
            # 1000 and 1001 are the browser's own word that the page went away; anything else may come back.
            gone = self.ws.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY)
            if bye or (gone and not self.connection.closing):
                self.hub.spawn(self.hub.leave(player, "bye"))
            else:
                self.hub.drop(player)

    # ---------------------------------------------------------------- before the welcome

    async def _enter(self) -> Player | None:
        """Wait for a hello that is let in. None: the socket is closed or closing."""
        deadline = asyncio.get_running_loop().time() + HELLO_S
        noted = False
        while True:
            message = await self._receive(deadline)
            if message is None:
                if not self.ws.closed:
                    self.connection.close(self._why_none(noted))
                return None
            if isinstance(message, Bye):
                await self.ws.close()
                return None
            if not isinstance(message, Hello):
                self.connection.send(Error("no_hello", "Say hello first.", False))
                continue
            rules = self.hub.watching.rules
            answer = await self._say_hello(message)
            for _ in range(0 if noted else LEAVING_LOOKS):
                if not isinstance(answer, Occupied):
                    break
                await asyncio.sleep(rules.leaving_ms / 1000 / LEAVING_LOOKS)
                answer = await self._say_hello(message)
            if isinstance(answer, Opened):
                return self._welcome(answer)
            if not isinstance(answer, Occupied):
                return None
            refuse = rules.second_page == "refuse"
            self.connection.send(Busy(answer.since_s, answer.device, "refuse" if refuse else "ask"))
            if not noted:
                noted = True
                deadline = asyncio.get_running_loop().time() + rules.busy_wait_ms / 1000
                self.hub.spawn(self.hub.watching.note_second_page(self.ticket))
            if refuse:
                self.connection.close(Close.BUSY)
                return None

    def _why_none(self, noted: bool) -> Close:
        if self.bad > MOST_BAD:
            return Close.PROTOCOL_ERROR
        # A hello that does not come in time is a slow network's, so its page may try again.
        return Close.BUSY if noted else Close.SILENT

    async def _receive(self, deadline: float) -> ClientMessage | None:
        """The next good message, or None when the socket closed or the time is over."""
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            try:
                frame = await self.ws.receive(timeout=left)
            except TimeoutError:
                return None
            if frame.type is not WSMsgType.TEXT and frame.type is not WSMsgType.BINARY:
                return None
            message = self._decode(frame.data if frame.type is WSMsgType.TEXT else None)
            if message is not None:
                return message
            if self.bad > MOST_BAD:
                return None

    def _decode(self, data: str | None) -> ClientMessage | None:
        """None for what is no message; the client is told, and its next good one counts."""
        try:
            if data is None:
                raise msgspec.DecodeError("text frames only")
            message: ClientMessage = decode_client(data)
        except (msgspec.DecodeError, RecursionError) as error:
            self.bad += 1
            self.connection.send(Error("bad_message", str(error)[:200], False))
            return None
        self.bad = 0
        return message

    async def _say_hello(self, hello: Hello) -> Opened | Occupied | None:
        if hello.video != self.ticket.video_id:
            self.connection.send(Error("wrong_video", "The ticket is for another video.", False))
            self.connection.close(Close.PROTOCOL_ERROR)
            return None
        try:
            answer = await self.hub.watching.open(
                self.ticket, hello.video, hello.session, hello.takeover, self.user_agent
            )
        except TryLater:
            self.connection.send(Error("try_later", "Who plays cannot be checked now.", True))
            self.connection.close(Close.TRY_LATER)
            return None
        if isinstance(answer, Refused):
            self.connection.send(Error(answer.code, "You may not watch this video.", False))
            signed_out = answer.code in ("signed_out", "learner_disabled")
            self.connection.close(Close.NOT_ALLOWED if signed_out else Close.NO_COURSE)
            return None
        return answer

    def _welcome(self, opened: Opened) -> Player:
        player = make_player(opened, self.hub, self.connection)
        self.hub.adopt(player)
        state, rules = opened.session, self.hub.watching.rules
        self.connection.send(
            Welcome(
                session=opened.session_id,
                epoch=opened.epoch,
                video=opened.video_id,
                duration=state.duration_ms / 1000,
                frontier=state.frontier_ms / 1000,
                position=state.position_ms / 1000,
                watched=state.watched,
                credited=state.credited,
                beat_every=rules.beat_every_ms / 1000,
                gap_grace=rules.gap_grace_ms / 1000,
                max_rate=rules.max_rate,
                recovered=opened.recovered,
                challenge=opened.challenge,
                quiz=opened.quiz,
            )
        )
        if state.watched and not state.credited:
            self.connection.send(Watched(opened.quiz, False))
        return player

    # ---------------------------------------------------------------- after it

    async def _play(self, player: Player) -> bool:
        """Count beats until the socket closes. Returns whether the page said bye."""
        hub = self.hub
        receive = self.ws.receive
        while True:
            frame = await receive()
            if frame.type is WSMsgType.TEXT:
                message = self._decode(frame.data)
            elif frame.type is WSMsgType.BINARY:
                message = self._decode(None)
            else:
                return False
            if not hub.owns(player):
                # Displaced or retired: its close is under way, and nothing of it counts any more.
                continue
            if isinstance(message, Beat):
                if player.beat(message, monotonic_ms()):
                    hub.committer.add(player)
                    hub.counted += 1
                else:
                    hub.stale += 1
            elif isinstance(message, Bye):
                return True
            elif isinstance(message, Hello) or self.bad > MOST_BAD:
                self.connection.close(Close.PROTOCOL_ERROR)
                return False
