"""What must hold when two things happen at once, or a store is away at the wrong moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import text

from player_server.learning.watch import lock_playback
from player_server.storage.clock import monotonic_ms
from player_server.storage.hints import Hint
from player_server.storage.session_lock import lock_key
from telemetry.messages import Close
from tests.gateway.conftest import Stage
from tests.support.live import live_node
from tests.support.processes import until


@asynccontextmanager
async def table_away(stage: Stage, name: str) -> AsyncIterator[None]:
    """Every query that needs this table fails meanwhile, as when a database is away."""
    async with stage.services.db.write() as conn:
        await conn.execute(text(f"ALTER TABLE {name} RENAME TO {name}_away"))
    yield
    async with stage.services.db.write() as conn:
        await conn.execute(text(f"ALTER TABLE {name}_away RENAME TO {name}"))


async def test_a_hello_that_was_overtaken_does_not_displace_the_page_that_plays(stage: Stage) -> None:
    """Of two hellos at once the later epoch plays, in whatever order their answers come back to the node."""
    overtaken = await stage.playing()
    player = stage.node.hub.players[stage.pupil.person_id]
    owner = await stage.page()
    assert (await owner.hello(takeover=True))["type"] == "welcome"
    stage.node.hub.adopt(player)
    assert await overtaken.close_code() == Close.DISPLACED
    assert (await owner.acked(0, event="play"))["seq"] == owner.seq


async def test_a_hello_while_the_database_is_away_is_told_to_come_back_and_nothing_stays_locked(
    stage: Stage,
) -> None:
    page = await stage.page()
    async with table_away(stage, "playback"):
        assert (await page.hello())["code"] == "try_later"
        assert await page.close_code() == Close.TRY_LATER
    assert (await (await stage.page()).hello())["type"] == "welcome"


@pytest.mark.parametrize("parts", [{"watch": {"lock_ttl_s": 20}}])
async def test_a_database_that_is_away_cannot_hold_up_the_stop_of_the_server(stage: Stage) -> None:
    async with asyncio.timeout(20), AsyncExitStack() as away, live_node(stage.services) as node:
        page = await stage.page(node=node)
        await page.hello()
        await page.acked(0, event="play")
        await away.enter_async_context(table_away(stage, "playback"))
        await page.beat(0.1)
        await until(lambda: node.hub.players[stage.pupil.person_id].state.seq == page.seq)
    assert await page.close_code() == Close.RESTART


async def test_a_look_at_the_hold_that_was_overtaken_by_its_issue_does_not_release_it(stage: Stage) -> None:
    """The row was read before the challenge was committed, and the answer comes after."""
    await stage.playing()
    player = stage.node.hub.players[stage.pupil.person_id]
    await stage.node.hub.receive(Hint(stage.pupil.person_id, "challenge"))
    await asyncio.sleep(0)
    player.hold("asked")
    await stage.node.hub.idle()
    assert player.state.held == "asked"


@pytest.mark.parametrize("parts", [{"challenges": {"earliest_s": 0.3, "latest_s": 0.3}}])
async def test_a_challenge_that_could_not_be_read_at_its_issue_is_shown_as_soon_as_it_can(stage: Stage) -> None:
    page = await stage.playing()
    async with table_away(stage, "learner"):
        ack = await page.play(0.6)
        ack = await page.acked(0.6)
        assert ack["uncredited"]["reason"] == "challenge"
        assert not [each for each in page.inbox if each["type"] == "challenge"]
    assert (await page.until("challenge"))["kind"] == "identity"


async def test_a_bye_while_the_row_is_locked_by_somebody_else_loses_nothing(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.5)
    player = stage.node.hub.players[stage.pupil.person_id]
    async with stage.services.db.write() as conn:
        await lock_playback(conn, stage.pupil.person_id)
        await asyncio.sleep(0.2)
        await page.beat(ack["frontier"] + 0.2)
        await page.bye()
        await until(lambda: not stage.node.hub.owns(player))
        # Longer than the committer waits for a lock in two ticks: the beat's, and that of the end of its segment.
        await asyncio.sleep(0.7)
    await stage.ended("bye")
    assert (await stage.row()).frontier_ms == player.state.frontier_ms


async def test_a_renewal_that_arrives_after_the_good_bye_leaves_no_lock_behind(stage: Stage) -> None:
    """Otherwise whoever reloads the page in that moment is told for 20 seconds that another page plays."""
    page = await stage.playing()
    hub, player = stage.node.hub, stage.node.hub.players[stage.pupil.person_id]
    await page.bye()
    await stage.ended("bye")
    await hub.idle()
    await hub.renew([player], monotonic_ms())
    await hub.idle()
    assert not await stage.services.redis.exists(lock_key(stage.pupil.person_id))


async def test_a_late_renewal_of_an_old_socket_keeps_the_lock_of_the_same_page(stage: Stage) -> None:
    first = await stage.playing()
    hub, player = stage.node.hub, stage.node.hub.players[stage.pupil.person_id]
    await first.drop()
    again = await stage.page()
    assert (await again.hello(session=first.session))["recovered"]
    await hub.renew([player], monotonic_ms())
    await hub.idle()
    assert await stage.services.redis.exists(lock_key(stage.pupil.person_id))
