"""Stretches of a session that loses its line and comes back: none is forgotten, and findings are counted on."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Row, select

from player_server.storage.tables import finding, watch_segment
from tests.gateway.conftest import Stage
from tests.support.processes import until


async def segments(stage: Stage) -> list[Row[Any]]:
    async with stage.services.db.read() as conn:
        return list((await conn.execute(select(watch_segment).order_by(watch_segment.c.id))).all())


async def test_a_stretch_that_a_lost_line_ended_is_kept_and_so_is_the_next_one_of_the_session(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(1.3)
    await page.drop()

    async def kept() -> bool:
        return len(await segments(stage)) == 1

    await until(kept)
    again = await stage.page()
    assert (await again.hello(session=page.session))["recovered"]
    ack = await again.play(0.5, start=ack["frontier"])
    await again.acked(ack["frontier"] + 0.05, playing=False, event="pause")
    stored = await segments(stage)
    assert [row.reason for row in stored] == ["lost", "pause"]
    first, second = stored
    assert first.session_id == second.session_id and first.number < second.number
    assert first.from_ms == 0 and first.to_ms == second.from_ms
    assert 0 <= (await stage.row()).frontier_ms - second.to_ms <= 300


async def test_a_newer_socket_of_the_same_page_does_not_lose_the_stretch_of_the_older_one(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(1.3)
    again = await stage.page()
    assert (await again.hello(session=page.session))["recovered"]

    async def kept() -> bool:
        return [row.reason for row in await segments(stage)] == ["lost"]

    await until(kept)
    [row] = await segments(stage)
    assert row.to_ms == round(ack["frontier"] * 1000)


async def test_a_lost_line_does_not_shorten_the_silence_of_a_reconnect(stage: Stage) -> None:
    page = await stage.playing()
    await page.play(1.3)
    before = (await stage.row()).clock_ms
    await page.drop()

    async def kept() -> bool:
        return len(await segments(stage)) == 1

    await until(kept)
    assert (await stage.row()).clock_ms == before


async def test_a_stop_of_the_server_keeps_the_stretches_that_are_open(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(1.3)
    await asyncio.gather(stage.node.hub.stop(), page.close_code())
    [row] = await segments(stage)
    assert (row.reason, row.to_ms) == ("lost", round(ack["frontier"] * 1000))


async def test_findings_of_a_session_are_counted_on_after_a_reconnect(stage: Stage) -> None:
    page = await stage.playing()
    await page.acked(0, event="play")
    await page.acked(50)
    again = await stage.page()
    await again.hello(session=page.session)
    await again.acked(50)
    async with stage.services.db.read() as conn:
        [row] = (await conn.execute(select(finding))).all()
    assert (row.kind, row._mapping["count"]) == ("ahead_of_frontier", 2)
