"""A page that comes back on a new line when a change of its play state was lost with the old one."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import update

from player_server.storage.tables import challenge, playback
from tests.gateway.conftest import LIMITS, Stage
from tests.support.watch_client import WatchClient

#: So long nothing of the page is heard: well within the grace.
SILENT_S = LIMITS["gap_grace_s"] / 2


async def back(stage: Stage, page: WatchClient) -> WatchClient:
    """The same page on a new line."""
    await page.drop()
    again = await stage.page()
    again.seq = page.seq
    assert (await again.hello(session=page.session))["recovered"]
    return again


async def test_what_was_played_after_a_play_that_got_lost_is_credited_and_no_more_than_passed(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.5)
    paused = (await page.acked(ack["frontier"], playing=False, event="pause"))["frontier"]
    began = time.monotonic()
    await asyncio.sleep(SILENT_S)
    page = await back(stage, page)
    ack = await page.acked(paused + SILENT_S)
    assert ack["frontier"] == pytest.approx(paused + SILENT_S)
    assert ack["uncredited"] is None
    # Only the first beat of a line says so, and once: what follows is counted as ever.
    ack = await page.acked(ack["frontier"] + LIMITS["jitter_s"])
    assert ack["frontier"] - paused <= time.monotonic() - began + 0.001
    assert not [each for each in page.inbox if each["type"] == "rewind"]


@pytest.mark.parametrize("parts", [{"challenges": {"earliest_s": 0.3, "latest_s": 0.3}}])
async def test_time_with_an_open_challenge_does_not_count_for_a_page_that_comes_back(stage: Stage) -> None:
    page = await stage.playing()
    held = (await page.play(0.5))["frontier"]
    await page.had("challenge")
    await asyncio.sleep(SILENT_S)
    async with stage.services.db.write() as conn:
        now = (await stage.services.clock.read(conn)).ms
        await conn.execute(update(playback).values(held_challenge_id=None))
        await conn.execute(update(challenge).values(outcome="answered", answered_at=now))
    page = await back(stage, page)
    ack = await page.acked(held + LIMITS["jitter_s"] / 2)
    assert ack["frontier"] == held
