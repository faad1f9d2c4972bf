"""How sockets end: the client always reads why, and a ticket dies with its log-in."""

from __future__ import annotations

from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from player_server.storage.tables import login_session
from telemetry.messages import Close
from tests.gateway.conftest import Stage
from tests.support.watch_client import WatchClient, log_in, ticket_for


async def test_a_displaced_page_that_keeps_talking_still_reads_why_it_was_closed(stage: Stage) -> None:
    for _ in range(20):
        old = await stage.playing(takeover=True)
        new = await stage.page()
        await new.send(type="hello", video=new.video_id, session=None, takeover=True)
        with suppress(ConnectionClosed):
            for position in range(400):
                await old.beat(position)
        assert await old.close_code() == Close.DISPLACED
        assert (await new.until("welcome"))["type"] == "welcome"
        await new.bye()


async def test_a_page_that_breaks_the_protocol_reads_so(stage: Stage) -> None:
    page = await stage.playing()
    await page.send(type="hello", video=page.video_id, session=None, takeover=True)
    with suppress(ConnectionClosed):
        for position in range(400):
            await page.beat(position)
    assert await page.close_code() == Close.PROTOCOL_ERROR


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
