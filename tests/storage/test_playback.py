"""The fenced batch update, on both databases: who may write, what a challenge takes with it, what a repeat does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from sqlalchemy import select, update

from player_server.learning.services import Services
from player_server.storage.playback import (
    Batch,
    BeatRow,
    FindingRow,
    PlaybackStore,
    SegmentRow,
    Windows,
    open_playback,
)
from player_server.storage.tables import challenge, finding, phone, playback, watch_segment
from tests.support.school import Pupil, add_course, add_institution, add_learner, add_playback
from tests.support.services import close_services, make_services

WINDOWS = Windows(identity_ms=600_000, attendance_ms=120_000)


@dataclass
class Bench:
    services: Services
    store: PlaybackStore
    pupils: list[Pupil]
    video_id: int

    def row(self, pupil: Pupil, *, epoch: int = 1, frontier: int = 5_000, issue: str | None = None) -> BeatRow:
        return BeatRow(pupil.person_id, epoch, frontier, frontier, 7, True, 60_000, issue)

    async def commit(self, *rows: BeatRow) -> dict[int, str | None]:
        return await self.store.commit(Batch(list(rows), [], []), WINDOWS)


@pytest_asyncio.fixture
async def bench(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    services = await make_services(database_url, valkey_url, tmp_path)
    school = await add_institution(services, "学校")
    lessons = await add_course(services, school)
    pupils = [await add_learner(services, school) for _ in range(3)]
    for pupil in pupils:
        await add_playback(services, pupil, lessons.video_ids[0], frontier_ms=0)
    async with services.db.write() as conn:
        await conn.execute(update(playback).values(epoch=1, session_id="page", challenge_sequence=4))
    store = open_playback(services.db, services.clock)
    yield Bench(services, store, pupils, lessons.video_ids[0])
    await store.close()
    await close_services(services)


async def test_a_batch_writes_every_row_whose_epoch_is_valid(bench: Bench) -> None:
    one, two, three = bench.pupils
    held = await bench.commit(bench.row(one), bench.row(two, epoch=0, frontier=9_000), bench.row(three))
    assert held == {one.person_id: None, three.person_id: None}
    async with bench.services.db.read() as conn:
        rows = await conn.execute(select(playback.c.frontier_ms, playback.c.playing).order_by(playback.c.person_id))
        assert [tuple(row) for row in rows] == [(5_000, True), (0, True), (5_000, True)]
        now = await bench.services.clock.read(conn)
        mine = select(playback.c.clock_domain, playback.c.clock_ms).where(playback.c.person_id == one.person_id)
        clock = (await conn.execute(mine)).one()
    assert clock.clock_domain == now.domain
    assert 0 <= now.ms - clock.clock_ms < 60_000


async def test_a_challenge_is_opened_in_the_same_transaction_as_the_frontier(bench: Bench) -> None:
    one, two, _ = bench.pupils
    async with bench.services.db.write() as conn:
        await conn.execute(phone.insert().values(person_id=two.person_id, credential_hash="hash", enrolled_at=1))
    held = await bench.commit(bench.row(one, issue="first"), bench.row(two, issue="second"))
    assert held == {one.person_id: "first", two.person_id: "second"}
    async with bench.services.db.read() as conn:
        rows = (await conn.execute(select(challenge).order_by(challenge.c.person_id))).all()
    assert [(row.id, row.kind, row.sequence, row.deadline - row.issued_at) for row in rows] == [
        ("first", "identity", 5, 600_000),
        ("second", "attendance", 5, 120_000),
    ]


async def test_a_displaced_page_opens_no_challenge_and_leaves_no_evidence(bench: Bench) -> None:
    one, two, _ = bench.pupils

    def segment(pupil: Pupil) -> SegmentRow:
        return SegmentRow("page", pupil.person_id, pupil.learner_id, bench.video_id, 1, 0, 5, 1, 2, "pause")

    def found(pupil: Pupil) -> FindingRow:
        return FindingRow(
            f"page-{pupil.person_id}", "replay", pupil.person_id, pupil.learner_id, bench.video_id, 1, 2, 3, 4
        )

    batch = Batch(
        [bench.row(one, epoch=0, issue="never"), bench.row(two)],
        [(one.person_id, segment(one)), (two.person_id, segment(two))],
        [found(one), found(two)],
    )
    assert await bench.store.commit(batch, WINDOWS) == {two.person_id: None}
    async with bench.services.db.read() as conn:
        assert (await conn.scalars(select(challenge.c.id))).all() == []
        assert (await conn.scalars(select(watch_segment.c.learner_id))).all() == [two.learner_id]
        assert (await conn.scalars(select(finding.c.person_id))).all() == [two.person_id]


async def test_repeating_a_batch_does_not_put_back_a_hold_that_was_cleared(bench: Bench) -> None:
    """A COMMIT whose answer was lost is repeated; meanwhile the learner has confirmed."""
    one = bench.pupils[0]
    row = bench.row(one, issue="asked")
    await bench.commit(row)
    async with bench.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id=None))
        await conn.execute(update(challenge).values(outcome="answered", answered_at=1))
    assert await bench.commit(row) == {one.person_id: None}
    async with bench.services.db.read() as conn:
        assert (await conn.scalars(select(challenge.c.id))).all() == ["asked"]
        sequence = await conn.scalar(
            select(playback.c.challenge_sequence).where(playback.c.person_id == one.person_id)
        )
    assert sequence == 5


async def test_the_batch_never_sets_a_hold_without_an_issue_and_never_clears_one(bench: Bench) -> None:
    one = bench.pupils[0]
    await bench.commit(bench.row(one, issue="asked"))
    assert await bench.commit(bench.row(one, frontier=6_000)) == {one.person_id: "asked"}


async def test_states_tell_why_a_row_did_not_match(bench: Bench) -> None:
    one, two, _ = bench.pupils
    async with bench.services.db.write() as conn:
        await conn.execute(
            update(playback).where(playback.c.person_id == two.person_id).values(epoch=9, ended_reason="silent")
        )
    states = await bench.store.states([one.person_id, two.person_id, 10**9])
    assert states[one.person_id] == (1, "page", None)
    assert states[two.person_id] == (9, "page", "silent")
    assert len(states) == 2


async def test_a_locked_row_holds_up_nobody_else(bench: Bench) -> None:
    if bench.services.db.kind == "sqlite":
        return  # One writer at a time is the law there.
    one, two, three = bench.pupils
    # The last one is displaced: the way around a lock must be fenced as well.
    rows = bench.row(one), bench.row(two), bench.row(three, epoch=0)
    async with bench.services.db.write() as staff_action:
        locked = select(playback.c.epoch).where(playback.c.person_id == one.person_id).with_for_update()
        await staff_action.execute(locked)
        assert await bench.commit(*rows) == {two.person_id: None}
        assert (await bench.store.states([one.person_id]))[one.person_id].epoch == 1
    assert len(await bench.commit(*rows)) == 2
