"""Logging in and out, on both databases."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, insert, select, text, update

from player_server.auth.log_in import LoggedIn, Refused, choose_account, list_accounts, log_in
from player_server.auth.log_out import log_out
from player_server.auth.login_sessions import Client, find_learner, find_staff, hash_token
from player_server.auth.staff_log_in import log_in_staff
from player_server.learning.findings import record_finding
from player_server.learning.services import Services
from player_server.learning.watch import lock_playback
from player_server.storage.tables import learner, login_session, person, playback, staff
from telemetry.findings import FindingKind
from tests.support.identity import (
    BROWSER,
    OTHER_PASSWORD,
    PASSWORD,
    Someone,
    add_someone,
    add_staff,
    an_attempt,
    audit_rows,
    id_number,
)
from tests.support.processes import until


async def enter(services: Services, number: str, secret: str, token: str | None = None) -> LoggedIn | Refused:
    client = Client(BROWSER.address, BROWSER.device, token)
    return await log_in(services, number, secret, client, await an_attempt(services, number))


async def entered(services: Services, someone: Someone, secret: str | None = None) -> LoggedIn:
    result = await enter(services, someone.number, secret or someone.password or "")
    assert isinstance(result, LoggedIn)
    return result


async def play(services: Services, person_id: int, token: str) -> None:
    async with services.db.write() as conn:
        await conn.execute(
            insert(playback).values(
                person_id=person_id,
                epoch=5,
                login_hash=hash_token(token),
                frontier_ms=33_000,
                position_ms=33_000,
                carry_ms=0,
                playing=True,
                challenge_sequence=0,
            )
        )


async def player(services: Services, person_id: int) -> tuple[int, str | None, int]:
    async with services.db.read() as conn:
        row = (await conn.execute(select(playback).where(playback.c.person_id == person_id))).one()
    return row.epoch, row.ended_reason, row.frontier_ms


async def test_a_password_opens_the_account_and_only_the_hash_of_the_cookie_is_kept(services: Services) -> None:
    someone = await add_someone(services)
    result = await entered(services, someone)
    assert result.way == "signed_in"
    login = await find_learner(services, result.token)
    assert login is not None and login.account is not None
    assert (login.person_id, login.account.learner_id) == (someone.person_id, someone.learner_ids[0])
    async with services.db.read() as conn:
        rows = (await conn.execute(select(login_session))).all()
    assert result.token not in str(rows)
    assert await audit_rows(services) == [("log_in", "signed_in")]


async def test_the_ways_to_type_number_and_password_all_open(services: Services) -> None:
    someone = await add_someone(services)
    assert isinstance(await enter(services, " " + someone.number.lower(), PASSWORD), LoggedIn)
    assert isinstance(await enter(services, someone.number, PASSWORD.replace("cloud", "ｃｌｏｕｄ")), LoggedIn)


async def test_unknown_wrong_and_never_set_give_the_same_refusal(services: Services) -> None:
    someone = await add_someone(services, 1)
    fresh = await add_someone(services, 2, password=None, initial=True)
    assert await enter(services, id_number(99), PASSWORD) == Refused("wrong")
    assert await enter(services, someone.number, OTHER_PASSWORD) == Refused("wrong")
    assert await enter(services, fresh.number, OTHER_PASSWORD) == Refused("wrong")
    assert await enter(services, fresh.number, "") == Refused("wrong")
    assert await audit_rows(services) == [("log_in", "wrong")] * 4


async def test_an_initial_secret_gives_a_log_in_that_must_change(services: Services) -> None:
    someone = await add_someone(services, password=None, initial=True)
    assert someone.initial is not None
    for typed in (someone.initial, someone.initial.lower().replace("-", " "), someone.initial.replace("-", "")):
        result = await entered(services, someone, typed)
        assert result.way == "must_change"
        login = await find_learner(services, result.token)
        assert login is not None and login.must_change


async def test_somebody_with_several_accounts_chooses_one_and_gets_a_new_cookie(services: Services) -> None:
    someone = await add_someone(services, 1, institutions=2)
    stranger = await add_someone(services, 2)
    first = await entered(services, someone)
    assert first.way == "choose_account"
    login = await find_learner(services, first.token)
    assert login is not None and login.account is None
    assert [account.learner_id for account in await list_accounts(services, login)] == list(someone.learner_ids)

    assert await choose_account(services, login, stranger.learner_ids[0], BROWSER) is None
    assert await choose_account(services, login, 10**9, BROWSER) is None
    second = await choose_account(services, login, someone.learner_ids[1], BROWSER)
    assert second is not None and second.token != first.token
    assert await find_learner(services, first.token) is None
    chosen = await find_learner(services, second.token)
    assert chosen is not None and chosen.account is not None
    assert chosen.account.learner_id == someone.learner_ids[1]


async def test_a_player_that_was_opened_before_the_account_was_changed_still_ends_with_the_log_out(
    services: Services,
) -> None:
    someone = await add_someone(services, institutions=2)
    first = await entered(services, someone)
    login = await find_learner(services, first.token)
    assert login is not None
    chosen = await choose_account(services, login, someone.learner_ids[0], BROWSER)
    assert chosen is not None
    await play(services, someone.person_id, chosen.token)
    login = await find_learner(services, chosen.token)
    assert login is not None
    other = await choose_account(services, login, someone.learner_ids[1], BROWSER)
    assert other is not None
    assert await player(services, someone.person_id) == (5, None, 33_000)
    await log_out(services, Client(BROWSER.address, BROWSER.device, other.token))
    assert await player(services, someone.person_id) == (6, "signed_out", 33_000)


async def test_a_log_in_that_must_change_cannot_choose_an_account(services: Services) -> None:
    someone = await add_someone(services, password=None, initial=True, institutions=2)
    result = await entered(services, someone, someone.initial)
    login = await find_learner(services, result.token)
    assert login is not None
    assert await choose_account(services, login, someone.learner_ids[0], BROWSER) is None


async def test_a_disabled_account_is_told_only_to_who_knows_the_password_and_its_log_in_is_worthless(
    services: Services,
) -> None:
    someone = await add_someone(services)
    result = await entered(services, someone)
    async with services.db.write() as conn:
        await conn.execute(update(learner).values(disabled_at=1))
    assert await find_learner(services, result.token) is None
    assert await enter(services, someone.number, OTHER_PASSWORD) == Refused("wrong")
    assert await enter(services, someone.number, PASSWORD) == Refused("no_account")


async def test_an_expired_log_in_is_worthless_and_swept_by_the_next_one(services: Services) -> None:
    someone = await add_someone(services)
    old = await entered(services, someone)
    async with services.db.write() as conn:
        await conn.execute(update(login_session).values(expires_at=(await services.clock.read(conn)).ms))
    assert await find_learner(services, old.token) is None
    await entered(services, someone)
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(login_session)) == 1


async def test_logging_out_ends_the_log_in_and_its_player_but_loses_nothing(services: Services) -> None:
    someone = await add_someone(services)
    result = await entered(services, someone)
    other = await entered(services, someone)
    await play(services, someone.person_id, result.token)
    await log_out(services, Client(BROWSER.address, BROWSER.device, other.token))
    assert await player(services, someone.person_id) == (5, None, 33_000)
    await log_out(services, Client(BROWSER.address, BROWSER.device, result.token))
    assert await find_learner(services, result.token) is None
    assert await player(services, someone.person_id) == (6, "signed_out", 33_000)
    await log_out(services, Client(BROWSER.address, BROWSER.device, result.token))
    assert await player(services, someone.person_id) == (6, "signed_out", 33_000)


async def test_a_new_log_in_in_the_same_browser_ends_the_former_one(services: Services) -> None:
    one, two = await add_someone(services, 1), await add_someone(services, 2)
    former = await entered(services, one)
    await play(services, one.person_id, former.token)
    assert isinstance(await enter(services, two.number, OTHER_PASSWORD, former.token), Refused)
    assert await find_learner(services, former.token) is not None
    assert isinstance(await enter(services, two.number, PASSWORD, former.token), LoggedIn)
    assert await find_learner(services, former.token) is None
    assert (await player(services, one.person_id))[1] == "signed_out"


async def test_staff_log_in_and_a_learners_cookie_is_none_of_staff(services: Services) -> None:
    staff_id, institution_id = await add_staff(services)
    someone = await add_someone(services)
    attempt = await an_attempt(services)
    result = await log_in_staff(services, " office ", PASSWORD, BROWSER, attempt)
    assert isinstance(result, LoggedIn)
    login = await find_staff(services, result.token)
    assert login is not None and (login.staff_id, login.institution_id) == (staff_id, institution_id)
    assert await find_learner(services, result.token) is None
    assert await find_staff(services, (await entered(services, someone)).token) is None
    assert await log_in_staff(services, "office", OTHER_PASSWORD, BROWSER, attempt) == Refused("wrong")
    assert await log_in_staff(services, "nobody", PASSWORD, BROWSER, attempt) == Refused("wrong")
    async with services.db.write() as conn:
        await conn.execute(update(staff).values(disabled_at=1))
    assert await find_staff(services, result.token) is None
    assert await log_in_staff(services, "office", PASSWORD, BROWSER, attempt) == Refused("wrong")


async def test_no_id_number_or_secret_stands_in_the_tables_in_the_clear(services: Services) -> None:
    someone = await add_someone(services, initial=True)
    await entered(services, someone)
    await enter(services, id_number(99), "a wrong secret")
    async with services.db.read() as conn:
        text = str([(await conn.execute(select(table))).all() for table in (person, login_session)])
        text += str(await audit_rows(services))
    for secret in (someone.number, id_number(99), PASSWORD, someone.initial or "", "a wrong secret"):
        assert secret not in text


async def test_a_log_in_that_waits_for_the_player_does_not_block_whoever_holds_it(services: Services) -> None:
    """The player's row is locked, as when a phone is bound, and what is written there refers to the person."""
    someone = await add_someone(services)
    former = await entered(services, someone)
    await play(services, someone.person_id, former.token)
    async with services.db.write() as conn:
        await lock_playback(conn, someone.person_id)
        again = asyncio.create_task(enter(services, someone.number, PASSWORD, former.token))

        async def waits() -> bool:
            if services.db.kind == "sqlite":
                return True
            async with services.db.read() as looking:
                query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                return bool(await looking.scalar(query))

        await until(waits)
        await record_finding(conn, FindingKind.PHONE_REUSED, source="test", person_id=someone.person_id, at=1)
    assert isinstance(await again, LoggedIn)


async def test_a_hello_that_is_under_way_does_not_survive_the_log_out(services: Services) -> None:
    """The page is about to play and has not committed yet; until then the row is as its last player left it."""
    someone = await add_someone(services)
    login = await entered(services, someone)
    await play(services, someone.person_id, login.token)
    async with services.db.write() as conn:
        await conn.execute(update(playback).values(ended_reason="bye"))
    async with services.db.write() as conn:
        await lock_playback(conn, someone.person_id)
        await conn.execute(update(playback).values(ended_reason=None))
        leaving = asyncio.create_task(log_out(services, Client(BROWSER.address, BROWSER.device, login.token)))
        await asyncio.wait([leaving], timeout=0.5)
    await leaving
    assert (await player(services, someone.person_id))[1] == "signed_out"
