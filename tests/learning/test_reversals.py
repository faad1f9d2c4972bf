"""Credited hours are taken back once, can be earned again, and every trace of it stays; on both databases."""

import asyncio

import pytest_asyncio
from sqlalchemy import select

from player_server.learning.enrolments import may_watch
from player_server.learning.hours import my_hours
from player_server.learning.reversals import reverse_credit
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.learning.staff_actions import Outcome
from player_server.storage.person_tables import staff_action
from player_server.storage.progress import VideoProgress, video_progress
from player_server.storage.tables import audit, ledger_entry, outbox, playback, watch_progress
from tests.support import school
from tests.support.staff_desk import Desk, open_desk


@pytest_asyncio.fixture
async def desk(services: Services) -> Desk:
    return await open_desk(services)


async def credited(desk: Desk) -> int:
    """The learner has earned the last video; returns the ledger entry's id."""
    await desk.watch_to_the_end()
    assert await settle(desk.services, desk.pupil.learner_id, desk.video_id, 1)
    return int((await desk.rows(ledger_entry))[-1].id)


async def progress_of(desk: Desk) -> VideoProgress:
    async with desk.services.db.read() as conn:
        found = await video_progress(conn, desk.pupil.learner_id, desk.video_id)
    assert found is not None
    return found


async def test_reversed_hours_are_gone_and_can_be_earned_again_exactly_once(desk: Desk) -> None:
    entry_id = await credited(desk)
    assert (
        await reverse_credit(desk.services, desk.hand("考勤不符"), desk.pupil.learner_id, entry_id) is Outcome.DONE
    )
    assert (await my_hours(desk.services, desk.pupil.learner_id)).total == 0
    now = await progress_of(desk)
    assert (now.round, now.frontier_ms, now.watched, now.credited) == (2, 0, False, False)
    assert not await settle(desk.services, desk.pupil.learner_id, desk.video_id, 1), (
        "the old round gives nothing more"
    )
    async with desk.services.db.write() as conn:
        again = watch_progress.c.round == 2
        await conn.execute(watch_progress.update().where(again).values(frontier_ms=60_000, watched_at=2_000))
    assert await settle(desk.services, desk.pupil.learner_id, desk.video_id, 2)
    entries = [(row.round, row.entry_type, row.hours, row.reverses) for row in await desk.rows(ledger_entry)]
    assert entries == [(1, "credit", 50, None), (1, "reversal", -50, entry_id), (2, "credit", 50, None)]
    assert (await my_hours(desk.services, desk.pupil.learner_id)).total == 50


async def test_a_reversal_is_written_beside_the_learner_in_the_audit_and_for_other_systems(desk: Desk) -> None:
    entry_id = await credited(desk)
    await reverse_credit(desk.services, desk.hand("考勤不符"), desk.pupil.learner_id, entry_id)
    [action] = await desk.rows(staff_action)
    assert (action.action, action.reason, action.learner_id) == (
        "reverse_credit",
        "考勤不符",
        desk.pupil.learner_id,
    )
    assert [row.result for row in await desk.rows(audit) if row.action == "reverse_credit"] == ["ok"]
    assert "hours.reversed" in [row.topic for row in await desk.rows(outbox)]


async def test_many_who_reverse_one_entry_at_once_write_one_reversal(desk: Desk) -> None:
    entry_id = await credited(desk)
    learner_id = desk.pupil.learner_id
    results = await asyncio.gather(
        *(reverse_credit(desk.services, desk.hand(), learner_id, entry_id) for _ in range(8))
    )
    assert sorted(results) == sorted([Outcome.DONE] + [Outcome.ALREADY] * 7)
    assert [row.entry_type for row in await desk.rows(ledger_entry)] == ["credit", "reversal"]
    assert len(await desk.rows(staff_action)) == 1


async def test_a_live_player_of_the_round_is_fenced_off_and_cannot_bring_its_frontier_along(desk: Desk) -> None:
    entry_id = await credited(desk)
    await school.add_playback(desk.services, desk.pupil, desk.video_id, 60_000)
    await reverse_credit(desk.services, desk.hand(), desk.pupil.learner_id, entry_id)
    [row] = await desk.rows(playback)
    assert (row.epoch, row.ended_reason) == (2, "silent"), "its page comes back by itself"
    assert (await progress_of(desk)).frontier_ms == 0
    async with desk.services.db.read() as conn:
        right = await may_watch(conn, desk.pupil.learner_id, desk.video_id)
    assert not isinstance(right, str) and right.progress.round == 2


async def test_foreign_absent_and_reversing_entries_cannot_be_reversed(desk: Desk) -> None:
    entry_id = await credited(desk)
    other = await open_desk(desk.services, "另一家")
    learner_id = desk.pupil.learner_id
    assert await reverse_credit(desk.services, other.hand(), learner_id, entry_id) is Outcome.ABSENT
    own = other.pupil.learner_id
    assert await reverse_credit(desk.services, other.hand(), own, entry_id) is Outcome.ABSENT
    not_in_class = desk.hand(classes=frozenset({"一班"}))
    assert await reverse_credit(desk.services, not_in_class, learner_id, entry_id) is Outcome.ABSENT
    assert await reverse_credit(desk.services, desk.hand(), learner_id, 999_999) is Outcome.ABSENT
    assert await reverse_credit(desk.services, desk.hand(), learner_id, entry_id) is Outcome.DONE
    reversal_id = (await desk.rows(ledger_entry))[-1].id
    assert await reverse_credit(desk.services, desk.hand(), learner_id, reversal_id) is Outcome.ABSENT


async def test_hours_in_class_are_taken_back_without_a_new_round(desk: Desk) -> None:
    async with desk.services.db.write() as conn:
        await conn.execute(
            ledger_entry.insert().values(
                learner_id=desk.pupil.learner_id,
                institution_id=desk.institution_id,
                kind="offline",
                subject="public",
                hours=1600,
                round=0,
                entry_type="credit",
                rule_version="1",
                occurred_at=1_000,
                evidence="{}",
                source="class",
                source_row="1",
            )
        )
        entry_id = int(await conn.scalar(select(ledger_entry.c.id)) or 0)
    assert await reverse_credit(desk.services, desk.hand(), desk.pupil.learner_id, entry_id) is Outcome.DONE
    assert (await my_hours(desk.services, desk.pupil.learner_id)).total == 0
    assert (await progress_of(desk)).round == 1
