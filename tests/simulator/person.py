"""One person with a computer and a phone, at an address of their own: the HTML and JSON doors. No watching here."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.simulator.pace import Pace
from tests.support.http_browser import HttpBrowser
from tests.support.sheet_reader import SheetReader

COMPUTER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) simulated computer"
PHONE_AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) simulated Mobile/15E148"
_RESULT = re.compile(r'data-result="(\w+)"')
#: A request that takes longer than this is given up, in real seconds.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who they are in the product; `token` is the log-in cookie's value, `csrf` what each page of it carries."""

    number: int  # from 0
    person_id: int
    learner_id: int
    name: str
    id_number: str
    token: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the course; `duration` in simulated seconds."""

    id: int
    duration: float
    has_quiz: bool


class DoorShut(Exception):
    """A door could not be reached or said no; `status` 0 when there was no answer."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Person:
    """`rng` decides everything that this person does; the same seed gives the same person."""

    def __init__(self, url: str, account: Account, videos: tuple[Video, ...], pace: Pace, seed: int) -> None:
        self.url = url
        self.account = account
        self.videos = videos
        self.pace = pace
        self.rng = random.Random(f"{seed}:{account.number}")
        # Everybody comes from an address of their own, as in life: 127.0.0.0/8 is all this machine.
        high, low = divmod(account.number, 250)
        self.address = f"127.{20 + high // 250}.{high % 250}.{low + 1}"
        self.cookie = f"xueshi={account.token}"
        self._computer: HttpBrowser | None = None
        self._phone: HttpBrowser | None = None

    async def close(self) -> None:
        """Switch both devices off."""
        for browser in (self._computer, self._phone):
            if browser is not None:
                await browser.http.close()

    async def _browser(self, agent: str, cookies: dict[str, str]) -> HttpBrowser:
        browser = HttpBrowser(self.url, agent)
        await browser.http.close()
        browser.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(local_addr=(self.address, 0), limit=4),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            cookies=cookies,
            headers={"User-Agent": agent, "Origin": self.url},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        )
        return browser

    async def computer(self) -> HttpBrowser:
        """The logged-in browser."""
        if self._computer is None:
            self._computer = await self._browser(COMPUTER_AGENT, {"xueshi": self.account.token})
        return self._computer

    async def phone(self) -> HttpBrowser:
        if self._phone is None:
            self._phone = await self._browser(PHONE_AGENT, {})
        return self._phone

    async def new_phone(self) -> None:
        """Another phone, or another scanner app with cookies of its own."""
        if self._phone is not None:
            await self._phone.http.close()
        self._phone = None

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        http = (await self.computer()).http
        try:
            async with http.request(
                method, self.url + path, json=body, headers={"X-CSRF-Token": self.account.csrf}
            ) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if answer.content_type == "application/json" else {}
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, {}

    async def ticket(self, video_id: int) -> str:
        """A ticket for this video. Raises DoorShut."""
        status, answer = await self._json("POST", "/api/v1/watch-tickets", {"video": video_id})
        if status != 200:
            raise DoorShut(status)
        return str(answer["ticket"])

    async def renew(self, challenge: dict[str, Any]) -> int:
        """Press [获取新的验证码]; the HTTP status."""
        return (await self._json("POST", challenge["renew"], {}))[0]

    async def answer(self, challenge: dict[str, Any], read: Callable[[], Awaitable[None]]) -> str:
        """Scan and confirm, or bind the phone first; `read` passes the time between the page and the button.

        Returns the result's word: confirmed, already_confirmed, late, stale, … or "" without an answer.
        """
        status, found = await self._json("GET", challenge["qr"].replace("qr.svg", "link"))
        link = found.get("link") if status == 200 else challenge.get("link")
        if not link:
            return "late"
        phone = await self.phone()
        try:
            if word := _word(await phone.get(link)):
                return word
            await read()
            if 'action="/c/confirm"' in phone.page:
                return _word(await phone.submit("/c/confirm"))
            who = {"name": self.account.name, "id_number": self.account.id_number}
            return _word(await phone.submit("/c/bind", **who))
        except (aiohttp.ClientError, TimeoutError, OSError, AssertionError):
            return ""

    async def hand_in(self, video: Video, *, right: bool) -> str:
        """Open the sheet, fill it in, press [交卷]: "passed", "failed", or "" (a pause is asked for)."""
        computer = await self.computer()
        try:
            page = await computer.get(f"/quiz/{video.id}")
            if computer.status != 200 or 'id="quiz-form"' not in page:
                return ""
            sheet = SheetReader(page)
            wrong = set() if right else {next(iter(sheet.options))}
            fields = sheet.fields(wrong)
            async with computer.http.post(f"{self.url}/quiz/{video.id}", data=fields) as answer:
                result = await answer.text()
                if answer.status != 200:
                    return ""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        return "passed" if "quiz-passed" in result else "failed"


def _word(page: str) -> str:
    found = _RESULT.search(page)
    return found[1] if found else ""
