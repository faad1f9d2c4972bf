"""Watching over real sockets and real stores: who may play, what counts, and what every close means."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select, text, update
from websockets.exceptions import ConnectionClosed, InvalidStatus

from player_server.learning.watch import retire_silent
from player_server.storage.ended_players import end_players
from player_server.storage.hints import Hint
from player_server.storage.progress import video_progress
from player_server.storage.session_lock import lock_key
from player_server.storage.tables import challenge, enrolment, finding, login_session, media, playback
from telemetry.messages import MAX_FRAME_BYTES, Close
from tests.gateway.conftest import LIMITS, Stage
from tests.support.live import live_node
from tests.support.processes import until
from tests.support.watch_client import WatchClient, ticket_for


async def test_watching_earns_the_time_that_passed_and_it_is_durable(stage: Stage) -> None:
    page = await stage.playing()
    assert page.welcome["frontier"] == 0
    assert page.welcome["recovered"] is False
    ack = await page.play(1.0)
    assert 0.7 <= ack["frontier"] <= 1.1
    assert (await stage.row()).frontier_ms == round(ack["frontier"] * 1000)


async def test_a_jump_ahead_is_rewound_and_nothing_of_it_is_stored(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    await page.beat(50)
    rewind = await page.until("rewind")
    assert rewind["reason"] == "ahead_of_frontier"
    assert rewind["to"] < 1
    assert (await stage.row()).frontier_ms < 1_000
    await page.acked(rewind["to"])


async def test_the_last_second_makes_the_video_watched_and_opens_the_quiz(stage: Stage) -> None:
    async with stage.services.db.write() as conn:
        await conn.execute(update(media).values(duration_ms=1_200))
    page = await stage.playing()
    await page.play(0.9)
    ack = await page.acked(1.2, playing=False, event="ended")
    assert ack["wait"] is not None and not ack["watched"]
    await asyncio.sleep(ack["wait"])
    ack = await page.acked(1.2, playing=False, event="ended")
    assert ack["watched"]
    assert (await page.until("watched"))["quiz"] == f"/quiz/{stage.video_id}"
    async with stage.services.db.read() as conn:
        progress = await video_progress(conn, stage.pupil.learner_id, stage.video_id)
    assert progress is not None and progress.watched and not progress.credited


@pytest.mark.parametrize("parts", [{"watch": {"lock_ttl_s": 60.0}}])
async def test_a_reload_is_no_second_page_although_its_hello_overtakes_the_bye(stage: Stage) -> None:
    old = await stage.playing()
    await old.acked(0, event="play")
    new = await stage.page()
    await new.send(type="hello", video=new.video_id, session=None, takeover=False)
    await asyncio.sleep(0.1)
    await old.send(type="bye")
    assert (await new.receive())["type"] == "welcome"
    async with stage.services.db.read() as conn:
        assert list(await conn.scalars(select(finding.c.kind))) == []


async def test_a_second_page_is_told_that_one_plays_and_can_take_over(stage: Stage) -> None:
    first = await stage.playing()
    await first.acked(0, event="play")
    second = await stage.page()
    busy = await second.hello()
    assert (busy["type"], busy["policy"]) == ("busy", "ask")
    welcome = await second.hello(takeover=True)
    assert welcome["type"] == "welcome"
    assert welcome["epoch"] > first.welcome["epoch"]
    assert await first.close_code() == Close.DISPLACED

    async def noted() -> bool:
        async with stage.services.db.read() as conn:
            return list(await conn.scalars(select(finding.c.kind))) == ["second_page"]

    await until(noted)


async def test_a_page_that_does_not_take_over_is_closed(stage: Stage) -> None:
    first = await stage.playing()
    second = await stage.page()
    await second.hello()
    keep = asyncio.create_task(_keep_beating(first))
    assert await second.close_code() == Close.BUSY
    keep.cancel()
    assert (await first.acked(0))["frontier"] == 0


async def _keep_beating(page: WatchClient) -> None:
    while True:
        await page.beat(0, playing=False)
        await asyncio.sleep(0.3)


async def test_a_displaced_page_on_another_node_can_never_write_again(stage: Stage) -> None:
    async with live_node(stage.services) as other:
        old = await stage.playing()
        await old.acked(0, event="play")
        new = await stage.page(node=other)
        assert (await new.hello(takeover=True))["type"] == "welcome"
        with suppress(ConnectionClosed):
            for position in range(1, 60):
                await old.beat(position * 0.1)
        assert await old.close_code() == Close.DISPLACED
        assert (await new.acked(0, event="play"))["frontier"] == 0
        assert (await stage.row()).frontier_ms == 0
        await new.socket.close()


async def test_the_same_page_on_a_new_socket_goes_on_at_once_and_loses_nothing(stage: Stage) -> None:
    first = await stage.playing()
    ack = await first.play(0.6)
    await first.drop()
    again = await stage.page()
    again.seq = first.seq
    welcome = await again.hello(session=first.session)
    assert welcome["recovered"] is True
    assert welcome["session"] == first.session
    await asyncio.sleep(0.5)
    later = await again.acked(ack["frontier"] + 0.5)
    assert later["frontier"] == pytest.approx(ack["frontier"] + 0.5, abs=0.01)
    assert later["uncredited"] is None


async def test_a_half_dead_socket_of_the_same_page_is_not_told_that_it_was_displaced(stage: Stage) -> None:
    first = await stage.playing()
    again = await stage.page()
    assert (await again.hello(session=first.session))["type"] == "welcome"
    assert await first.close_code() == Close.SILENT


async def test_a_forged_session_starts_at_the_stored_frontier_without_allowance(stage: Stage) -> None:
    first = await stage.playing()
    ack = await first.play(0.5)
    await first.bye()
    await stage.ended("bye")
    page = await stage.page()
    welcome = await page.hello(session="forged-session")
    assert welcome["recovered"] is False
    assert welcome["frontier"] == pytest.approx(ack["frontier"], abs=0.3)
    before = welcome["frontier"]
    assert (await page.acked(before + 0.3))["frontier"] == before


async def test_bye_lets_the_next_page_in_at_once(stage: Stage) -> None:
    first = await stage.playing()
    ack = await first.play(0.4)
    await first.bye()
    await stage.ended("bye")
    second = await stage.playing()
    assert second.welcome["frontier"] == ack["frontier"]


async def test_a_silent_player_is_retired_and_its_page_comes_back_with_its_grace(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.5)
    assert await page.close_code(timeout=LIMITS["lock_ttl_s"] + 3) == Close.SILENT
    await stage.ended("silent")
    again = await stage.page()
    again.seq = page.seq
    assert (await again.hello(session=page.session))["recovered"] is True
    back = await again.acked(ack["frontier"] + 1.4)
    assert back["frontier"] == pytest.approx(ack["frontier"] + 1.4, abs=0.01)
    assert back["uncredited"]["reason"] == "gap"


async def test_the_worker_retires_players_whose_node_is_gone(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.4)
    stage.node.hub.players.clear()
    assert await retire_silent(stage.services) == 0

    async def due() -> bool:
        return await retire_silent(stage.services) == 1

    await until(due, timeout=LIMITS["lock_ttl_s"] * 1.5 + 3)
    async with stage.services.db.read() as conn:
        progress = await video_progress(conn, stage.pupil.learner_id, stage.video_id)
    assert progress is not None and progress.frontier_ms == round(ack["frontier"] * 1000)


async def test_no_ack_leaves_before_the_commit(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    async with stage.services.db.write() as conn:
        lock = select(playback.c.epoch)
        await conn.execute(lock if stage.services.db.kind == "sqlite" else lock.with_for_update())
        await page.beat(0.1)
        with pytest.raises(TimeoutError):
            await page.until("ack", timeout=0.4)
    assert (await page.until("ack"))["seq"] == page.seq


@pytest.mark.parametrize(
    "parts", [{"challenges": {"earliest_s": 0.3, "latest_s": 0.3, "answer_s": 1, "identity_answer_s": 1}}]
)
async def test_a_challenge_freezes_the_frontier_until_it_is_answered(stage: Stage) -> None:
    page = await stage.playing()
    await page.play(0.6)
    assert (await stage.row()).held_challenge_id is not None
    shown = next((each for each in page.inbox if each["type"] == "challenge"), None) or await page.until(
        "challenge"
    )
    assert shown["kind"] == "identity"
    frozen = (await stage.row()).frontier_ms
    ack = await page.acked(0.9)
    assert round(ack["frontier"] * 1000) == frozen
    assert ack["uncredited"]["reason"] == "challenge"
    # Another page gets the same challenge, and nothing to earn.
    other = await stage.page()
    assert (await other.hello(takeover=True))["challenge"]["id"] == shown["id"]
    async with stage.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id=None))
        await conn.execute(update(challenge).values(outcome="answered", answered_at=1))
    await stage.services.hints.publish(Hint(stage.pupil.person_id, "challenge"))
    resumed = await other.until("resume")
    await other.acked(resumed["position"], event="play")
    await asyncio.sleep(0.2)
    assert (await other.acked(resumed["position"] + 0.2))["frontier"] > frozen / 1000


@pytest.mark.parametrize("parts", [{"challenges": {"earliest_s": 0.3, "latest_s": 0.3}}])
async def test_an_answer_is_seen_at_the_next_beat_even_if_the_hint_was_lost(stage: Stage) -> None:
    page = await stage.playing()
    await page.play(0.6)
    async with stage.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id=None))
        await conn.execute(update(challenge).values(outcome="answered", answered_at=1))
    await page.beat(0.5)
    await page.until("resume")


async def test_signing_out_closes_the_player(stage: Stage) -> None:
    page = await stage.playing()
    async with stage.services.db.write() as conn:
        await end_players(conn, stage.pupil.person_id, stage.login_hash, "signed_out")
        await conn.execute(login_session.delete())
    await stage.services.hints.publish(Hint(stage.pupil.person_id, "signed_out"))
    assert await page.close_code() == Close.NOT_ALLOWED

    async def free() -> bool:
        return not await stage.services.redis.exists(lock_key(stage.pupil.person_id))

    # Whoever logs in again right away is not told that another page plays.
    await until(free)


async def test_after_signing_out_a_ticket_opens_nothing(stage: Stage) -> None:
    page = await stage.page()
    async with stage.services.db.write() as conn:
        await conn.execute(login_session.delete())
    assert (await page.hello()).get("code") == "signed_out"
    assert await page.close_code() == Close.NOT_ALLOWED


async def test_a_withdrawn_enrolment_opens_nothing(stage: Stage) -> None:
    async with stage.services.db.write() as conn:
        await conn.execute(update(enrolment).values(withdrawn_at=1))
    page = await stage.page()
    assert (await page.hello())["type"] == "error"
    assert await page.close_code() == Close.NO_COURSE


BAD: list[Any] = [
    "no json",
    "[]",
    "{}",
    '{"type":"beat"}',
    '{"type":"beat","seq":1,"position":NaN,"playing":true}',
    '{"type":"beat","seq":1,"position":Infinity,"playing":true}',
    '{"type":"beat","seq":1,"position":-1,"playing":true}',
    '{"type":"beat","seq":1,"position":1e308,"playing":true}',
    '{"type":"beat","seq":1,"position":"5","playing":true}',
    '{"type":"beat","seq":1,"position":[],"playing":true}',
    '{"type":"beat","seq":1,"position":null,"playing":true}',
    '{"type":"beat","seq":null,"position":1,"playing":true}',
    '{"type":"beat","seq":1,"position":1,"playing":"yes"}',
    '{"type":"beat","seq":1,"position":1,"playing":true,"event":"teleport"}',
    "[" * 50_000,
    b"bytes",
]


async def test_a_bad_message_gets_an_error_and_the_next_good_beat_counts(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    for bad in BAD:
        await page.socket.send(bad)
        assert (await page.until("error"))["code"] == "bad_message"
    assert (await page.acked(0.05))["seq"] == page.seq


async def test_a_frame_that_is_too_large_ends_the_socket(stage: Stage) -> None:
    page = await stage.playing()
    await page.socket.send("x" * (MAX_FRAME_BYTES + 1))
    assert await page.close_code() == 1009


async def test_beats_before_hello_get_an_error_and_count_nothing(stage: Stage) -> None:
    page = await stage.page()
    await page.beat(5)
    assert (await page.receive())["code"] == "no_hello"
    assert (await page.hello())["frontier"] == 0


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://127.0.0.1.evil.example"])
async def test_a_foreign_origin_is_refused_at_the_handshake(stage: Stage, origin: str | None) -> None:
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    with pytest.raises(InvalidStatus) as refused:
        await WatchClient.open(stage.node.url, ticket, stage.video_id, origin=origin)
    assert refused.value.response.status_code == 403


async def test_a_ticket_is_good_once(stage: Stage) -> None:
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    first = await WatchClient.open(stage.node.url, ticket, stage.video_id)
    with pytest.raises(InvalidStatus) as refused:
        await WatchClient.open(stage.node.url, ticket, stage.video_id)
    assert refused.value.response.status_code == 401
    await first.socket.close()


async def test_a_ticket_opens_no_other_video(stage: Stage) -> None:
    page = await stage.page()
    page.video_id = stage.lessons.video_ids[1]
    assert (await page.hello()).get("code") == "wrong_video"
    assert await page.close_code() == Close.PROTOCOL_ERROR


async def test_without_the_subprotocol_the_handshake_is_refused(stage: Stage) -> None:
    ticket = await ticket_for(stage.services, stage.pupil, stage.video_id, stage.login_hash)
    with pytest.raises(InvalidStatus) as refused:
        await WatchClient.open(stage.node.url, ticket, stage.video_id, subprotocols=None)
    assert refused.value.response.status_code == 400


async def test_another_video_keeps_what_the_first_one_earned(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.5)
    await page.bye()
    other = await stage.page(video_id=stage.lessons.video_ids[1])
    assert (await other.hello(takeover=True))["frontier"] == 0
    await other.bye()
    back = await stage.page()
    assert (await back.hello(takeover=True))["frontier"] == pytest.approx(ack["frontier"], abs=0.001)


async def test_an_emptied_redis_neither_stops_the_player_nor_lets_a_second_one_in(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    await stage.services.redis.flushall()
    assert (await page.acked(0.05))["seq"] == page.seq
    second = await stage.page()
    assert (await second.hello())["type"] == "busy"


async def test_a_hello_on_a_playing_socket_is_a_protocol_error(stage: Stage) -> None:
    page = await stage.playing()
    await page.send(type="hello", video=stage.video_id, session=None, takeover=False)
    assert await page.close_code() == Close.PROTOCOL_ERROR


async def test_the_wire_carries_no_personal_data(stage: Stage) -> None:
    page = await stage.playing()
    await page.play(0.3)
    assert "张" not in json.dumps(page.inbox, ensure_ascii=False)


async def test_stopping_the_server_tells_the_page_to_come_back(stage: Stage) -> None:
    async with live_node(stage.services) as node:
        page = await stage.page(node=node)
        await page.hello()
        await page.acked(0, event="play")
    assert await page.close_code() == Close.RESTART
    async with stage.services.db.read() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM playback WHERE ended_reason IS NULL")) == 1
