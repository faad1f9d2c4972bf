"""Bytes that are no UTF-8 in what a browser sends in its headers: old phones do that, and they must get in."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest

from player_server.learning.services import Services
from tests.support.identity import PASSWORD, Visitor, add_someone

#: "测试" as GBK.
ODD = b"\xb2\xe2\xca\xd4"


async def status_of(visitor: Visitor, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes) -> int:
    """Send exactly these bytes, which no tidy client would, and read the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", visitor.client.port)
    fields = {b"Host": b"127.0.0.1", b"Connection": b"close", b"Content-Length": str(len(body)).encode(), **headers}
    lines = [method + b" " + path + b" HTTP/1.1", *(name + b": " + value for name, value in fields.items())]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def test_a_browser_that_names_itself_in_another_encoding_can_log_in(
    services: Services, visitor: Visitor
) -> None:
    someone = await add_someone(services)
    fields = {
        "csrf": await visitor.token("/login"),
        "id_number": someone.number,
        "password": PASSWORD,
        "next": "/",
    }
    cookie = f"xueshi_visitor={visitor.cookie('xueshi_visitor')}".encode()
    headers = {
        b"User-Agent": b"Mozilla/5.0 (Linux; Android 9; " + ODD + b")",
        b"Content-Type": b"application/x-www-form-urlencoded",
        b"Cookie": cookie,
    }
    assert await status_of(visitor, b"POST", b"/login", headers, urlencode(fields).encode()) == 303


@pytest.mark.parametrize("name", [b"xueshi", b"xueshi_visitor", b"xueshi_phone", b"xueshi_lang"])
async def test_a_cookie_that_is_no_text_is_none(visitor: Visitor, name: bytes) -> None:
    assert await status_of(visitor, b"GET", b"/login", {b"Cookie": name + b"=" + ODD}, b"") == 200


async def test_a_token_that_is_no_text_is_wrong(services: Services, visitor: Visitor) -> None:
    await visitor.log_in(await add_someone(services))
    headers = {b"X-CSRF-Token": ODD, b"Cookie": f"xueshi={visitor.cookie()}".encode()}
    assert await status_of(visitor, b"POST", b"/api/v1/change", headers, b"") == 403
