"""The frames a line carries: messages of every length as they were meant, and pings."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from player_server.gateway.hub import PING_MS
from player_server.storage.clock import monotonic_ms
from telemetry.messages import Close, Error
from tests.gateway.conftest import Stage
from tests.support.watch_client import WatchClient, ticket_for


@pytest.mark.parametrize("size", [0, 62, 63, 64, 65, 66, 200, 20_000])
async def test_a_message_of_any_length_arrives_as_it_was_sent(stage: Stage, size: int) -> None:
    page = await stage.playing()
    player = stage.node.hub.players[stage.pupil.person_id]
    player.connection.send(Error("try_later", "x" * size, False))
    assert (await page.until("error"))["message"] == "x" * size
    assert (await page.acked(0))["seq"] == page.seq


async def test_nothing_is_sent_after_a_close_has_begun(stage: Stage) -> None:
    page = await stage.playing()
    player = stage.node.hub.players[stage.pupil.person_id]
    page.inbox.clear()
    player.connection.close(Close.RESTART)
    player.connection.send(Error("try_later", "too late", False))
    player.connection.ping()
    assert await page.close_code() == Close.RESTART
    assert page.inbox == []


class _Pinged(ClientConnection):
    """A client that remembers how often it was pinged."""

    pings = 0

    def process_event(self, event: Event) -> None:
        self.pings += isinstance(event, Frame) and event.opcode is Opcode.PING
        super().process_event(event)


async def test_a_line_that_plays_is_pinged_now_and_then(stage: Stage) -> None:
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    page = await WatchClient.open(stage.node.url, ticket, stage.video_id, create_connection=_Pinged)
    stage.clients.append(page)
    await page.hello()
    stage.node.hub.ping(monotonic_ms() + PING_MS - 1_000)
    await page.acked(0, event="play")
    assert isinstance(page.socket, _Pinged)
    assert page.socket.pings == 0
    stage.node.hub.ping(monotonic_ms() + PING_MS)
    await page.acked(0.01)
    assert page.socket.pings == 1
