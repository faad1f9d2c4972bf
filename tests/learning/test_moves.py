"""A learner goes to another institution: offered, taken once, with every hour on its own day; on both databases."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest_asyncio
from sqlalchemy import func, select

from player_server.learning.hours import my_hours
from player_server.learning.moves import end_offer, moves_of, offer_move, take_move
from player_server.learning.programme_hours import programme_hours
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.learning.staff_actions import Outcome
from player_server.storage.clock import wall_ms
from player_server.storage.person_tables import move, staff_action
from player_server.storage.tables import enrolment, enrolment_course, learner, ledger_entry, playback
from tests.support import school
from tests.support.staff_desk import Desk, open_desk

ISSUED, EXPIRES = date(2024, 3, 10), date(2027, 3, 9)


@pytest_asyncio.fixture
async def old(services: Services) -> Desk:
    desk = await open_desk(services, "原机构")
    async with services.db.write() as conn:
        await conn.execute(
            enrolment.update().values(issue_date=ISSUED, expiry_date=EXPIRES, deadline=wall_ms() * 2)
        )
    await desk.watch_to_the_end()
    assert await settle(services, desk.pupil.learner_id, desk.video_id, 1)
    return desk


@pytest_asyncio.fixture
async def new(services: Services, old: Desk) -> Desk:
    return await open_desk(services, "新机构")


async def offered(old: Desk) -> int:
    assert await offer_move(old.services, old.hand("迁居"), old.pupil.learner_id, "新机构") is Outcome.DONE
    return int((await old.rows(move))[-1].id)


async def learner_at(desk: Desk, person_id: int) -> int | None:
    async with desk.services.db.read() as conn:
        mine = (learner.c.institution_id == desk.institution_id, learner.c.person_id == person_id)
        found: int | None = await conn.scalar(select(learner.c.id).where(*mine))
        return found


async def counted(desk: Desk, learner_id: int) -> list[int]:
    """What counts for each rule of the learner's programme."""
    async with desk.services.db.read() as conn:
        found = await programme_hours(conn, desk.services.programmes, [learner_id], wall_ms())
    return [rule.counted for rule in found[0].evaluation.rules]


async def test_hours_deadline_and_specialty_come_along_and_count_the_same(old: Desk, new: Desk) -> None:
    before = await counted(old, old.pupil.learner_id)
    move_id = await offered(old)
    assert await take_move(new.services, new.hand("同意"), new.institution_id, move_id) is Outcome.DONE
    here = await learner_at(new, old.pupil.person_id)
    assert here is not None and await counted(new, here) == before and sum(before) == 50
    entries = [(e.learner_id, e.entry_type, e.hours, e.source) for e in await new.rows(ledger_entry)]
    gone = old.pupil.learner_id
    assert entries == [
        (gone, "credit", 50, None),
        (gone, "reversal", -50, "reversal"),
        (here, "credit", 50, "move"),
    ]
    earned, _, moved = await new.rows(ledger_entry)
    assert moved.occurred_at == earned.occurred_at, "a year's rules count it where it was earned"
    assert (await my_hours(old.services, gone)).total == 0
    copied = (await new.rows(enrolment))[-1]
    assert (copied.learner_id, copied.issue_date, copied.expiry_date) == (here, ISSUED, EXPIRES)
    links = [row.course_id for row in await new.rows(enrolment_course) if row.enrolment_id == copied.id]
    assert links == [new.lessons.course_id], "the new institution's course of the same specialty"


async def test_the_old_account_is_disabled_and_its_live_player_fenced_off(old: Desk, new: Desk) -> None:
    await school.add_playback(old.services, old.pupil, old.video_id, 60_000)
    move_id = await offered(old)
    await take_move(new.services, new.hand(), new.institution_id, move_id)
    [row] = await new.rows(playback)
    assert (row.epoch, row.ended_reason) == (2, "disabled")
    gone = next(row for row in await old.rows(learner) if row.id == old.pupil.learner_id)
    assert gone.disabled_at is not None
    both = {(row.institution_id, row.action) for row in await new.rows(staff_action)}
    assert {(old.institution_id, "take_move"), (new.institution_id, "take_move")} <= both


async def test_many_who_take_one_offer_at_once_move_the_hours_once(old: Desk, new: Desk) -> None:
    move_id = await offered(old)
    answers = await asyncio.gather(
        *(take_move(new.services, new.hand(), new.institution_id, move_id) for _ in range(5))
    )
    assert sorted(answers) == sorted([Outcome.DONE] + [Outcome.ALREADY] * 4)
    async with new.services.db.read() as conn:
        assert await conn.scalar(select(func.sum(ledger_entry.c.hours))) == 50
        assert await conn.scalar(select(func.count()).select_from(ledger_entry)) == 3


async def test_nobody_takes_what_was_not_offered_to_them(old: Desk, new: Desk) -> None:
    move_id = await offered(old)
    third = await open_desk(new.services, "第三家")
    for desk in (third, old):
        assert await take_move(desk.services, desk.hand(), desk.institution_id, move_id) is Outcome.ABSENT
    assert await end_offer(third.services, third.hand(), third.institution_id, move_id) is Outcome.ABSENT
    assert await moves_of(third.services, third.scope, third.institution_id, "") == []
    assert [each.incoming for each in await moves_of(new.services, new.scope, new.institution_id, "")] == [True]
    assert await end_offer(new.services, new.hand(), new.institution_id, move_id) is Outcome.DONE
    assert await take_move(new.services, new.hand(), new.institution_id, move_id) is Outcome.ALREADY
    assert [row.state for row in await old.rows(move)] == ["declined"]
    assert len(await old.rows(ledger_entry)) == 1


async def test_an_offer_needs_another_institution_and_waits_for_its_answer(old: Desk, new: Desk) -> None:
    hand, learner_id = old.hand(), old.pupil.learner_id
    for name in ("原机构", "没有这家", "", "新机构%"):
        assert await offer_move(old.services, hand, learner_id, name) is Outcome.NO_INSTITUTION, name
    move_id = await offered(old)
    assert await offer_move(old.services, hand, learner_id, "新机构") is Outcome.ALREADY
    assert await end_offer(old.services, hand, old.institution_id, move_id) is Outcome.DONE
    assert [row.state for row in await old.rows(move)] == ["withdrawn"]
    await offered(old)


async def test_there_and_back_again_keeps_every_hour(old: Desk, new: Desk) -> None:
    await take_move(new.services, new.hand(), new.institution_id, await offered(old))
    here = await learner_at(new, old.pupil.person_id)
    assert here is not None
    assert await offer_move(new.services, new.hand(), here, "原机构") is Outcome.DONE
    back = (await new.rows(move))[-1].id
    assert await take_move(old.services, old.hand(), old.institution_id, back) is Outcome.DONE
    assert (await my_hours(old.services, old.pupil.learner_id)).total == 50
    again = next(row for row in await old.rows(learner) if row.id == old.pupil.learner_id)
    assert again.disabled_at is None
