"""The doors of identity, over HTTP, as a browser uses them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from player_server.auth.log_in import account_key
from player_server.auth.login_sessions import hash_token
from player_server.auth.throttle import FIRST_MS, FREE_PAIR, count_attempt
from player_server.learning.services import Services
from player_server.storage.tables import login_session, phone
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Visitor,
    add_someone,
    add_staff,
    browsers,
    id_number,
)
from tests.support.services import close_services, make_services


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def learner_page(visitor: Visitor) -> int:
    return (await visitor.get("/")).status


async def test_a_learner_logs_in_and_out(services: Services, visitor: Visitor) -> None:
    someone = await add_someone(services)
    answer = await visitor.get("/")
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/")
    answer = await visitor.log_in(someone)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert await learner_page(visitor) == 200
    answer = await visitor.get("/login?next=/me")
    assert (answer.status, answer.headers["Location"]) == (303, "/me")

    kept = visitor.cookie()
    assert kept is not None
    answer = await visitor.post("/logout", {}, page="/")
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    assert visitor.cookie() is None
    visitor.set_cookie("xueshi", kept)
    assert await learner_page(visitor) == 303, "the old cookie is worth nothing"


@pytest.mark.parametrize("institutions", [1, 2])
async def test_with_an_initial_secret_only_the_password_page_opens(
    services: Services, visitor: Visitor, institutions: int
) -> None:
    someone = await add_someone(services, password=None, initial=True, institutions=institutions)
    answer = await visitor.log_in(someone, someone.initial, next_path="/courses/1")
    assert (answer.status, answer.headers["Location"]) == (303, "/password?next=%2Fcourses%2F1")
    for page in ("/", "/login/account"):
        answer = await visitor.get(page)
        assert answer.status == 303 and answer.headers["Location"].startswith("/password")
    assert (await visitor.get("/api/v1/me")).status == 401
    chosen = {"learner": str(someone.learner_ids[0]), "csrf": await visitor.token("/password")}
    answer = await visitor.client.post("/login/account", data=chosen, allow_redirects=False)
    assert answer.headers["Location"] == "/password"
    assert await learner_page(visitor) == 303

    page = await (await visitor.get("/password")).text()
    assert 'name="current"' not in page
    before = visitor.cookie()
    answer = await visitor.post("/password", {"new": PASSWORD, "repeat": PASSWORD, "next": "/courses/1"})
    assert visitor.cookie() != before
    if institutions == 2:
        assert answer.headers["Location"] == "/login/account?next=%2Fcourses%2F1"
        answer = await visitor.post(
            "/login/account", {"learner": str(someone.learner_ids[1]), "next": "/courses/1"}
        )
    assert answer.headers["Location"] == "/courses/1"
    assert await learner_page(visitor) == 200


async def test_unknown_and_wrong_look_the_same_to_the_last_byte(services: Services) -> None:
    someone = await add_someone(services)
    async with browsers(services, 2) as (one, two):
        wrong = await one.log_in(someone, OTHER_PASSWORD)
        unknown = await two.post("/login", {"id_number": id_number(99), "password": OTHER_PASSWORD, "next": "/"})
        texts = [
            (await answer.text()).replace(number, "").replace(await visitor.token("/login"), "")
            for answer, visitor, number in ((wrong, one, someone.number), (unknown, two, id_number(99)))
        ]
    assert wrong.status == unknown.status == 422
    assert texts[0] == texts[1]
    assert "身份证号或密码不正确" in texts[0]
    assert {*wrong.headers} == {*unknown.headers}


async def test_guesses_at_the_door_are_slowed_down_and_then_turned_away(
    services: Services, visitor: Visitor
) -> None:
    someone = await add_someone(services)
    account = account_key(services, someone.number)
    # So many that the wait cannot be taken for a slow machine.
    for _ in range(FREE_PAIR + 2):
        await count_attempt(services, "log_in", account, "127.0.0.1")
    began = time.monotonic()
    assert (await visitor.log_in(someone, OTHER_PASSWORD)).status == 422
    assert time.monotonic() - began >= 4 * FIRST_MS / 1000
    while not (await count_attempt(services, "log_in", account, "127.0.0.1")).full:
        pass
    answer = await visitor.log_in(someone)
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0
    assert await learner_page(visitor) == 303


async def test_a_mistyped_number_is_explained_without_asking_the_database(
    services: Services, visitor: Visitor
) -> None:
    answer = await visitor.post("/login", {"id_number": "123", "password": "x"})
    text = await answer.text()
    assert answer.status == 422
    assert "身份证号应为 18 位" in text and 'aria-invalid="true"' in text
    async with services.db.read() as conn:
        assert (await conn.execute(select(login_session))).all() == []


async def test_the_cookie_is_new_at_each_log_in_and_a_planted_one_is_not_taken(
    services: Services, visitor: Visitor
) -> None:
    someone = await add_someone(services)
    visitor.set_cookie("xueshi", "planted-by-somebody")
    await visitor.log_in(someone)
    first = visitor.cookie()
    assert first not in (None, "planted-by-somebody")
    assert (
        await visitor.post("/password", {"current": PASSWORD, "new": OTHER_PASSWORD, "repeat": OTHER_PASSWORD})
    ).status == 303
    assert visitor.cookie() not in (None, first)
    visitor.set_cookie("xueshi", first or "")
    assert await learner_page(visitor) == 303


async def test_the_cookie_is_hidden_from_scripts_and_other_sites(services: Services, visitor: Visitor) -> None:
    answer = await visitor.log_in(await add_someone(services))
    cookie = answer.cookies["xueshi"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert not cookie["domain"] and not cookie["max-age"]


async def test_on_https_every_cookie_is_bound_to_the_host(sqlite_url: str, valkey_url: str, tmp_path: Path) -> None:
    server = {"insecure_http": False, "public_url": "https://xueshi.example.org"}
    services = await make_services(sqlite_url, valkey_url, tmp_path, server=server)
    async with browsers(services) as [visitor]:
        answer = await visitor.get("/login")
        cookie = answer.cookies["__Host-xueshi_visitor"]
        assert cookie["secure"] and cookie["httponly"] and cookie["path"] == "/" and not cookie["domain"]
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        assert "wss://xueshi.example.org" in answer.headers["Content-Security-Policy"]
        # Over plain http the client does not send a Secure cookie back, so it is handed over by hand.
        fields = {"lang": "en", "csrf": services.keys.mac("csrf", cookie.value)}
        headers = {"Cookie": f"__Host-xueshi_visitor={cookie.value}"}
        for origin, status in (("https://xueshi.example.org", 303), (f"http://127.0.0.1:{answer.url.port}", 403)):
            own = headers | {"Origin": origin}
            assert (
                await visitor.client.post("/language", data=fields, headers=own, allow_redirects=False)
            ).status == status
    await close_services(services)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "me",
        "",
    ],
)
async def test_after_log_in_nobody_is_sent_to_another_site(
    services: Services, visitor: Visitor, target: str
) -> None:
    answer = await visitor.log_in(await add_someone(services), next_path=target)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_a_form_without_our_token_or_from_another_site_is_refused(
    services: Services, visitor: Visitor
) -> None:
    someone = await add_someone(services)
    fields = {"id_number": someone.number, "password": PASSWORD}
    own = f"http://127.0.0.1:{visitor.client.port}"
    token = await visitor.token("/login")
    async with browsers(services) as [other]:
        foreign_token = await other.token("/login")
    refused: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 64}, {}),
        ({"csrf": foreign_token}, {}),
        ({"csrf": token}, {"Origin": "https://evil.example"}),
        ({"csrf": token}, {"Origin": "null"}),
        ({"csrf": token}, {"Origin": own + ".evil.example"}),
        ({"csrf": token}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": token}, {"Sec-Fetch-Site": "same-site", "Origin": own}),
    ]
    for extra, headers in refused:
        answer = await visitor.client.post("/login", data=fields | extra, headers=headers, allow_redirects=False)
        assert answer.status == 403, (extra, headers)
        assert "页面已过期" in await answer.text()
        assert visitor.cookie() is None
    answer = await visitor.client.post(
        "/login",
        data=fields | {"csrf": token},
        headers={"Origin": own, "Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
    )
    assert answer.status == 303


async def test_the_token_of_before_the_log_in_is_worthless_after_it(services: Services, visitor: Visitor) -> None:
    before = await visitor.token("/login")
    await visitor.log_in(await add_someone(services))
    answer = await visitor.client.post("/logout", data={"csrf": before}, allow_redirects=False)
    assert answer.status == 403
    assert await learner_page(visitor) == 200


async def test_a_fetch_needs_the_token_in_its_header(services: Services, visitor: Visitor) -> None:
    await visitor.log_in(await add_someone(services))
    token = await visitor.token("/")
    for headers, status in (({}, 403), ({"X-CSRF-Token": "x"}, 403), ({"X-CSRF-Token": token}, 200)):
        answer = await visitor.client.post("/api/v1/change", json={}, headers=headers)
        assert answer.status == status
        if status == 403:
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["code"] == "csrf"
        else:
            assert (await answer.json())["csrf"] == token


async def test_nothing_changes_by_get(services: Services, visitor: Visitor) -> None:
    await visitor.log_in(await add_someone(services))
    assert (await visitor.get("/logout")).status == 405
    assert (await visitor.get("/staff/logout")).status == 405
    assert (await visitor.get("/language?lang=en")).status == 405
    for page in (
        "/login?id_number=1&password=2",
        "/password?new=a&repeat=a",
        "/forgot?name=1",
        "/login/account?learner=1",
    ):
        await visitor.get(page)
    assert await learner_page(visitor) == 200


async def test_somebody_elses_account_cannot_be_chosen(services: Services, visitor: Visitor) -> None:
    someone = await add_someone(services, 1, institutions=2)
    stranger = await add_someone(services, 2)
    answer = await visitor.log_in(someone)
    assert answer.headers["Location"] == "/login/account"
    assert (await visitor.get("/")).headers["Location"] == "/login/account"
    for chosen in (str(stranger.learner_ids[0]), "999999", "", "x", "9" * 30, "²"):
        answer = await visitor.post("/login/account", {"learner": chosen})
        assert answer.status == 422
    assert await learner_page(visitor) == 303


async def test_changing_the_password_asks_for_the_present_one_and_logs_out_everywhere_else(
    services: Services,
) -> None:
    someone = await add_someone(services)
    async with browsers(services, 2) as (here, there):
        await here.log_in(someone)
        await there.log_in(someone)
        new = {"new": OTHER_PASSWORD, "repeat": OTHER_PASSWORD}
        answer = await here.post("/password", {"current": "wrong", **new})
        assert answer.status == 422 and "现在的密码不正确" in await answer.text()
        answer = await here.post("/password", {"current": PASSWORD, "new": OTHER_PASSWORD, "repeat": "other"})
        assert answer.status == 422 and "两次输入的新密码不一样" in await answer.text()
        assert (await here.post("/password", {"current": PASSWORD, **new})).status == 303
        assert await learner_page(here) == 200
        assert await learner_page(there) == 303


async def test_a_forgotten_password_is_set_anew_on_the_enrolled_phone_only(services: Services) -> None:
    someone = await add_someone(services)
    async with services.db.write() as conn:
        row = {
            "person_id": someone.person_id,
            "credential_hash": hash_token("secret-of-the-phone"),
            "enrolled_at": 1,
        }
        await conn.execute(phone.insert().values(row))
    fields = {"name": someone.name, "id_number": someone.number, "new": OTHER_PASSWORD, "repeat": OTHER_PASSWORD}
    async with browsers(services, 2) as (desktop, mobile):
        assert 'name="new"' not in await (await desktop.get("/forgot")).text()
        assert (await desktop.post("/forgot", fields)).status == 422
        mobile.set_cookie("xueshi_phone", "secret-of-the-phone")
        answer = await mobile.post("/forgot", fields | {"name": "李四"})
        assert answer.status == 422 and "无法确认是您本人" in await answer.text()
        assert (await mobile.post("/forgot", fields)).status == 200
        assert (await desktop.log_in(someone, PASSWORD)).status == 422
        assert (await desktop.log_in(someone, OTHER_PASSWORD)).status == 303


async def test_staff_have_a_door_of_their_own(services: Services, visitor: Visitor) -> None:
    staff_id, institution_id = await add_staff(services)
    answer = await visitor.get("/staff")
    assert answer.headers["Location"] == "/staff/login?next=/staff"
    answer = await visitor.post("/staff/login", {"username": "office", "password": OTHER_PASSWORD})
    assert answer.status == 422 and "用户名或密码不正确" in await answer.text()
    answer = await visitor.post(
        "/staff/login", {"username": "office", "password": PASSWORD, "next": "//evil.example"}
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/staff")
    assert await (await visitor.get("/staff")).text() == f"staff {staff_id} of {institution_id}"
    assert await learner_page(visitor) == 303
    answer = await visitor.post("/staff/logout", {}, page="/login")
    assert (answer.status, answer.headers["Location"]) == (303, "/staff/login")
    assert (await visitor.get("/staff")).status == 303


async def test_an_expired_log_in_leads_to_the_log_in_and_its_form_works(
    services: Services, visitor: Visitor
) -> None:
    someone = await add_someone(services)
    await visitor.log_in(someone)
    async with services.db.write() as conn:
        await conn.execute(update(login_session).values(expires_at=0))
    assert (await visitor.get("/")).headers["Location"] == "/login?next=/"
    answer = await visitor.get("/api/v1/me")
    assert answer.status == 401 and (await answer.json())["code"] == "not_logged_in"
    assert (await visitor.log_in(someone)).status == 303
    assert await learner_page(visitor) == 200


async def test_what_was_typed_comes_back_escaped(visitor: Visitor) -> None:
    nasty = '"><script>alert(1)</script>'
    answer = await visitor.post("/login", {"id_number": nasty, "password": nasty, "next": nasty})
    text = await answer.text()
    assert "<script>alert" not in text and "&lt;script&gt;" in text
