"""Codes open in one browser, a phone belongs to one learner; on both databases, two servers on the same stores."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest_asyncio
from sqlalchemy import update

from player_server.auth.passwords import hash_password
from player_server.auth.throttle import count_attempt
from player_server.learning.challenge_tokens import code_for
from player_server.learning.challenges import Browser, confirm, current_code, renew
from player_server.learning.phones import FORGED_WRITTEN, PhonePage, Screen, bind, open_code, rebind, show_again
from player_server.learning.services import Services
from player_server.policy.challenges import Answer
from player_server.storage.challenges import revoke_phone
from player_server.storage.tables import person
from tests.support.checks import (
    NAME,
    NUMBER,
    Check,
    Class,
    computer_browser,
    hold,
    open_class,
    owner_of,
    phone_browser,
)

PASSWORD = "石桥-cloud-47"
OTHER_NUMBER = "320102199003077888"
MINE = phone_browser("my phone")
NEW = phone_browser("my new phone")
GUESSER = replace(phone_browser("a guesser"), address="192.0.2.66")


@pytest_asyncio.fixture
async def room(services: Services) -> Class:
    return await open_class(services)


@pytest_asyncio.fixture
async def first(room: Class) -> Check:
    """The identity check of a learner without a phone."""
    return await hold(room, "identity", number=NUMBER)


@pytest_asyncio.fixture
async def check(room: Class) -> Check:
    """The attendance check of a learner whose phone is MINE and who has a password."""
    check = await hold(room, number=NUMBER)
    await check.enrol(MINE)
    async with room.services.db.write() as conn:
        await conn.execute(
            update(person)
            .where(person.c.id == check.pupil.person_id)
            .values(password_hash=await hash_password(PASSWORD))
        )
    return check


async def scan(check: Check, browser: Browser) -> PhonePage | Answer:
    """Open the code of this moment."""
    code = await current_code(check.services, check.pupil.person_id, check.challenge_id)
    return await open_code(check.services, code or "", browser)


# Opening a code


async def test_the_enrolled_phone_sees_the_confirm_page_with_a_masked_name(check: Check) -> None:
    page = await scan(check, MINE)
    assert isinstance(page, PhonePage)
    assert (page.screen, page.masked_name, page.course) == (Screen.CONFIRM, "欧**", "安全生产")
    assert 100 < page.seconds_left <= 120


async def test_opening_a_code_never_confirms_whoever_opens_it_however_often(check: Check) -> None:
    for browser in (MINE, NEW, computer_browser("preview"), phone_browser("a bot")):
        for _ in range(3):
            await scan(check, browser)
    assert (await check.row()).outcome is None
    assert await check.held() == check.challenge_id
    assert len(await check.phones()) == 1


async def test_a_learner_without_a_phone_is_asked_for_name_and_number(first: Check) -> None:
    page = await scan(first, MINE)
    assert isinstance(page, PhonePage) and page.screen == Screen.IDENTITY


async def test_another_browser_of_the_learner_is_offered_re_binding(check: Check) -> None:
    page = await scan(check, NEW)
    assert isinstance(page, PhonePage) and page.screen == Screen.REBIND
    assert await check.findings() == {}


async def test_the_present_and_the_former_code_open_older_ones_do_not(check: Check) -> None:
    await check.move(issued_ago=45_000, left=60_000)
    codes = [code_for(check.services.keys, check.challenge_id, rotation) for rotation in range(4)]
    opened = [await open_code(check.services, code, MINE) for code in codes]
    assert opened[0] == Answer.STALE
    assert isinstance(opened[1], PhonePage) and isinstance(opened[2], PhonePage)
    assert opened[3] == Answer.STALE, "a code that was made before its time"
    assert await check.audited() == ["stale", "stale"]


async def test_a_page_opened_in_time_confirms_although_the_code_turned_meanwhile(check: Check) -> None:
    page = await scan(check, MINE)
    await check.move(issued_ago=110_000, left=10_000)
    assert isinstance(page, PhonePage)
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.CONFIRMED


async def test_a_code_after_the_deadline_or_after_the_answer_says_so(check: Check) -> None:
    code = await current_code(check.services, check.pupil.person_id, check.challenge_id) or ""
    await check.move(left=-1)
    assert await open_code(check.services, code, MINE) == Answer.LATE
    await check.move(left=60_000)
    await confirm(check.services, check.challenge_id, MINE)
    assert await open_code(check.services, code, MINE) == Answer.ALREADY_CONFIRMED


async def test_guessed_codes_are_unknown_and_written_down_if_they_name_a_challenge(check: Check) -> None:
    for guess in ("", "x", f"{check.challenge_id}.0.{'0' * 24}", "nobody.0.000000000000000000000000"):
        assert await open_code(check.services, guess, MINE) == Answer.UNKNOWN
    genuine_but_absent = code_for(check.services.keys, "nobody", 0)
    assert await open_code(check.services, genuine_but_absent, MINE) == Answer.UNKNOWN
    assert await check.audited() == ["unknown"]
    for number in range(2 * FORGED_WRITTEN):
        assert await open_code(check.services, f"{check.challenge_id}.{number}", MINE) == Answer.UNKNOWN
    assert len(await check.audited()) == FORGED_WRITTEN, "one who guesses on must not fill the audit"
    assert await check.held() == check.challenge_id


async def test_another_learners_code_is_refused_by_my_phone_and_recorded(check: Check, room: Class) -> None:
    other = await hold(room)
    assert await scan(other, MINE) == Answer.WRONG_PHONE
    assert await other.findings() == {"wrong_phone": 1}
    assert await check.findings() == {}


async def test_a_computer_that_is_logged_in_gets_no_page_and_is_recorded(check: Check) -> None:
    desktop = computer_browser("a cookie", login_person_id=check.pupil.person_id)
    assert await scan(check, desktop) == Answer.COMPUTER
    assert await check.findings() == {"wrong_phone": 1}


async def test_a_phone_logged_in_as_somebody_else_gets_no_page(check: Check, room: Class) -> None:
    stranger = (await hold(room)).pupil.person_id
    assert await scan(check, phone_browser("a cookie", login_person_id=stranger)) == Answer.WRONG_LEARNER


# Binding


async def test_name_and_number_bind_the_phone_and_answer_the_check(first: Check) -> None:
    typed = " 320102 19900307 7896 "
    assert await bind(first.services, first.challenge_id, MINE, " 欧阳 小明", typed) == Answer.CONFIRMED
    row, phones = await first.row(), await first.phones()
    assert (row.outcome, row.phone_id) == ("answered", phones[0].id)
    assert phones[0].credential_hash != MINE.credential
    assert await first.held() is None
    assert await first.findings() == {}


async def test_a_wrong_name_or_number_binds_nothing(first: Check) -> None:
    for name, number in (("欧阳小红", NUMBER), (NAME, OTHER_NUMBER), ("", ""), (NAME, "")):
        assert await bind(first.services, first.challenge_id, MINE, name, number) == Answer.MISMATCH
    assert await first.phones() == []
    assert await first.held() == first.challenge_id
    assert await first.audited() == ["mismatch"] * 4


async def test_binding_late_binds_nothing(first: Check) -> None:
    await first.move(left=-1)
    assert await bind(first.services, first.challenge_id, MINE, NAME, NUMBER) == Answer.LATE
    assert await first.phones() == []
    assert await first.held() == first.challenge_id


async def test_a_binding_whose_answer_was_lost_is_repeated_without_harm(first: Check) -> None:
    await bind(first.services, first.challenge_id, MINE, NAME, NUMBER)
    assert await bind(first.services, first.challenge_id, MINE, NAME, NUMBER) == Answer.ALREADY_CONFIRMED
    assert len(await first.phones()) == 1


async def test_of_four_phones_binding_at_once_one_wins(first: Check, nodes: tuple[Services, Services]) -> None:
    browsers = [phone_browser(f"phone {number}") for number in range(4)]
    answers = await asyncio.gather(
        *(bind(nodes[turn % 2], first.challenge_id, each, NAME, NUMBER) for turn, each in enumerate(browsers))
    )
    assert Counter(answers) == {Answer.CONFIRMED: 1, Answer.ALREADY_CONFIRMED: 3}
    assert len(await first.phones()) == 1


async def test_a_guesser_is_turned_away_and_the_learner_elsewhere_is_not(first: Check) -> None:
    for _ in range(40):
        await count_attempt(first.services, "phone", f"person:{first.pupil.person_id}", GUESSER.address)
    assert await bind(first.services, first.challenge_id, GUESSER, NAME, NUMBER) == Answer.TOO_MANY
    assert await first.phones() == []
    assert await bind(first.services, first.challenge_id, MINE, NAME, NUMBER) == Answer.CONFIRMED


async def test_a_second_learner_with_the_same_phone_is_refused_and_recorded_on_both(
    check: Check, room: Class
) -> None:
    other = await hold(room, "identity", name="李雷", number=OTHER_NUMBER)
    assert await bind(room.services, other.challenge_id, MINE, "李雷", OTHER_NUMBER) == Answer.PHONE_REUSED
    assert await owner_of(room.services, MINE.credential) == [check.pupil.person_id]
    assert await other.held() == other.challenge_id
    assert await other.findings() == {"phone_reused": 1}
    assert await check.findings() == {"phone_reused": 1}


async def test_one_phone_binding_for_two_learners_in_the_same_instant_gets_one(
    room: Class, nodes: tuple[Services, Services]
) -> None:
    for turn in range(5):
        numbers = [f"32010219900307{turn}{which}01" for which in range(2)]
        checks = [await hold(room, "identity", number=number) for number in numbers]
        browser = phone_browser(f"shared phone {turn}")
        answers = await asyncio.gather(
            *(
                bind(node, each.challenge_id, browser, NAME, number)
                for node, each, number in zip(nodes, checks, numbers, strict=True)
            )
        )
        assert Counter(answers) == {Answer.CONFIRMED: 1, Answer.PHONE_REUSED: 1}
        assert len(await owner_of(room.services, browser.credential)) == 1
        assert [await each.findings() for each in checks] == [{"phone_reused": 1}] * 2


async def test_a_learner_with_a_phone_cannot_bind_another_by_name_and_number_alone(check: Check) -> None:
    assert await bind(check.services, check.challenge_id, NEW, NAME, NUMBER) == Answer.NOT_ENROLLED
    assert await owner_of(check.services, NEW.credential) == []


async def test_binding_is_refused_where_the_learner_is_logged_in_on_a_computer(first: Check) -> None:
    desktop = computer_browser("a cookie", login_person_id=first.pupil.person_id)
    assert await bind(first.services, first.challenge_id, desktop, NAME, NUMBER) == Answer.COMPUTER
    assert await first.phones() == []
    assert await first.findings() == {"wrong_phone": 1}


async def test_a_learner_who_watches_on_the_phone_binds_that_phone(first: Check) -> None:
    playing = phone_browser("my phone", login_person_id=first.pupil.person_id)
    page = await scan(first, playing)
    assert isinstance(page, PhonePage) and page.screen == Screen.IDENTITY
    assert await bind(first.services, first.challenge_id, playing, NAME, NUMBER) == Answer.CONFIRMED
    assert (await first.row()).same_device is True


# Re-binding


async def test_re_binding_revokes_the_old_phone_and_leaves_the_confirmation_to_do(check: Check) -> None:
    assert await rebind(check.services, check.challenge_id, NEW, NAME, NUMBER, PASSWORD) == Answer.BOUND
    assert (await check.row()).outcome is None
    assert await check.held() == check.challenge_id
    assert await owner_of(check.services, MINE.credential) == []
    assert await check.findings() == {"phone_rebound": 1}
    page = await show_again(check.services, check.challenge_id, NEW)
    assert isinstance(page, PhonePage) and page.screen == Screen.CONFIRM
    assert await confirm(check.services, check.challenge_id, MINE) == Answer.NOT_ENROLLED
    assert await confirm(check.services, check.challenge_id, NEW) == Answer.CONFIRMED
    assert await check.audited() == ["bound", "not_enrolled", "confirmed"]


async def test_re_binding_twice_is_re_binding_once(check: Check) -> None:
    for _ in range(2):
        assert await rebind(check.services, check.challenge_id, NEW, NAME, NUMBER, PASSWORD) == Answer.BOUND
    assert len(await check.phones()) == 2
    assert await check.findings() == {"phone_rebound": 1}


async def test_re_binding_needs_name_number_and_password(check: Check) -> None:
    for typed in (("李雷", NUMBER, PASSWORD), (NAME, OTHER_NUMBER, PASSWORD), (NAME, NUMBER, "wrong")):
        assert await rebind(check.services, check.challenge_id, NEW, *typed) == Answer.MISMATCH
    assert await owner_of(check.services, MINE.credential) == [check.pupil.person_id]


async def test_re_binding_still_works_after_the_window_and_the_next_code_finds_the_phone(check: Check) -> None:
    await check.move(left=-1)
    assert await rebind(check.services, check.challenge_id, NEW, NAME, NUMBER, PASSWORD) == Answer.BOUND
    assert await show_again(check.services, check.challenge_id, NEW) == Answer.LATE
    await renew(check.services, check.pupil.person_id, check.challenge_id)
    assert await confirm(check.services, await check.held() or "", NEW) == Answer.CONFIRMED


async def test_an_old_page_cannot_re_bind_once_its_challenge_is_over(check: Check) -> None:
    await confirm(check.services, check.challenge_id, MINE)
    answer = await rebind(check.services, check.challenge_id, NEW, NAME, NUMBER, PASSWORD)
    assert answer == Answer.ALREADY_CONFIRMED
    assert await owner_of(check.services, MINE.credential) == [check.pupil.person_id]


async def test_a_phone_of_another_learner_cannot_be_re_bound(check: Check, room: Class) -> None:
    other = await hold(room)
    theirs = phone_browser("their phone")
    await other.enrol(theirs)
    answer = await rebind(check.services, check.challenge_id, theirs, NAME, NUMBER, PASSWORD)
    assert answer == Answer.PHONE_REUSED
    assert await owner_of(check.services, theirs.credential) == [other.pupil.person_id]
    assert (await check.findings(), await other.findings()) == ({"phone_reused": 1}, {"phone_reused": 1})


async def test_a_phone_that_was_given_up_may_be_handed_on_but_not_unseen(check: Check, room: Class) -> None:
    async with room.services.db.write() as conn:
        await revoke_phone(conn, check.pupil.person_id, 2_000)
    other = await hold(room, "identity", name="李雷", number=OTHER_NUMBER)
    assert await bind(room.services, other.challenge_id, MINE, "李雷", OTHER_NUMBER) == Answer.CONFIRMED
    assert (await check.findings(), await other.findings()) == ({"phone_reused": 1}, {"phone_reused": 1})
