"""Findings and segments of a row that a batch could not write are written with the next one."""

from __future__ import annotations

import pytest
from msgspec import structs
from sqlalchemy import select

from player_server.learning.watch import lock_playback
from player_server.storage.tables import finding, watch_segment
from tests.gateway.conftest import Stage
from tests.support.processes import until
from tests.support.school import add_course, add_enrolment, add_institution, add_learner
from tests.support.watch_client import WatchClient, log_in, ticket_for

#: Above any number that a column holds: the database refuses the whole batch.
TOO_MUCH = 2**63


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """On SQLite nobody can hold one row, and it takes any number."""
    return postgres_url


async def evidence(stage: Stage) -> tuple[list[str], list[str]]:
    """Kinds of the findings and reasons of the segments of the pupil."""
    async with stage.services.db.read() as conn:
        of_pupil = finding.c.person_id == stage.pupil.person_id
        kinds = await conn.scalars(select(finding.c.kind).where(of_pupil))
        mine = watch_segment.c.learner_id == stage.pupil.learner_id
        reasons = await conn.scalars(select(watch_segment.c.reason).where(mine))
        return list(kinds), list(reasons)


async def test_evidence_of_a_row_that_somebody_else_has_locked_is_written_later(stage: Stage) -> None:
    page = await stage.playing()
    ack = await page.play(0.5)
    committer = stage.node.hub.committer
    async with stage.services.db.write() as staff_action:
        await lock_playback(staff_action, stage.pupil.person_id)
        await page.beat(ack["frontier"] + 60)
        await until(lambda: committer.locked_out > 0)
        assert await evidence(stage) == ([], [])
    await page.until("rewind")
    assert await evidence(stage) == (["ahead_of_frontier"], ["ahead_of_frontier"])


async def test_evidence_of_a_row_that_stood_in_a_batch_with_a_bad_one_is_written_without_it(stage: Stage) -> None:
    school = await add_institution(stage.services, "乙校")
    lessons = await add_course(stage.services, school)
    other = await add_learner(stage.services, school)
    await add_enrolment(stage.services, other.learner_id, lessons.course_id)
    video_id = lessons.video_ids[0]
    ticket = await ticket_for(stage.services, other, video_id, await log_in(stage.services, other))
    bad = await WatchClient.open(stage.node.url, ticket, video_id)
    stage.clients.append(bad)
    await bad.hello()
    page = await stage.playing()
    ack = await page.play(0.5)
    hub = stage.node.hub
    spoilt = hub.players[other.person_id]
    async with stage.services.db.write() as staff_action:
        # While a first batch waits for this lock, the next one gathers both.
        await lock_playback(staff_action, stage.pupil.person_id)
        await page.beat(ack["frontier"] + 0.01)
        await until(lambda: hub.committer.waiting > 0)
        spoilt.state = structs.replace(spoilt.state, carry_ms=TOO_MUCH)
        hub.committer.add(spoilt)
        await page.beat(ack["frontier"] + 60)
        await until(lambda: hub.players[stage.pupil.person_id].state.seq == page.seq)
    await page.until("rewind")
    await until(lambda: other.person_id not in hub.players)
    assert await evidence(stage) == (["ahead_of_frontier"], ["ahead_of_frontier"])
