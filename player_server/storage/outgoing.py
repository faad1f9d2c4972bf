"""Sending to addresses that others chose: one POST, to the public internet only, with bounds on time and size.

The name is resolved here, every address it has is looked at, and the connection goes to those very addresses: a
name that leads elsewhere a moment later changes nothing. Redirects are answers like any other and never followed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from player_server.policy.addresses import is_loopback, is_public

CONNECT_S = 5.0
TOTAL_S = 15.0
#: An answer is read so far and no further; what it says beyond that nobody needs.
LARGEST_ANSWER = 16 * 1024


LONGEST_URL = 500


class NotSent(Exception):
    """The message did not arrive, or nobody knows; the message is one short line for staff."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `text`: the beginning of the body."""

    status: int
    text: str


def url_fault(url: str, *, allow_http: bool) -> str | None:
    """Why nothing is sent to this address: a word, or None if it may be tried."""
    if len(url) > LONGEST_URL or not url.isascii() or any(character <= " " for character in url):
        return "malformed"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "malformed"
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        return "not_https"
    if not parts.hostname or port == 0 or parts.fragment:
        return "malformed"
    # A password in an address would be shown to everybody who may see the list.
    return "with_password" if parts.username is not None or parts.password is not None else None


class _Forbidden(OSError):
    """The name leads to an address that nothing is sent to."""


class _PublicResolver(AbstractResolver):
    """Resolves like the system, and refuses a name that has any address which is not public."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC)
        addresses = [(kind, str(where[0])) for kind, _type, _proto, _name, where in found]
        for _kind, address in addresses:
            self._check(address)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in addresses
        ]

    async def close(self) -> None:
        return None


class Outgoing:
    """Keeps connections for as long as a worker runs.

    `allow_private`: this machine itself and plain http, too. `trusted`: the operator chose the address in the
    settings, so any network may be meant.
    """

    def __init__(self, *, allow_private: bool, trusted: bool = False, total_s: float = TOTAL_S) -> None:
        self._allow_private = allow_private
        self._trusted = trusted
        # No cookies, no proxy of the environment, no automatic inflating of what others send.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_PublicResolver(self._check), use_dns_cache=False, limit=100, limit_per_host=8
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S),
            auto_decompress=False,
            trust_env=False,
        )

    def _check(self, address: str) -> None:
        allowed = self._trusted or is_public(address) or (self._allow_private and is_loopback(address))
        if not allowed:
            raise _Forbidden("the address is not on the public internet")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it once. Raises NotSent."""
        fault = url_fault(url, allow_http=self._allow_private or self._trusted)
        if fault is not None:
            raise NotSent(f"the address may not be used: {fault}")
        target = URL(url)
        try:
            # A numeric host is never resolved, so it is looked at here.
            if target.host is not None and _is_numeric(target.host):
                self._check(target.host)
            async with self._http.post(
                target, headers={"user-agent": "xueshi", **headers}, data=body, allow_redirects=False
            ) as answer:
                text = (await answer.content.read(LARGEST_ANSWER)).decode(errors="replace")
                return Answer(answer.status, text)
        except TimeoutError:
            raise NotSent("no answer in time") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise NotSent(f"the certificate is not valid: {error.certificate_error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, _Forbidden) else error
            raise NotSent(str(cause)[:200] or type(cause).__name__) from None

    async def close(self) -> None:
        await self._http.close()


def _is_numeric(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError:
        # Other spellings of numbers (127.1, 0x7f000001) are refused by aiohttp, or resolved and looked at there.
        return False
    return True
