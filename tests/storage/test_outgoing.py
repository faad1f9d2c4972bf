"""Sending to strangers, with real sockets: nothing reaches our own network, and nobody holds a worker for long."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from player_server.storage.outgoing import LARGEST_ANSWER, NotSent, Outgoing, url_fault

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """A server of raw bytes on loopback that counts who came."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0


@asynccontextmanager
async def listen(
    answer: Answering, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Listener]:
    found = Listener()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


def says(text: str) -> Answering:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text.encode())
        await writer.drain()

    return answer


OK = says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@asynccontextmanager
async def sender(*, allow_private: bool, total_s: float = 5.0) -> AsyncIterator[Outgoing]:
    outgoing = Outgoing(allow_private=allow_private, total_s=total_s)
    try:
        yield outgoing
    finally:
        await outgoing.close()


async def test_no_connection_is_ever_made_to_this_machine_or_its_networks() -> None:
    async with listen(OK) as listener, sender(allow_private=False) as outgoing:
        for host in (
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ):
            with pytest.raises(NotSent, match=r"public internet|canonical"):
                await outgoing.post(f"https://{host}:{listener.port}/", {}, b"{}")
        for host in ("10.0.0.1", "169.254.169.254", "192.168.0.1", "[fe80::1]", "[fd00::1]"):
            with pytest.raises(NotSent, match="public internet"):
                await outgoing.post(f"https://{host}/latest/meta-data/", {}, b"{}")
        with pytest.raises(NotSent, match="not_https"):
            await outgoing.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
        assert listener.connections == 0


async def test_the_setting_for_tests_lets_this_machine_in_and_no_other_network() -> None:
    async with listen(OK) as listener, sender(allow_private=True) as outgoing:
        for host in ("127.0.0.1", "localhost"):
            answer = await outgoing.post(f"http://{host}:{listener.port}/", {}, b"{}")
            assert (answer.status, answer.text) == (200, "ok")
        with pytest.raises(NotSent, match="public internet"):
            await outgoing.post("http://10.0.0.1/", {}, b"{}")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with listen(OK) as inner:
        away = f"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n"
        async with listen(says(away)) as listener, sender(allow_private=True) as outgoing:
            assert (await outgoing.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")).status == 307
        assert inner.connections == 0


async def test_time_and_size_are_bounded() -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listen(silent) as listener, sender(allow_private=True, total_s=0.3) as outgoing:
        with pytest.raises(NotSent, match="in time"):
            await outgoing.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
    for behaviour in (drips, floods):
        async with listen(behaviour) as listener, sender(allow_private=True, total_s=3) as outgoing:
            async with asyncio.timeout(5):
                answer = await outgoing.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
            assert answer.status == 200 and len(answer.text) <= LARGEST_ANSWER


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async with listen(OK, _self_signed(tmp_path)) as listener, sender(allow_private=True) as outgoing:
        with pytest.raises(NotSent, match="certificate"):
            await outgoing.post(f"https://localhost:{listener.port}/", {}, b"{}")


def test_addresses_are_looked_at_before_anything_is_sent() -> None:
    assert url_fault("https://example.org:8443/hook?x=1", allow_http=False) is None
    for url, fault in (
        ("http://example.org/", "not_https"),
        ("ftp://example.org/", "not_https"),
        ("//example.org", "not_https"),
        ("https://", "malformed"),
        ("https://example.org:0/", "malformed"),
        ("https://example.org:99999/", "malformed"),
        ("https://exa mple.org/", "malformed"),
        ("https://example.org/\r\nx", "malformed"),
        ("https://例子.org/", "malformed"),
        ("https://example.org/#part", "malformed"),
        ("https://example.org/" + "x" * 500, "malformed"),
        ("https://me:secret@example.org/", "with_password"),
    ):
        assert url_fault(url, allow_http=False) == fault, url
