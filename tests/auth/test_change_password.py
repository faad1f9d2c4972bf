"""New passwords: chosen, forgotten, issued. On both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, insert, select

from player_server.auth.change_password import Rejected, change_password, set_password
from player_server.auth.forgotten import OpenedElsewhere, issue_initial_secret, reset_by_phone
from player_server.auth.log_in import LoggedIn, Refused
from player_server.auth.login_sessions import LearnerLogin, find_learner, hash_token
from player_server.auth.passwords import hash_password
from player_server.learning.services import Services
from player_server.storage.tables import learner, login_session, person, phone
from tests.auth.test_log_in import enter, entered, play, player
from tests.support.identity import (
    BROWSER,
    OTHER_PASSWORD,
    PASSWORD,
    Someone,
    add_someone,
    add_staff,
    an_attempt,
    audit_rows,
)
from tests.support.school import add_learner


async def login_of(services: Services, result: LoggedIn) -> LearnerLogin:
    login = await find_learner(services, result.token)
    assert login is not None
    return login


async def change(services: Services, login: LearnerLogin, current: str, new: str) -> LoggedIn | Rejected:
    return await change_password(services, login, current, new, BROWSER, await an_attempt(services))


async def enrol_phone(services: Services, person_id: int, credential: str, revoked_at: int | None = None) -> None:
    async with services.db.write() as conn:
        await conn.execute(
            insert(phone).values(
                person_id=person_id, credential_hash=hash_token(credential), enrolled_at=1, revoked_at=revoked_at
            )
        )


async def test_the_first_password_replaces_the_initial_secret_for_good(services: Services) -> None:
    someone = await add_someone(services, password=None, initial=True)
    first = await entered(services, someone, someone.initial)
    result = await change(services, await login_of(services, first), "", PASSWORD)
    assert isinstance(result, LoggedIn) and result.way == "signed_in" and result.token != first.token
    assert not (await login_of(services, result)).must_change
    assert await find_learner(services, first.token) is None
    assert await enter(services, someone.number, someone.initial or "") == Refused("wrong")
    assert (await entered(services, someone, PASSWORD)).way == "signed_in"


async def test_a_change_ends_every_other_log_in_and_the_live_player(services: Services) -> None:
    someone = await add_someone(services)
    here, there = await entered(services, someone), await entered(services, someone)
    await play(services, someone.person_id, there.token)
    result = await change(services, await login_of(services, here), PASSWORD, OTHER_PASSWORD)
    assert isinstance(result, LoggedIn)
    assert await find_learner(services, here.token) is None
    assert await find_learner(services, there.token) is None
    assert await find_learner(services, result.token) is not None
    assert await player(services, someone.person_id) == (6, "signed_out", 33_000)
    assert await enter(services, someone.number, PASSWORD) == Refused("wrong")


@pytest.mark.parametrize(
    ("current", "new", "reason"),
    [
        (OTHER_PASSWORD, "Kx93!mZqq", "wrong_current"),
        ("", "Kx93!mZqq", "wrong_current"),
        (PASSWORD, PASSWORD, "same"),
        (PASSWORD, "short", "short"),
        (PASSWORD, "zhang19900307", "id_number"),
        (PASSWORD, "password123", "common"),
    ],
)
async def test_a_rejected_change_changes_nothing(services: Services, current: str, new: str, reason: str) -> None:
    someone = await add_someone(services)
    first = await entered(services, someone)
    assert await change(services, await login_of(services, first), current, new) == Rejected(reason)  # type: ignore[arg-type]
    assert await find_learner(services, first.token) is not None
    assert isinstance(await enter(services, someone.number, PASSWORD), LoggedIn)
    assert ("change_password", reason) in await audit_rows(services)


async def test_the_initial_secret_itself_cannot_become_the_password(services: Services) -> None:
    someone = await add_someone(services, password=None, initial=True)
    login = await login_of(services, await entered(services, someone, someone.initial))
    assert await change(services, login, "", (someone.initial or "").lower()) == Rejected("same")


async def test_a_log_in_that_ended_meanwhile_changes_nothing(services: Services) -> None:
    someone = await add_someone(services)
    here, there = await entered(services, someone), await entered(services, someone)
    stale = await login_of(services, there)
    assert isinstance(await change(services, await login_of(services, here), PASSWORD, OTHER_PASSWORD), LoggedIn)
    assert await change(services, stale, OTHER_PASSWORD, "Kx93!mZqq") == Rejected("ended")
    assert isinstance(await enter(services, someone.number, OTHER_PASSWORD), LoggedIn)


async def test_of_two_changes_at_the_same_time_one_goes_through(services: Services) -> None:
    someone = await add_someone(services)
    logins = [await login_of(services, await entered(services, someone)) for _ in range(2)]
    new = [OTHER_PASSWORD, "Kx93!mZqq"]
    results = await asyncio.gather(
        *(change(services, login, PASSWORD, word) for login, word in zip(logins, new, strict=True))
    )
    won = [isinstance(result, LoggedIn) for result in results]
    assert sorted(won) == [False, True]
    assert isinstance(await enter(services, someone.number, new[won.index(True)]), LoggedIn)
    assert await enter(services, someone.number, new[won.index(False)]) == Refused("wrong")


async def test_a_log_in_with_the_old_password_cannot_slip_past_a_change(services: Services) -> None:
    someone = await add_someone(services)
    new_hash = await hash_password(OTHER_PASSWORD)
    async with services.db.write() as conn:
        await set_password(services, conn, someone.person_id, new_hash)
        # It finds the old password right, and then has to wait for this transaction.
        late = asyncio.create_task(enter(services, someone.number, PASSWORD))
        done, _pending = await asyncio.wait({late}, timeout=1.0)
        assert not done
    assert await late == Refused("wrong")
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(login_session)) == 0


async def reset(services: Services, someone: Someone, credential: str | None, **other: str) -> str:
    typed = {"name": someone.name, "id_number": someone.number, "new": OTHER_PASSWORD} | other
    return await reset_by_phone(
        services, credential, typed["name"], typed["id_number"], typed["new"], BROWSER, await an_attempt(services)
    )


async def test_the_enrolled_phone_sets_a_forgotten_password_and_ends_everything(services: Services) -> None:
    someone = await add_someone(services)
    await enrol_phone(services, someone.person_id, "mine")
    old = await entered(services, someone)
    await play(services, someone.person_id, old.token)
    assert await reset(services, someone, "mine", name=" 张 三丰 ") == "ok"
    assert await find_learner(services, old.token) is None
    assert (await player(services, someone.person_id))[1] == "signed_out"
    assert isinstance(await enter(services, someone.number, OTHER_PASSWORD), LoggedIn)


async def test_no_other_phone_name_or_number_can(services: Services) -> None:
    someone, stranger = await add_someone(services, 1), await add_someone(services, 2)
    await enrol_phone(services, someone.person_id, "old", revoked_at=2)
    await enrol_phone(services, someone.person_id, "mine")
    await enrol_phone(services, stranger.person_id, "theirs")
    for credential in (None, "", "old", "theirs", "guessed"):
        assert await reset(services, someone, credential) == "refused"
    assert await reset(services, someone, "mine", name="李四") == "refused"
    assert await reset(services, someone, "mine", id_number=stranger.number) == "refused"
    assert await reset(services, someone, "mine", new="password") == "common"
    assert isinstance(await enter(services, someone.number, PASSWORD), LoggedIn)


async def test_a_code_of_the_own_institution_lets_choose_a_new_password(services: Services) -> None:
    someone = await add_someone(services)
    staff_id, elsewhere = await add_staff(services)
    async with services.db.read() as conn:
        own = await conn.scalar(select(learner.c.institution_id).where(learner.c.id == someone.learner_ids[0]))
    assert own is not None

    async def issue(institution_id: int, learner_id: int) -> str | None:
        return await issue_initial_secret(
            services,
            staff_id=staff_id,
            institution_id=institution_id,
            learner_id=learner_id,
            address=BROWSER.address,
        )

    assert await issue(elsewhere, someone.learner_ids[0]) is None
    assert await issue(elsewhere, 10**9) is None
    code = await issue(own, someone.learner_ids[0])
    assert code is not None
    assert isinstance(await enter(services, someone.number, PASSWORD), LoggedIn), "nobody is locked out by a code"
    pending = await login_of(services, await entered(services, someone, code))

    newer = await issue(own, someone.learner_ids[0])
    assert newer is not None
    assert await change(services, pending, "", OTHER_PASSWORD) == Rejected("ended")
    assert await enter(services, someone.number, code) == Refused("wrong")
    login = await login_of(services, await entered(services, someone, newer))
    assert isinstance(await change(services, login, "", OTHER_PASSWORD), LoggedIn)
    assert await enter(services, someone.number, PASSWORD) == Refused("wrong")


async def test_a_later_institution_cannot_let_itself_in_to_the_first_one_s_account(services: Services) -> None:
    someone = await add_someone(services)
    staff_id, elsewhere = await add_staff(services)
    later = await add_learner(services, elsewhere, person_id=someone.person_id)
    with pytest.raises(OpenedElsewhere):
        await issue_initial_secret(
            services,
            staff_id=staff_id,
            institution_id=elsewhere,
            learner_id=later.learner_id,
            address=BROWSER.address,
        )
    async with services.db.read() as conn:
        assert await conn.scalar(select(person.c.initial_hash).where(person.c.id == someone.person_id)) is None
