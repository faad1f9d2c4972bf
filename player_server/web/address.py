"""Where a request comes from and where it may go: client address, own origins, local paths."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from aiohttp import web

from player_server.web.keys import SERVICES

#: Device labels are for people to recognise; a longer one is cut.
LONGEST_DEVICE = 200
LONGEST_NEXT = 500
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def client_address(request: web.BaseRequest, trusted_proxies: tuple[str, ...]) -> str:
    """The client's address, or "unknown" on a unix socket.

    X-Forwarded-For is believed from the right, and only as far as each hop is a configured proxy: what stands left
    of the first stranger was written by the client.
    """
    address = request.remote or "unknown"
    hops = [hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
    while hops and address in trusted_proxies:
        hop = hops.pop()
        try:
            address = str(ipaddress.ip_address(hop))
        except ValueError:
            break
    return address


def address_of(request: web.Request) -> str:
    """`client_address` with the configured proxies."""
    return client_address(request, request.app[SERVICES].settings.server.trusted_proxies)


def device_of(request: web.Request) -> str:
    """The browser's own description of itself: a label, no evidence.

    Some old phones write it in another encoding than UTF-8; what cannot be read so is shown as "?".
    """
    return request.headers.get("User-Agent", "")[:LONGEST_DEVICE].encode(errors="replace").decode()


def is_own_origin(request: web.Request, origin: str) -> bool:
    """Whether this Origin header names the server itself.

    On https that is `public_url` and nothing else. For trying out on plain http the address in the browser's bar
    may be localhost or one of the LAN, so the Host header of the same request counts too; a foreign site cannot
    choose it without also losing the cookies.
    """
    settings = request.app[SERVICES].settings
    if origin == origin_of(settings.public_url):
        return True
    return settings.server.insecure_http and origin == f"http://{request.host}"


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def socket_origin(request: web.Request) -> str | None:
    """The server's own ws:// or wss:// origin, for the Content-Security-Policy; None if the Host is nonsense."""
    settings = request.app[SERVICES].settings
    if not settings.server.insecure_http:
        return origin_of(settings.public_url).replace("https://", "wss://", 1).replace("http://", "ws://", 1)
    return f"ws://{request.host}" if _HOST.fullmatch(request.host) else None


def local_path(value: str | None, otherwise: str = "/") -> str:
    """`value` if it is a path on this server, else `otherwise`. For every redirect that a client may choose.

    Browsers read a backslash as a slash and skip control characters, so `/\\evil` and `/<TAB>/evil` would leave.
    """
    if (
        value is None
        or len(value) > LONGEST_NEXT
        or not value.startswith("/")
        or value.startswith(("//", "/\\"))
        or any(ord(character) < 0x21 or character in "\\\x7f" for character in value)
    ):
        return otherwise
    return value
