"""A learner objects once, the institution answers once, never making up more than the video has; both databases."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import insert

from player_server.learning.appeal_answers import answer_appeal, appeals_page, find_appeal
from player_server.learning.appeals import (
    State,
    finding_subject,
    make_appeal,
    my_appeals,
    question_of,
    stretch_subject,
)
from player_server.learning.hours import my_hours
from player_server.learning.reversals import reverse_credit
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.learning.staff_actions import Outcome
from player_server.policy.findings import china_day
from player_server.storage.person_tables import appeal, staff_action
from player_server.storage.progress import video_progress
from player_server.storage.tables import finding, ledger_entry, watch_segment
from tests.support.staff_desk import Desk, open_desk

AT = 1_700_000_000_000


@pytest_asyncio.fixture
async def desk(services: Services) -> Desk:
    return await open_desk(services)


async def add_stretch(desk: Desk, number: int = 1, reason: str = "gap") -> int:
    async with desk.services.db.write() as conn:
        row = await conn.execute(
            insert(watch_segment)
            .values(
                session_id="s",
                number=number,
                learner_id=desk.pupil.learner_id,
                video_id=desk.video_id,
                round=1,
                from_ms=0,
                to_ms=20_000,
                started_at=AT + number * 60_000,
                ended_at=AT + number * 60_000 + 20_000,
                reason=reason,
            )
            .returning(watch_segment.c.id)
        )
        return int(row.scalar_one())


async def object_to(desk: Desk, subject: str, words: str = "我一直在看") -> Outcome:
    return await make_appeal(
        desk.services,
        person_id=desk.pupil.person_id,
        learner_id=desk.pupil.learner_id,
        institution_id=desk.institution_id,
        subject=subject,
        words=words,
        address="127.0.0.1",
    )


async def appealed(desk: Desk, number: int = 1) -> int:
    assert await object_to(desk, stretch_subject(await add_stretch(desk, number))) is Outcome.DONE
    return int((await desk.rows(appeal))[-1].id)


async def total(desk: Desk) -> int:
    return (await my_hours(desk.services, desk.pupil.learner_id)).total


async def test_a_stretch_is_objected_to_once_and_by_its_learner_only(desk: Desk) -> None:
    segment = await add_stretch(desk)
    await add_stretch(desk, 2)
    question = await question_of(
        desk.services, desk.pupil.person_id, desk.pupil.learner_id, stretch_subject(segment)
    )
    assert question is not None and question.until == AT + 120_000 and question.what == "gap"
    other = await open_desk(desk.services, "另一家")
    assert await object_to(other, stretch_subject(segment)) is Outcome.ABSENT
    for nonsense in ("", "stretch:", "stretch:-1", "stretch:٣", f"stretch:{'9' * 30}", "finding:gap:x", "video:1"):
        assert await object_to(desk, nonsense) is Outcome.ABSENT, nonsense
    both = await asyncio.gather(*(object_to(desk, stretch_subject(segment)) for _ in range(4)))
    assert sorted(both) == sorted([Outcome.DONE] + [Outcome.ALREADY] * 3)
    [mine] = await my_appeals(desk.services, desk.pupil.learner_id)
    assert (mine.state, mine.words, mine.video_title) == (State.OPEN, "我一直在看", "第2讲")


async def test_what_was_watched_to_its_end_lacks_nothing_to_object_to(desk: Desk) -> None:
    assert await object_to(desk, stretch_subject(await add_stretch(desk, reason="watched"))) is Outcome.ABSENT


async def test_a_finding_can_be_objected_to_and_is_answered_in_words(desk: Desk) -> None:
    async with desk.services.db.write() as conn:
        await conn.execute(
            insert(finding).values(
                person_id=desk.pupil.person_id,
                learner_id=desk.pupil.learner_id,
                session_id="s",
                kind="long_day",
                count=1,
                worst=5,
                first_at=AT,
                last_at=AT,
            )
        )
    assert await object_to(desk, finding_subject("long_day", china_day(AT))) is Outcome.DONE
    [row] = await desk.rows(appeal)
    hand = desk.hand("您说得对，已记录")
    assert await answer_appeal(desk.services, hand, row.id, accept=True, hours=50) is Outcome.TOO_MANY_HOURS
    assert await answer_appeal(desk.services, hand, row.id, accept=True) is Outcome.DONE
    [mine] = await my_appeals(desk.services, desk.pupil.learner_id)
    assert (mine.state, mine.answer, mine.answered_by) == (State.ACCEPTED, "您说得对，已记录", "王老师")
    assert await total(desk) == 0


async def test_whole_hours_made_up_are_the_rounds_credit_and_never_given_twice(desk: Desk) -> None:
    appeal_id = await appealed(desk)
    beside = await find_appeal(desk.services, desk.scope, appeal_id, "127.0.0.1")
    assert beside is not None and (beside.rest, beside.video_hours, beside.credited) == (50, 50, False)
    assert await answer_appeal(desk.services, desk.hand(), appeal_id, accept=True, hours=50) is Outcome.DONE
    [entry] = await desk.rows(ledger_entry)
    assert (entry.kind, entry.source, entry.source_row, entry.hours) == ("online", "appeal", str(appeal_id), 50)
    assert f'"appeal":{appeal_id}' in entry.evidence
    assert not await settle(desk.services, desk.pupil.learner_id, desk.video_id, 1)
    async with desk.services.db.read() as conn:
        progress = await video_progress(conn, desk.pupil.learner_id, desk.video_id)
    assert progress is not None and progress.credited
    assert await total(desk) == 50


async def test_a_part_made_up_leaves_only_the_rest_to_earn(desk: Desk) -> None:
    first, second = await appealed(desk, 1), await appealed(desk, 2)
    assert await answer_appeal(desk.services, desk.hand(), first, accept=True, hours=20) is Outcome.DONE
    assert await answer_appeal(desk.services, desk.hand(), second, accept=True, hours=31) is Outcome.TOO_MANY_HOURS
    await desk.watch_to_the_end()
    assert await settle(desk.services, desk.pupil.learner_id, desk.video_id, 1)
    assert [row.hours for row in await desk.rows(ledger_entry)] == [20, 30]
    assert await answer_appeal(desk.services, desk.hand(), second, accept=True, hours=1) is Outcome.TOO_MANY_HOURS
    assert await answer_appeal(desk.services, desk.hand(), second, accept=True) is Outcome.DONE
    assert await total(desk) == 50


async def test_made_up_hours_that_were_taken_back_may_be_given_again(desk: Desk) -> None:
    first, second = await appealed(desk, 1), await appealed(desk, 2)
    await answer_appeal(desk.services, desk.hand(), first, accept=True, hours=20)
    [entry] = await desk.rows(ledger_entry)
    learner_id = desk.pupil.learner_id
    assert await reverse_credit(desk.services, desk.hand(), learner_id, entry.id) is Outcome.DONE
    assert await total(desk) == 0
    assert await answer_appeal(desk.services, desk.hand(), second, accept=True, hours=50) is Outcome.DONE
    assert await total(desk) == 50


async def test_two_answers_at_once_are_one_answer_and_one_entry(desk: Desk) -> None:
    appeal_id = await appealed(desk)
    answers = await asyncio.gather(
        *(answer_appeal(desk.services, desk.hand(), appeal_id, accept=True, hours=20) for _ in range(6))
    )
    assert sorted(answers) == sorted([Outcome.DONE] + [Outcome.ALREADY] * 5)
    assert [row.hours for row in await desk.rows(ledger_entry)] == [20]
    assert len(await desk.rows(staff_action)) == 1


async def test_a_race_of_appeals_about_one_video_never_gives_more_than_it_has(desk: Desk) -> None:
    appeals = [await appealed(desk, number) for number in (1, 2, 3)]
    await asyncio.gather(
        *(answer_appeal(desk.services, desk.hand(), each, accept=True, hours=30) for each in appeals)
    )
    assert await total(desk) == 30, "a second 30 would be above the video's 50"


@pytest.mark.parametrize("hours", [-20, 51])
async def test_hours_out_of_range_change_nothing(desk: Desk, hours: int) -> None:
    appeal_id = await appealed(desk)
    hand = desk.hand()
    assert await answer_appeal(desk.services, hand, appeal_id, accept=True, hours=hours) is Outcome.TOO_MANY_HOURS
    assert await answer_appeal(desk.services, hand, appeal_id, accept=False, hours=20) is Outcome.TOO_MANY_HOURS
    assert (await desk.rows(appeal))[0].state == "open" and not await desk.rows(ledger_entry)


async def test_other_institutions_and_other_classes_see_no_appeal(desk: Desk) -> None:
    appeal_id = await appealed(desk)
    other = await open_desk(desk.services, "另一家")
    page = await appeals_page(desk.services, desk.scope, state=State.OPEN, number=1, address="")
    assert [each.appeal.id for each in page.appeals] == [appeal_id] and page.open == 1
    for hand in (other.hand(), desk.hand(classes=frozenset({"一班"}))):
        page = await appeals_page(desk.services, hand.scope, state=None, number=1, address="")
        assert (page.appeals, page.total, page.open) == ((), 0, 0)
        assert await find_appeal(desk.services, hand.scope, appeal_id, "") is None
        assert await answer_appeal(desk.services, hand, appeal_id, accept=True, hours=50) is Outcome.ABSENT
