"""Headers of every answer, and what is shown when something breaks."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from player_server.web.address import client_address, local_path
from tests.support.identity import Visitor


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def test_every_kind_of_answer_carries_the_headers(visitor: Visitor) -> None:
    for path in ("/login", "/", "/nowhere", "/broken", "/api/v1/me", "/logout"):
        answer = await visitor.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert f"ws://127.0.0.1:{visitor.client.port}" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.headers["X-Request-Id"]) == 16


async def test_a_forged_host_cannot_write_into_the_policy(visitor: Visitor) -> None:
    answer = await visitor.get("/login", headers={"Host": "x; script-src *"})
    assert "script-src" not in answer.headers.get("Content-Security-Policy", "")


async def test_a_bug_shows_a_page_with_the_request_id_and_nothing_of_the_inside(visitor: Visitor) -> None:
    answer = await visitor.get("/broken")
    text = await answer.text()
    assert answer.status == 500
    assert answer.headers["X-Request-Id"] in text
    assert "a secret inside" not in text and "Traceback" not in text


async def test_under_api_the_same_is_a_problem_document(visitor: Visitor) -> None:
    answer = await visitor.get("/api/v1/broken", headers={"X-Request-Id": "forged\u0020id"})
    problem = await answer.json(content_type="application/problem+json")
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert problem["request_id"] == answer.headers["X-Request-Id"] != "forged id"
    answer = await visitor.get("/api/v1/nowhere")
    assert (await answer.json(content_type="application/problem+json"))["code"] == "not_found"


async def test_a_wrong_method_says_which_are_right(visitor: Visitor) -> None:
    answer = await visitor.get("/logout")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_forwarded_addresses_are_believed_only_from_our_proxies() -> None:
    def address(remote: str, forwarded: str | None, *trusted: str) -> str:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        return client_address(make_mocked_request("GET", "/", headers=headers).clone(remote=remote), trusted)

    assert address("10.0.0.1", "192.0.2.7") == "10.0.0.1"
    assert address("10.0.0.1", "192.0.2.7", "10.0.0.1") == "192.0.2.7"
    assert address("10.0.0.1", "203.0.113.9, 192.0.2.7", "10.0.0.1") == "192.0.2.7"
    assert address("10.0.0.1", "203.0.113.9, 192.0.2.7, 10.0.0.2", "10.0.0.1", "10.0.0.2") == "192.0.2.7"
    assert address("10.0.0.1", "nonsense", "10.0.0.1") == "10.0.0.1"
    assert address("192.0.2.7", None, "10.0.0.1") == "192.0.2.7"


def test_only_paths_on_this_server_are_local() -> None:
    for path in ("/", "/me", "/courses/1?x=2#y", "/%2F%2Fevil.example"):
        assert local_path(path) == path
    assert local_path(None, "/home") == "/home"
    for path in ("", "me", "//x", "/\\x", "\\/x", "/ x", "/\nx", "https://x", "/" + "a" * 600):
        assert local_path(path, "/home") == "/home"
