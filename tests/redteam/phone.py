"""The phone in a case: opens codes, binds itself and confirms on the real pages; what was stored about checks."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import segno
from sqlalchemy import select, update

from player_server.auth.identity import id_columns
from player_server.learning.challenge_tokens import code_for, read_code
from player_server.learning.challenges import current_code, link_of
from player_server.policy.id_number import check_character
from player_server.storage.challenges import add_phone
from player_server.storage.tables import audit, challenge, person
from player_server.web.cookies import new_token
from tests.redteam.people import ANSWER_S, Learner, Message, Page
from tests.support.http_browser import HttpBrowser
from tests.support.learner import PHONE_AGENT

NAME = "张伟"  # as arena accounts are called
_RESULT = re.compile(r'data-result="(\w+)"')
_HIDDEN = re.compile(r'name="(csrf|form)" value="([^"]+)"')
_numbers = itertools.count(1)


class Phone(HttpBrowser):
    """A phone's browser with cookies of its own. Each step returns the word of the result page, or ""."""

    def __init__(self, learner: Learner, node: int = 0, user_agent: str = PHONE_AGENT) -> None:
        super().__init__(learner.arena.nodes[node % len(learner.arena.nodes)], user_agent)

    @property
    def result(self) -> str:
        return result_of(self.page)

    async def open(self, code: str) -> str:
        """Scan: open the address that the picture holds."""
        await self.get(f"/c/{code}")
        return self.result

    async def bind(self, number: str, name: str = NAME) -> str:
        await self.submit("/c/bind", name=name, id_number=number)
        return self.result

    async def rebind(self, number: str, password: str, name: str = NAME) -> str:
        await self.submit("/c/rebind", name=name, id_number=number, password=password)
        return self.result

    async def confirm(self) -> str:
        """Press [确认] on the page that is open."""
        await self.submit("/c/confirm")
        return self.result

    async def forge(self, action: str, **fields: str) -> str:
        """POST this form without having been given the page, but with a good CSRF token."""
        await self.get("/login")
        await self.post(action, {"csrf": form_of(self.page).get("csrf", ""), **fields})
        return self.result


def result_of(page: str) -> str:
    """The word of a result page, "" for any other."""
    found = _RESULT.search(page)
    return found[1] if found else ""


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of a phone page."""
    return dict(_HIDDEN.findall(page))


async def enrol_phone(learner: Learner, *, node: int = 0) -> Phone:
    """A phone that was bound in an earlier visit. Close it with `async with`."""
    phone, credential = Phone(learner, node), new_token()
    phone.http.cookie_jar.update_cookies({"xueshi_phone": credential})
    services = learner.arena.services
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await add_phone(conn, learner.person_id, credential, PHONE_AGENT, now)
    return phone


async def put_on_roster(learner: Learner, password_hash: str | None = None) -> str:
    """Give the person a real ID number (and a password that was chosen before); returns the number."""
    order = next(_numbers)
    body = f"3201021980{order // 1000 % 12 + 1:02d}01{order % 1000:03d}"
    number = body + check_character(body)
    services = learner.arena.services
    secret = {"password_hash": password_hash} if password_hash else {}
    async with services.db.write() as conn:
        row = {**id_columns(services.keys, number), **secret, "name": NAME}
        await conn.execute(update(person).where(person.c.id == learner.person_id).values(**row))
    return number


async def scan(learner: Learner, notice: Message, *, node: int = 0) -> str:
    """The code in the picture of this moment: the page's picture must be the one of that code."""
    arena = learner.arena
    for _ in range(3):
        url = f"{arena.nodes[node % len(arena.nodes)]}{notice['qr']}"
        async with arena.http.get(url, headers=learner.headers(node)) as answer:
            assert answer.status == 200, answer.status
            seen = await answer.read()
        code = await current_code(arena.services, learner.person_id, notice["id"])
        assert code is not None
        drawn = BytesIO()
        options: dict[str, Any] = {"kind": "svg", "border": 4, "dark": "#000", "light": "#fff", "omitsize": True}
        segno.make(link_of(arena.services, code), error="m", micro=False).save(drawn, **options)
        if seen == drawn.getvalue():
            return code
    raise AssertionError("the picture does not hold the code")


def turned(learner: Learner, code: str, turns: int) -> str:
    """The genuine code so many rotations later (or earlier): what a relay would hold."""
    keys = learner.arena.services.keys
    read = read_code(keys, code)
    assert read is not None
    return code_for(keys, read.challenge_id, read.rotation + turns)


async def challenged(page: Page, *, within: float = 30.0) -> Message:
    """Watch honestly until the check comes; returns its notice."""
    await page.watch(within, every=1.0)
    notice = await page.until("challenge", timeout=5.0)
    assert notice is not None, page.inbox[-3:]
    return notice


async def renew(learner: Learner, notice: Message) -> int:
    """Ask for a new code; the HTTP status."""
    arena = learner.arena
    async with arena.http.post(arena.nodes[0] + notice["renew"], json={}, headers=learner.headers()) as answer:
        return answer.status


@dataclass(frozen=True, slots=True)
class Stored:
    """One check as it stands in SQL; times in ms of the store's clock."""

    id: str
    outcome: str | None
    issued_at: int
    deadline: int


async def stored_checks(learner: Learner) -> list[Stored]:
    """Every check of the person, oldest first."""
    c = challenge.c
    query = select(c.id, c.outcome, c.issued_at, c.deadline).where(c.person_id == learner.person_id)
    async with learner.arena.services.db.read() as conn:
        return [Stored(*row) for row in await conn.execute(query.order_by(c.sequence))]


async def audited(learner: Learner, challenge_id: str) -> list[str]:
    """The results that the audit trail has about this check, in order."""
    query = select(audit.c.result).where(audit.c.target == f"challenge:{challenge_id}").order_by(audit.c.id)
    async with learner.arena.services.db.read() as conn:
        return list((await conn.scalars(query)).all())


async def until_missed(learner: Learner, challenge_id: str, *, timeout: float = ANSWER_S) -> bool:
    """Wait until the worker has written down that the window passed."""
    deadline = asyncio.get_running_loop().time() + timeout
    while asyncio.get_running_loop().time() < deadline:
        if any(each.id == challenge_id and each.outcome == "missed" for each in await stored_checks(learner)):
            return True
        await asyncio.sleep(0.25)
    return False
