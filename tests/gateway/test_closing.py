"""How sockets end: the client always reads why, and a ticket dies with its log-in."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from player_server.storage.tables import login_session
from telemetry.messages import MAX_FRAME_BYTES, SUBPROTOCOL, Close
from tests.gateway.conftest import Stage
from tests.support.processes import until
from tests.support.watch_client import WatchClient, log_in, ticket_for


def _talk(url: str, ticket: str, video_id: int, playing: threading.Event) -> int | None:
    """Play and talk without a pause until the server closes; its code. In a thread, so that frames cross."""
    address = f"{url.replace('http', 'ws', 1)}/ws/watch?ticket={ticket}"
    origin, protocols = Origin(url), [Subprotocol(SUBPROTOCOL)]
    with connect(address, origin=origin, subprotocols=protocols, proxy=None, max_queue=None) as socket:
        socket.send(json.dumps({"type": "hello", "video": video_id, "takeover": True}))
        socket.recv(10)
        playing.set()
        with suppress(ConnectionClosed):
            for seq in range(1, 1_000_000):
                socket.send(json.dumps({"type": "beat", "seq": seq, "position": 0, "playing": True}))
    return socket.protocol.close_code


async def test_a_displaced_page_that_keeps_talking_still_reads_why_it_was_closed(stage: Stage) -> None:
    codes = []
    for _ in range(20):
        ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
        playing = threading.Event()
        talking = asyncio.create_task(asyncio.to_thread(_talk, stage.node.url, ticket, stage.video_id, playing))
        await until(playing.is_set)
        new = await stage.playing(takeover=True)
        codes.append(await talking)
        await new.bye()
    assert codes == [Close.DISPLACED] * 20


async def test_a_ticket_dies_with_its_log_in(stage: Stage) -> None:
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    async with stage.services.db.write() as conn:
        await conn.execute(login_session.delete())
    with pytest.raises(InvalidStatus) as refused:
        await WatchClient.open(stage.node.url, ticket, stage.video_id)
    assert refused.value.response.status_code == 401


async def test_a_ticket_opens_nothing_in_a_browser_with_another_log_in(stage: Stage) -> None:
    await log_in(stage.services, stage.pupil)
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    with pytest.raises(InvalidStatus) as refused:
        await WatchClient.open(
            stage.node.url, ticket, stage.video_id, additional_headers={"Cookie": "xueshi=somebody-else"}
        )
    assert refused.value.response.status_code == 401


async def test_a_frame_of_64_kib_is_taken_and_one_byte_more_is_not(stage: Stage) -> None:
    page = await stage.playing()
    text = '{"type":"beat","seq":1,"position":0,"playing":true,"more":"'
    await page.socket.send(text + "x" * (MAX_FRAME_BYTES - len(text) - 2) + '"}')
    assert (await page.until("ack"))["seq"] == 1
    await page.socket.send(text + "x" * (MAX_FRAME_BYTES - len(text) - 1) + '"}')
    assert await page.close_code() == 1009
