"""No second is earned that the server did not see pass, whatever is done to sockets, videos and the wall clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.gateway.conftest import LIMITS, Stage
from tests.support.watch_client import Message, WatchClient

#: As far as a page may run ahead without being rewound: all of it is asked for, none of it is there to be earned.
AHEAD_S = LIMITS["jitter_s"]
#: Both clocks are read in whole milliseconds by the server.
ROUNDED_S = 0.001


async def greedy(page: WatchClient, frontier: float) -> Message:
    """Claim what nobody had time to watch; returns the ack."""
    return await page.acked(frontier + AHEAD_S, event="play")


@pytest.mark.parametrize("same_page", [True, False])
async def test_reconnecting_often_earns_no_more_than_the_time_that_passed(stage: Stage, same_page: bool) -> None:
    page = await stage.playing()
    began = time.monotonic()
    ack = await greedy(page, 0)
    for _ in range(8):
        await page.drop()
        again = await stage.page()
        again.seq = page.seq
        welcome = await again.hello(session=page.session if same_page else None, takeover=True)
        assert welcome["recovered"] is same_page
        page = again
        ack = await greedy(page, ack["frontier"])
    assert ack["frontier"] <= time.monotonic() - began + ROUNDED_S


async def test_time_spent_on_one_video_counts_for_no_other_and_is_kept(stage: Stage) -> None:
    reached = dict.fromkeys(stage.lessons.video_ids[:2], 0.0)
    for video_id in (*reached, *reached):
        page = await stage.page(video_id=video_id)
        began = time.monotonic()
        frontier = (await page.hello(takeover=True))["frontier"]
        assert frontier == reached[video_id]
        ack = await greedy(page, frontier)
        assert ack["frontier"] - frontier <= time.monotonic() - began + ROUNDED_S
        await asyncio.sleep(AHEAD_S)
        reached[video_id] = (await page.acked(ack["frontier"] + AHEAD_S))["frontier"]


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("reconnects", [False, True])
async def test_a_jump_of_the_wall_clock_earns_and_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, hours: int, reconnects: bool
) -> None:
    page = await stage.playing()
    ack = await page.play(0.3)
    real, jump = time.time_ns, hours * 3600 * 10**9
    began = time.monotonic()
    ack = await greedy(page, ack["frontier"])
    monkeypatch.setattr(time, "time_ns", lambda: real() + jump)
    if reconnects:
        await page.drop()
        again = await stage.page()
        again.seq = page.seq
        assert (await again.hello(session=page.session))["recovered"] is True
        page = again
    later = await greedy(page, ack["frontier"])
    assert later["frontier"] - ack["frontier"] <= time.monotonic() - began + ROUNDED_S
    await asyncio.sleep(AHEAD_S)
    assert (await page.acked(ack["frontier"] + AHEAD_S))["frontier"] == pytest.approx(ack["frontier"] + AHEAD_S)


async def test_a_player_that_its_node_has_let_go_is_not_even_counted(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    player = stage.node.hub.players.pop(stage.pupil.person_id)
    before = player.state
    await page.beat(0.1)
    # The next frame is answered whoever plays, so the beat was looked at by then.
    await page.socket.send("no json")
    assert (await page.until("error"))["code"] == "bad_message"
    assert player.state is before
