"""The doors of a challenge, by HTTP: the phone's pages, and what the player page asks of its own challenge."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, web
from sqlalchemy import update

from player_server.auth.passwords import hash_password
from player_server.learning.challenges import current_code
from player_server.learning.services import Services
from player_server.pages import challenge, phone
from player_server.pages.language import read_catalogue
from player_server.storage.tables import person
from player_server.web import cookies
from tests.support import doors, school
from tests.support.checks import COMPUTER_AGENT, NAME, NUMBER, PHONE_AGENT, Check, Class, hold, open_class
from tests.support.checks import phone_browser as enrolled
from tests.support.services import close_services, make_services

ROUTES = [
    web.get("/challenges/{id}/qr.svg", challenge.qr),
    web.get("/challenges/{id}/link", challenge.link),
    web.post("/challenges/{id}/renew", challenge.renew),
    web.post("/challenges/{id}/tap", challenge.tap),
    web.post("/c/confirm", phone.confirm),
    web.post("/c/bind", phone.bind),
    web.post("/c/rebind", phone.rebind),
    web.get("/c/{token}", phone.open_code),
]
PASSWORD = "石桥-cloud-47"
_HIDDEN = re.compile(r'type="hidden" name="(csrf|form)" value="([^"]+)"')
_RESULT = re.compile(r'data-result="(\w+)"')


@dataclass
class Handset:
    """One browser, by its cookies and its User-Agent."""

    client: ClientSession
    agent: str
    fields: dict[str, str]

    async def get(self, path: str, method: str = "GET") -> ClientResponse:
        return await self.client.request(method, path, headers={"User-Agent": self.agent})

    async def scan(self, check: Check) -> ClientResponse:
        """Open the code of this moment; keeps the hidden fields of the page, as the browser does."""
        code = await current_code(check.services, check.pupil.person_id, check.challenge_id)
        response = await self.get(f"/c/{code}")
        self.fields = dict(_HIDDEN.findall((await response.text()).partition("<main")[2]))
        return response

    async def press(self, path: str, headers: dict[str, str] | None = None, **typed: str) -> ClientResponse:
        """Hand in the form of the page that was opened last."""
        sent = {"User-Agent": self.agent, **(headers or {})}
        return await self.client.post(path, data={**self.fields, **typed}, headers=sent)

    async def fetch(self, path: str, csrf: str) -> ClientResponse:
        """What a script of the player page does."""
        return await self.client.post(path, json={}, headers={"User-Agent": self.agent, "X-CSRF-Token": csrf})

    @property
    def credential(self) -> str | None:
        return next((morsel.value for morsel in self.client.cookie_jar if morsel.key == cookies.PHONE), None)


@dataclass
class Site:
    """The doors, and browsers in front of them."""

    services: Services
    room: Class
    stack: AsyncExitStack
    server: Any

    async def handset(self, pupil: school.Pupil | None = None, agent: str = PHONE_AGENT) -> Handset:
        opened = doors.browser_of(self.services, self.server, pupil)
        return Handset(await self.stack.enter_async_context(opened), agent, {})

    def give_phone_cookie(self, browser: Handset, owner: Handset) -> None:
        """What somebody does who can read cookies out of one browser and put them into another."""
        assert owner.credential is not None
        browser.client.cookie_jar.update_cookies({cookies.PHONE: owner.credential}, self.server.make_url("/"))

    async def csrf(self, browser: Handset) -> str:
        """The token that the player page carries: the one every page of this browser has."""
        page = await browser.get("/c/no-code")
        return doors.csrf_in(await page.text())


async def result_of(response: ClientResponse) -> str:
    """The word of the result page, or "" for any other page."""
    found = _RESULT.search(await response.text())
    return found.group(1) if found else ""


@pytest.fixture
def challenge_settings() -> dict[str, Any]:
    return {"show_link": True}


@pytest_asyncio.fixture
async def site(
    database_url: str, valkey_url: str, tmp_path: Path, challenge_settings: dict[str, Any]
) -> AsyncIterator[Site]:
    services = await make_services(database_url, valkey_url, tmp_path, challenges=challenge_settings)
    async with doors.open_doors(services, ROUTES) as server, AsyncExitStack() as stack:
        yield Site(services, await open_class(services), stack, server)
    await close_services(services)


@pytest_asyncio.fixture
async def first(site: Site) -> Check:
    """The identity check of a learner without a phone, who has a password."""
    check = await hold(site.room, "identity", number=NUMBER)
    async with site.services.db.write() as conn:
        values = {"password_hash": await hash_password(PASSWORD)}
        await conn.execute(update(person).where(person.c.id == check.pupil.person_id).values(values))
    return check


@pytest_asyncio.fixture
async def mine(site: Site, first: Check) -> Handset:
    """The phone that the learner of `first` has enrolled; the check was made an attendance check."""
    handset = await site.handset()
    await handset.scan(first)
    assert handset.credential is not None
    await first.enrol(enrolled(handset.credential))
    return handset


async def test_the_first_scan_binds_the_phone_by_name_and_number(site: Site, first: Check) -> None:
    handset = await site.handset()
    page = await handset.scan(first)
    assert page.status == 200
    answer = await handset.press("/c/bind", name=NAME, id_number=NUMBER)
    assert (answer.status, await result_of(answer)) == (200, "confirmed")
    assert await first.held() is None
    again = await handset.press("/c/bind", name=NAME, id_number=NUMBER)
    assert (again.status, await result_of(again)) == (200, "already_confirmed")


async def test_a_mistyped_number_gives_the_form_again_without_the_number(site: Site, first: Check) -> None:
    handset = await site.handset()
    await handset.scan(first)
    page = await handset.press("/c/bind", name=NAME, id_number="320102199003077888")
    text = await page.text()
    assert page.status == 422
    assert 'role="alert"' in text and f'value="{NAME}"' in text
    assert "320102199003077888" not in text
    assert await first.held() == first.challenge_id
    answer = await handset.press("/c/bind", name=NAME, id_number=NUMBER)
    assert await result_of(answer) == "confirmed"


async def test_the_enrolled_phone_sees_who_and_what_and_confirms(first: Check, mine: Handset) -> None:
    page = await mine.scan(first)
    text = await page.text()
    assert "欧**" in text and "安全生产" in text
    assert NAME not in text and NUMBER not in text
    answer = await mine.press("/c/confirm")
    assert (answer.status, await result_of(answer)) == (200, "confirmed")
    assert await first.held() is None
    again = await mine.press("/c/confirm")
    assert await result_of(again) == "already_confirmed"


async def test_no_get_and_no_head_ever_confirms(site: Site, first: Check, mine: Handset) -> None:
    code = await current_code(site.services, first.pupil.person_id, first.challenge_id)
    preview = await site.handset(agent="WhatsApp/2.23 link preview")
    for browser in (mine, preview):
        for method in ("GET", "HEAD"):
            assert (await browser.get(f"/c/{code}", method)).status == 200
        for path in ("/c/confirm", "/c/bind", f"/c/confirm?form={mine.fields['form']}"):
            assert (await browser.get(path)).status == 404
    assert (await first.row()).outcome is None
    assert await first.held() == first.challenge_id


async def test_a_page_opened_in_time_confirms_after_the_code_turned_but_the_code_opens_no_more(
    site: Site, first: Check, mine: Handset
) -> None:
    code = await current_code(site.services, first.pupil.person_id, first.challenge_id)
    await mine.scan(first)
    await first.move(issued_ago=100_000, left=20_000)
    stale = await (await site.handset()).get(f"/c/{code}")
    assert (stale.status, await result_of(stale)) == (410, "stale")
    assert await result_of(await mine.press("/c/confirm")) == "confirmed"


async def test_a_code_that_was_fetched_ahead_is_of_no_use_later(site: Site, first: Check) -> None:
    code = await current_code(site.services, first.pupil.person_id, first.challenge_id)
    await first.move(issued_ago=41_000, left=60_000)
    handset = await site.handset()
    page = await handset.get(f"/c/{code}")
    assert await result_of(page) == "stale"
    assert handset.credential is None


async def test_pressing_after_the_deadline_is_late(first: Check, mine: Handset) -> None:
    await mine.scan(first)
    await first.move(issued_ago=130_000, left=-1)
    answer = await mine.press("/c/confirm")
    assert (answer.status, await result_of(answer)) == (410, "late")
    assert await first.held() == first.challenge_id


async def test_the_form_of_my_phone_is_worth_nothing_in_another_browser(
    site: Site, first: Check, mine: Handset
) -> None:
    other = await site.handset()
    await other.scan(first)
    stolen = mine.fields["form"]
    answer = await other.press("/c/confirm", form=stolen)
    assert (answer.status, await result_of(answer)) == (404, "unknown")
    without_cookie = await site.handset()
    without_cookie.fields = {"csrf": await site.csrf(without_cookie), "form": stolen}
    assert await result_of(await without_cookie.press("/c/confirm")) == "unknown"
    assert await first.held() == first.challenge_id
    assert (await first.audited()).count("unknown") == 2


@pytest.mark.parametrize("guess", ["", "x", "x.0.000000000000000000000000", "%00", "é", "a" * 400])
async def test_guessed_codes_and_forms_are_refused(site: Site, first: Check, mine: Handset, guess: str) -> None:
    if guess:
        assert (await mine.get(f"/c/{guess}")).status == 404
    assert await result_of(await mine.press("/c/confirm", form=guess)) == "unknown"
    assert await first.held() == first.challenge_id


async def test_posts_from_other_sites_or_without_the_token_are_refused(first: Check, mine: Handset) -> None:
    await mine.scan(first)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert (await mine.press("/c/confirm", headers)).status == 403
    assert (await mine.press("/c/confirm", csrf="0" * 64)).status == 403
    assert await first.held() == first.challenge_id


async def test_a_computer_that_is_logged_in_gets_no_page_and_cannot_press(site: Site, first: Check) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    page = await desktop.scan(first)
    assert (page.status, await result_of(page)) == (403, "computer")
    assert desktop.credential is None
    assert await first.findings() == {"wrong_phone": 1}


async def test_the_phones_own_cookies_do_not_help_a_computer_that_is_logged_in(
    site: Site, first: Check, mine: Handset
) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    site.give_phone_cookie(desktop, mine)
    desktop.fields = {"csrf": await site.csrf(desktop), "form": mine.fields["form"]}
    for path in ("/c/confirm", "/c/bind", "/c/rebind"):
        answer = await desktop.press(path, name=NAME, id_number=NUMBER, password=PASSWORD)
        assert (answer.status, await result_of(answer)) == (403, "computer")
    assert await first.held() == first.challenge_id
    assert await first.findings() == {"wrong_phone": 3}


async def test_one_phone_for_two_learners_is_refused_by_the_door(site: Site, first: Check, mine: Handset) -> None:
    other = await hold(site.room, "identity", name="李雷", number="320102199003077888")
    page = await mine.scan(other)
    assert (page.status, await result_of(page)) == (403, "wrong_phone")
    assert len(await other.phones()) == 0
    assert await other.findings() == {"wrong_phone": 1}


async def test_another_app_of_the_same_phone_re_binds_and_then_confirms(
    site: Site, first: Check, mine: Handset
) -> None:
    app = await site.handset()
    page = await app.scan(first)
    assert 'action="/c/rebind"' in await page.text()
    wrong = await app.press("/c/rebind", name=NAME, id_number=NUMBER, password="guess")
    assert wrong.status == 422
    bound = await app.press("/c/rebind", name=NAME, id_number=NUMBER, password=PASSWORD)
    text = await bound.text()
    assert bound.status == 200 and 'action="/c/confirm"' in text and 'role="status"' in text
    assert await first.held() == first.challenge_id
    old = await mine.press("/c/confirm")
    assert 'action="/c/rebind"' in await old.text()
    assert await result_of(await app.press("/c/confirm")) == "confirmed"
    assert await first.findings() == {"phone_rebound": 1}


async def test_the_phone_that_plays_taps_and_binds_itself_first(site: Site, first: Check) -> None:
    playing = await site.handset(first.pupil)
    csrf = await site.csrf(playing)
    path = f"/challenges/{first.challenge_id}/tap"
    answer = await (await playing.fetch(path, csrf)).json()
    assert answer["next"].startswith("/c/")
    page = await playing.get(answer["next"])
    playing.fields = dict(_HIDDEN.findall((await page.text()).partition("<main")[2]))
    assert await result_of(await playing.press("/c/bind", name=NAME, id_number=NUMBER)) == "confirmed"
    assert (await first.row()).same_device is True
    assert (await (await playing.fetch(path, csrf)).json())["result"] == "already_confirmed"


async def test_the_enrolled_phone_that_plays_confirms_by_one_tap(site: Site, first: Check, mine: Handset) -> None:
    playing = await site.handset(first.pupil)
    site.give_phone_cookie(playing, mine)
    answer = await playing.fetch(f"/challenges/{first.challenge_id}/tap", await site.csrf(playing))
    assert (answer.status, await answer.json()) == (200, {"result": "confirmed"})
    assert await first.held() is None


async def test_a_tap_needs_a_phone_a_log_in_and_the_csrf_token(site: Site, first: Check) -> None:
    path = f"/challenges/{first.challenge_id}/tap"
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    refused = await desktop.fetch(path, await site.csrf(desktop))
    assert (refused.status, (await refused.json())["error"]["code"]) == (403, "computer")
    assert await first.audited() == ["computer"]
    playing = await site.handset(first.pupil)
    assert (await playing.fetch(path, "0" * 64)).status == 403
    nobody = await site.handset()
    assert (await nobody.fetch(path, await site.csrf(nobody))).status == 401
    stranger = await site.handset((await hold(site.room)).pupil)
    assert (await stranger.fetch(path, await site.csrf(stranger))).status == 404
    assert await first.held() == first.challenge_id


@pytest.mark.parametrize("challenge_settings", [{"same_device": "refuse"}])
async def test_without_same_device_a_logged_in_phone_neither_taps_nor_binds(site: Site, first: Check) -> None:
    playing = await site.handset(first.pupil)
    refused = await playing.fetch(f"/challenges/{first.challenge_id}/tap", await site.csrf(playing))
    assert (await refused.json())["error"]["code"] == "same_device_off"
    assert await result_of(await playing.scan(first)) == "same_device_off"


async def test_the_picture_is_the_learners_own_turns_and_is_never_cached(site: Site, first: Check) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    path = f"/challenges/{first.challenge_id}/qr.svg"
    picture = await desktop.get(path)
    assert (picture.status, picture.content_type) == (200, "image/svg+xml")
    assert picture.headers["Cache-Control"] == "no-store"
    one = await picture.read()
    await first.move(issued_ago=30_000, left=60_000)
    assert await (await desktop.get(path)).read() != one
    stranger = await site.handset((await hold(site.room)).pupil, COMPUTER_AGENT)
    assert (await stranger.get(path)).status == 404
    for absent in ("nobody", "%00", "%F0%9F%93%B1"):
        assert (await stranger.get(f"/challenges/{absent}/qr.svg")).status == 404
    assert (await (await site.handset()).get(path)).status == 401
    await first.move(left=-1)
    assert (await desktop.get(path)).status == 404


async def test_the_link_is_the_text_of_the_picture_where_it_is_shown(site: Site, first: Check) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    told = (await (await desktop.get(f"/challenges/{first.challenge_id}/link")).json())["link"]
    code = told.removeprefix(f"{site.services.settings.public_url}/c/")
    assert (await (await site.handset()).get(f"/c/{code}")).status == 200


@pytest.mark.parametrize("challenge_settings", [{"show_link": False}])
async def test_the_link_is_not_given_where_it_is_not_shown(site: Site, first: Check) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    assert (await desktop.get(f"/challenges/{first.challenge_id}/link")).status == 404


async def test_a_new_code_is_given_once_the_old_one_is_over(site: Site, first: Check) -> None:
    desktop = await site.handset(first.pupil, COMPUTER_AGENT)
    csrf = await site.csrf(desktop)
    path = f"/challenges/{first.challenge_id}/renew"
    early = await desktop.fetch(path, csrf)
    assert (early.status, (await early.json())["error"]["code"]) == (409, "still_open")
    await first.move(left=-1)
    assert (await desktop.fetch(path, "0" * 64)).status == 403
    for _ in range(2):
        answer = await desktop.fetch(path, csrf)
        assert (answer.status, await answer.json()) == (200, {"result": "renewed"})
    assert len(await first.all_rows()) == 2
    stranger = await site.handset((await hold(site.room)).pupil, COMPUTER_AGENT)
    assert (await stranger.fetch(path, await site.csrf(stranger))).status == 404


def test_every_result_has_words_in_both_languages() -> None:
    catalogue = read_catalogue()
    for words in phone.RESULTS.values():
        assert words.title in catalogue and words.advice in catalogue
