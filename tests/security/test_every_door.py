"""What must hold at every door at once, whoever added it: the routes are taken from the running server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from yarl import URL

from player_server.learning.services import Services
from tests.support import school
from tests.support.doors import browser_of
from tests.support.fixtures import services
from tests.support.live import Node, live_node

__all__ = ["services"]

#: Answered to anybody by design: pages before the log-in, public proofs, and what the proxy keeps inside.
PUBLIC = re.compile(
    r"^/(login|staff/login|forgot|healthz|readyz|metrics|static/|c/|\.well-known/|ledger|verify|certificates?/|"
    r"api/v1/(openapi|docs|ledger|oauth|certificates?)|oauth|jwks|docs)"
)
ODD = ("0", "-1", "x", "9" * 40, "%00", "%ff%fe", "..%2f..%2fconfig.yaml", "1'--", "a" * 3000, "%E5%AD%A6")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


@pytest_asyncio.fixture
async def node(services: Services) -> AsyncIterator[Node]:
    async with live_node(services) as made:
        yield made


def routes(node: Node, method: str) -> list[str]:
    """The patterns of every route with this method."""
    found = {
        resource.canonical
        for resource in node.app.router.resources()
        for route in resource
        if route.method == method
    }
    assert len(found) > 10
    return sorted(found)


def filled(pattern: str, value: str) -> str:
    return re.sub(r"\{[^}]*\}", value, pattern)


async def test_no_door_breaks_on_odd_names_and_every_answer_has_the_headers(services: Services, node: Node) -> None:
    pupil = await school.add_learner(services, await school.add_institution(services, "示例"))
    staff_id = await school.add_staff(services, 1)
    broken = []
    async with (
        browser_of(services, _Server(node), pupil) as learner,
        browser_of(services, _Server(node), staff_id=staff_id) as staff,
    ):
        for pattern in routes(node, "GET"):
            for value in ODD if "{" in pattern else ("",):
                browser = staff if pattern.startswith("/staff") else learner
                url = URL(node.url + filled(pattern, value), encoded=True)
                async with browser.get(url, allow_redirects=False) as answer:
                    if answer.status >= 500 and "/readyz" not in pattern:
                        broken.append((pattern, value, answer.status))
                    assert answer.headers["X-Content-Type-Options"] == "nosniff", pattern
                    policy = answer.headers["Content-Security-Policy"]
                    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy, pattern
    assert broken == []


async def test_without_a_log_in_no_page_is_shown(services: Services, node: Node) -> None:
    shown: list[tuple[str, int]] = []
    async with ClientSession() as nobody:
        for pattern in routes(node, "GET"):
            if PUBLIC.match(pattern):
                continue
            async with nobody.get(node.url + filled(pattern, "1"), allow_redirects=False) as answer:
                if answer.status < 300 or answer.status >= 500:
                    shown.append((pattern, answer.status))
    assert shown == []


async def test_without_the_forms_token_nothing_is_done(services: Services, node: Node) -> None:
    pupil = await school.add_learner(services, await school.add_institution(services, "示例"))
    staff_id = await school.add_staff(services, 1)
    done: list[tuple[str, object]] = []
    async with (
        browser_of(services, _Server(node), pupil) as learner,
        browser_of(services, _Server(node), staff_id=staff_id) as staff,
    ):
        for pattern in routes(node, "POST"):
            browser = staff if pattern.startswith("/staff") else learner
            url = node.url + filled(pattern, "1")
            for headers in ({}, {"Origin": "https://evil.example"}):
                async with browser.post(url, data={"a": "b"}, headers=headers, allow_redirects=False) as answer:
                    # Programs bring their own token; without one they are not let in either.
                    if answer.status < 400 and answer.status != 303:
                        done.append((pattern, answer.status))
                    if answer.status == 303 and not answer.headers["Location"].startswith(
                        ("/login", "/staff/login")
                    ):
                        done.append((pattern, answer.headers["Location"]))
                    if answer.status >= 500:
                        done.append((pattern, answer.status))
    assert done == []


class _Server:
    """What `browser_of` needs of a test server, for a whole node."""

    def __init__(self, node: Node) -> None:
        self._url = URL(node.url)

    def make_url(self, path: str) -> URL:
        return self._url.join(URL(path))
