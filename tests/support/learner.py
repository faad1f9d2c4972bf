"""A learner of a running product, at a computer and with a phone, who uses nothing but the product's doors."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientError

from tests.support.http_browser import HttpBrowser
from tests.support.product import Account, Product
from tests.support.sheet_reader import SheetReader
from tests.support.watch_client import Message, WatchClient

PASSWORD = "长颈鹿爱吃树叶 7"
PHONE_AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
#: How often `play_until` reports, in seconds.
EVERY_S = 0.15

_PAGE_DATA = re.compile(r'<script type="application/json" id="page-data">(.*?)</script>', re.S)
_RESULT = re.compile(r'data-result="(\w+)"')


class Learner:
    """One person: `computer` holds the log-in, `phone` is a browser with cookies of its own."""

    def __init__(self, product: Product, account: Account, computer: HttpBrowser, phone: HttpBrowser) -> None:
        self.product = product
        self.account = account
        self.computer = computer
        self.phone = phone
        self.csrf = ""

    async def log_in(self, secret: str) -> None:
        """Fill in the log-in page. With an initial secret that leads to the change-password page only."""
        await self.computer.get("/login")
        await self.computer.submit("/login", id_number=self.account.id_number, password=secret)

    async def choose_password(self) -> None:
        """Fill in the change-password page."""
        await self.computer.get("/password")
        await self.computer.submit("/password", new=PASSWORD, repeat=PASSWORD)
        assert self.computer.path != "/password", self.computer.page

    async def first_log_in(self) -> None:
        await self.log_in(self.account.initial_secret)
        await self.choose_password()

    async def player_page(self, video_id: int) -> dict[str, Any]:
        """Open the video's page; returns its page data and keeps its CSRF token."""
        page = await self.computer.get(f"/player/{video_id}")
        assert self.computer.status == 200, page
        found = _PAGE_DATA.search(page)
        assert found is not None, page
        data: dict[str, Any] = json.loads(found[1])
        self.csrf = data["csrf"]
        return data

    async def ask_ticket(self, video_id: int) -> tuple[int, Message]:
        """POST for a ticket, as the page does; returns status and answer."""
        async with self.computer.http.post(
            f"{self.product.url}/api/v1/watch-tickets",
            json={"video": video_id},
            headers={"X-CSRF-Token": self.csrf},
        ) as answer:
            return answer.status, await answer.json()

    async def page(self, video_id: int) -> WatchClient:
        """The video's page with an open socket that has not said hello yet."""
        if not self.csrf:
            await self.player_page(video_id)
        status, answer = await self.ask_ticket(video_id)
        assert status == 200, answer
        return await WatchClient.open(self.product.url, answer["ticket"], video_id)

    async def playing(self, video_id: int, *, former: WatchClient | None = None) -> WatchClient:
        """A page that was welcomed; the same page on a new socket if `former` is given. Waits while busy,
        as the page does, because the `bye` of a former page takes a moment."""
        page = await self.page(video_id)
        if former is not None:
            page.seq = former.seq
        answer = await page.hello(session=former.session if former else None)
        for _ in range(20):
            if answer["type"] != "busy":
                break
            await asyncio.sleep(0.05)
            answer = await page.hello()
        assert answer["type"] == "welcome", answer
        return page

    async def scan(self, link: str, browser: HttpBrowser | None = None) -> str:
        """Open the code of a challenge, on the phone unless told otherwise; returns the result's word or ""."""
        found = _RESULT.search(await (browser or self.phone).get(link))
        return found[1] if found else ""

    async def bind(self) -> str:
        """Fill in name and ID number on the phone page that is open; returns the result's word."""
        page = await self.phone.submit("/c/bind", name=self.account.name, id_number=self.account.id_number)
        found = _RESULT.search(page)
        return found[1] if found else ""

    async def confirm(self) -> str:
        """Press [确认] on the phone page that is open; returns the result's word."""
        found = _RESULT.search(await self.phone.submit("/c/confirm"))
        return found[1] if found else ""

    async def answer(self, challenge: Message) -> None:
        """Answer this challenge on the phone, whichever kind it is."""
        await self.scan(challenge["link"])
        result = await (self.bind() if challenge["kind"] == "identity" else self.confirm())
        assert result == "confirmed", (result, self.phone.page)

    async def open_sheet(self, video_id: int) -> SheetReader:
        """Open the quiz."""
        page = await self.computer.get(f"/quiz/{video_id}")
        assert self.computer.status == 200, page
        return SheetReader(page)

    async def hand_in(self, video_id: int, fields: list[tuple[str, str]]) -> str:
        """Send a filled-in sheet; returns the result page. Raises ClientError when the server is gone."""
        async with self.computer.http.post(f"{self.product.url}/quiz/{video_id}", data=fields) as answer:
            page = await answer.text()
            if answer.status >= 500:
                raise ClientError(f"{answer.status}: {page}")
            return page

    async def is_eligible(self) -> bool:
        """What the exam service is told about this learner."""
        async with self.computer.http.get(
            f"{self.product.url}/api/v1/eligibility/{self.account.learner_id}",
            headers={"Authorization": f"Bearer {self.product.exam_token()}"},
        ) as answer:
            assert answer.status == 200, await answer.text()
            return bool((await answer.json())["eligible"])


@asynccontextmanager
async def learner(product: Product, account: Account) -> AsyncIterator[Learner]:
    """This account's owner; both browsers are closed at the end."""
    async with HttpBrowser(product.url) as computer, HttpBrowser(product.url, PHONE_AGENT) as phone:
        yield Learner(product, account, computer, phone)


async def play_until(
    page: WatchClient, *kinds: str, start: float, to: float | None = None, timeout: float = 15
) -> Message:
    """Play in real time from `start`, go back when rewound, and return the first message of one of `kinds`.

    The kind `there` stands for an ack after the video came to `to`, by default its end.
    """
    end = page.welcome["duration"]
    goal = end if to is None else to
    began = time.monotonic()
    async with asyncio.timeout(timeout):
        await page.beat(start, event="play")
        while True:
            position = min(goal, start + time.monotonic() - began)
            try:
                message = await page.receive(timeout=EVERY_S)
            except TimeoutError:
                await page.beat(position, event="ended" if position >= end else "tick", playing=position < end)
                continue
            if message["type"] in kinds:
                return message
            if message["type"] == "ack" and position >= goal and "there" in kinds:
                return message
            if message["type"] == "rewind":
                start, began = message["to"], time.monotonic()
