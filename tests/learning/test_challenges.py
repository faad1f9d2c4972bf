"""One confirmation, no way around a missed window; on both databases, with two servers on the same stores."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest_asyncio
from sqlalchemy import select

from player_server.learning.challenges import (
    Renewal,
    confirm,
    current_code,
    expire_due,
    notice,
    renew,
    tap,
)
from player_server.learning.services import Services
from player_server.policy.challenges import Answer
from player_server.storage.hints import CHANNEL
from player_server.storage.tables import ledger_entry
from tests.support import school
from tests.support.checks import Check, Class, computer_browser, hold, open_class, phone_browser
from tests.support.services import close_services, make_services

MINE = phone_browser("my phone")


@pytest_asyncio.fixture
async def room(services: Services) -> Class:
    return await open_class(services)


@pytest_asyncio.fixture
async def check(room: Class) -> Check:
    """An attendance check of a learner whose phone is MINE."""
    check = await hold(room)
    await check.enrol(MINE)
    return check


async def test_the_enrolled_phone_confirms_and_the_hold_is_gone(check: Check) -> None:
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.CONFIRMED
    row = await check.row()
    assert (row.outcome, row.phone_id, row.same_device) == ("answered", (await check.phones())[0].id, False)
    assert row.issued_at <= row.answered_at <= row.deadline
    assert await check.held() is None
    assert await check.findings() == {}


async def test_of_fifty_confirmations_at_once_exactly_one_wins(
    check: Check, nodes: tuple[Services, Services]
) -> None:
    answers = await asyncio.gather(*(confirm(nodes[turn % 2], check.challenge_id, MINE) for turn in range(50)))
    assert Counter(answers) == {Answer.CONFIRMED: 1, Answer.ALREADY_CONFIRMED: 49}
    assert (await check.audited()).count("confirmed") == 1


async def test_a_confirmation_with_a_second_to_spare_is_in_time(check: Check) -> None:
    await check.move(issued_ago=119_000, left=1_000)
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.CONFIRMED


async def test_a_millisecond_after_the_deadline_is_late_and_nothing_is_released(check: Check) -> None:
    await check.move(issued_ago=120_001, left=-1)
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.LATE
    assert (await check.row()).outcome is None
    assert await check.held() == check.challenge_id


async def test_nodes_are_told_of_a_confirmation(check: Check) -> None:
    async with check.services.redis.pubsub() as heard:
        await heard.subscribe(CHANNEL)
        await heard.get_message(timeout=5)
        await confirm(check.services, check.challenge_id, MINE)
        message = await heard.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None and b'"challenge"' in message["data"]


async def test_what_waited_for_the_confirmation_is_credited(check: Check) -> None:
    # The last video of the course has no quiz: watched and not held is all it takes.
    await school.add_progress(
        check.services, check.pupil.learner_id, check.video_id, school.DURATION_MS, watched_at=1_000
    )
    await confirm(check.services, check.challenge_id, MINE)
    async with check.services.db.read() as conn:
        assert (await conn.execute(select(ledger_entry.c.video_id))).scalars().all() == [check.video_id]


async def test_a_missed_window_is_written_down_and_the_hold_stays(check: Check, room: Class) -> None:
    other = await hold(room)
    await check.move(left=-1)
    assert await expire_due(check.services) == 1
    assert await expire_due(check.services) == 0
    assert (await check.row()).outcome == "missed"
    assert await check.held() == check.challenge_id
    assert await check.findings() == {"challenge_missed": 1}
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.LATE
    assert await check.held() == check.challenge_id
    assert (await other.row()).outcome is None


async def test_one_sweep_is_bounded(room: Class) -> None:
    for _ in range(3):
        await (await hold(room)).move(left=-1)
    assert [await expire_due(room.services, limit=2) for _ in range(3)] == [2, 1, 0]


async def test_asking_for_a_new_code_often_and_at_once_makes_one_successor(
    check: Check, nodes: tuple[Services, Services]
) -> None:
    await check.move(left=-1)
    person_id = check.pupil.person_id
    answers = await asyncio.gather(
        *(renew(nodes[turn % 2], person_id, check.challenge_id) for turn in range(10)),
        expire_due(nodes[1]),
    )
    assert set(answers[:10]) == {Renewal.RENEWED}
    rows = {row.sequence: row for row in await check.all_rows()}
    assert [(number, rows[number].outcome) for number in sorted(rows)] == [(1, "missed"), (2, None)]
    assert await check.held() == rows[2].id
    assert rows[2].kind == "attendance"
    assert rows[2].deadline - rows[2].issued_at == 120_000
    assert await check.findings() == {"challenge_missed": 1}


async def test_only_the_successor_clears_the_hold_and_only_when_answered(check: Check) -> None:
    await check.move(left=-1)
    await renew(check.services, check.pupil.person_id, check.challenge_id)
    successor = await check.held()
    assert successor is not None and successor != check.challenge_id
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.LATE
    assert await check.held() == successor
    assert await confirm(check.services, successor, MINE) == Answer.CONFIRMED
    assert await check.held() is None
    assert await renew(check.services, check.pupil.person_id, successor) == Renewal.NOT_HELD
    assert len(await check.all_rows()) == 2


async def test_an_open_challenge_is_not_renewed(check: Check) -> None:
    assert await renew(check.services, check.pupil.person_id, check.challenge_id) == Renewal.STILL_OPEN
    assert await check.held() == check.challenge_id
    assert len(await check.all_rows()) == 1


async def test_the_successor_asks_for_identity_if_there_is_no_phone_any_more(room: Class) -> None:
    check = await hold(room)
    await check.move(left=-1)
    await renew(check.services, check.pupil.person_id, check.challenge_id)
    row = await check.row(await check.held())
    assert (row.kind, row.deadline - row.issued_at) == ("identity", 600_000)


async def test_answering_and_renewing_around_the_deadline_never_do_both(room: Class) -> None:
    for turn in range(20):
        browser = phone_browser(f"phone {turn}")
        check = await hold(room)
        await check.enrol(browser)
        await check.move(left=turn % 4)
        answer, renewal = await asyncio.gather(
            confirm(check.services, check.challenge_id, browser),
            renew(check.services, check.pupil.person_id, check.challenge_id),
        )
        outcome, held = (await check.row()).outcome, await check.held()
        if answer == Answer.CONFIRMED:
            assert outcome == "answered" and held is None and renewal != Renewal.RENEWED
        else:
            assert outcome != "answered" and held is not None


async def test_another_learners_phone_is_refused_and_recorded(check: Check, room: Class) -> None:
    other = await hold(room)
    theirs = phone_browser("their phone")
    await other.enrol(theirs)
    assert await confirm(check.services, check.challenge_id, theirs) == Answer.WRONG_PHONE
    assert await check.held() == check.challenge_id
    assert await check.findings() == {"wrong_phone": 1}
    assert await check.audited() == ["wrong_phone"]


async def test_a_browser_that_is_nobodys_phone_is_refused(check: Check) -> None:
    stranger = phone_browser("a fresh cookie")
    assert await confirm(check.services, check.challenge_id, stranger) == Answer.NOT_ENROLLED
    assert await check.held() == check.challenge_id
    assert await check.findings() == {}, "cleared cookies are no suspicion"


async def test_a_computer_that_is_logged_in_never_confirms_even_with_the_phones_cookie(check: Check) -> None:
    desktop = computer_browser(MINE.credential, login_person_id=check.pupil.person_id)
    assert await confirm(check.services, check.challenge_id, desktop) == Answer.COMPUTER
    assert await check.held() == check.challenge_id
    assert await check.findings() == {"wrong_phone": 1}


async def test_unknown_challenges_are_unknown(check: Check) -> None:
    assert await confirm(check.services, "nobody-made-it", MINE) == Answer.UNKNOWN
    assert await renew(check.services, check.pupil.person_id, "nobody-made-it") == Renewal.UNKNOWN


async def test_a_foreign_challenge_is_as_good_as_unknown(check: Check, room: Class) -> None:
    stranger = (await hold(room)).pupil.person_id
    await check.move(left=-1)
    assert await renew(check.services, stranger, check.challenge_id) == Renewal.UNKNOWN
    await check.move(left=60_000)
    assert await current_code(check.services, stranger, check.challenge_id) is None
    assert await tap(check.services, stranger, check.challenge_id, MINE) == Answer.UNKNOWN
    assert await check.held() == check.challenge_id


async def test_the_phone_that_plays_confirms_by_a_tap_and_the_evidence_says_so(check: Check) -> None:
    playing = phone_browser(MINE.credential, login_person_id=check.pupil.person_id)
    assert await tap(check.services, check.pupil.person_id, check.challenge_id, playing) == Answer.CONFIRMED
    assert (await check.row()).same_device is True
    assert await check.findings() == {}


async def test_a_tap_can_be_switched_off(check: Check, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    strict = await make_services(database_url, valkey_url, tmp_path, challenges={"same_device": "refuse"})
    playing = phone_browser(MINE.credential, login_person_id=check.pupil.person_id)
    assert await tap(strict, check.pupil.person_id, check.challenge_id, playing) == Answer.SAME_DEVICE_OFF
    async with strict.db.read() as conn:
        told = await notice(strict, conn, check.challenge_id, on_phone=True)
    assert told is not None and told.tap is None
    await close_services(strict)
    assert await check.held() == check.challenge_id


async def test_the_page_is_told_what_it_needs_and_no_code_unless_asked_for(check: Check) -> None:
    async with check.services.db.read() as conn:
        told = await notice(check.services, conn, check.challenge_id)
        on_phone = await notice(check.services, conn, check.challenge_id, on_phone=True)
    assert told is not None and on_phone is not None
    assert (told.id, told.kind, told.missed) == (check.challenge_id, "attendance", False)
    assert told.qr == f"/challenges/{check.challenge_id}/qr.svg"
    assert told.renew == f"/challenges/{check.challenge_id}/renew"
    assert 110 < told.deadline <= 120
    assert told.rotate == 20
    assert told.link is None and told.tap is None
    assert on_phone.tap == f"/challenges/{check.challenge_id}/tap"


async def test_the_link_is_told_where_the_operator_shows_it(
    check: Check, database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    demo = await make_services(database_url, valkey_url, tmp_path, challenges={"show_link": True})
    async with demo.db.read() as conn:
        told = await notice(demo, conn, check.challenge_id)
    code = await current_code(demo, check.pupil.person_id, check.challenge_id)
    assert told is not None and told.link == f"{demo.settings.public_url}/c/{code}"
    await close_services(demo)


async def test_the_page_is_told_of_a_missed_window_before_anybody_wrote_it_down(check: Check) -> None:
    await check.move(left=-1)
    async with check.services.db.read() as conn:
        told = await notice(check.services, conn, check.challenge_id, on_phone=True)
    assert told is not None and (told.missed, told.deadline, told.link, told.tap) == (True, 0, None, None)
    assert await current_code(check.services, check.pupil.person_id, check.challenge_id) is None


async def test_there_is_nothing_to_tell_of_an_answered_challenge(check: Check) -> None:
    await confirm(check.services, check.challenge_id, MINE)
    async with check.services.db.read() as conn:
        assert await notice(check.services, conn, check.challenge_id) is None
        assert await notice(check.services, conn, "nobody-made-it") is None
    assert await current_code(check.services, check.pupil.person_id, check.challenge_id) is None
