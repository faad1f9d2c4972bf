"""The wait before an attempt at a secret: counted in auth.throttle, spent here, while the browser waits."""

from __future__ import annotations

import asyncio
import math

from aiohttp import web

from player_server.auth.login_sessions import Client
from player_server.auth.throttle import Attempt, count_attempt
from player_server.web import cookies
from player_server.web.address import address_of, device_of
from player_server.web.keys import SERVICES


async def await_turn(request: web.Request, purpose: str, account: str) -> Attempt:
    """Count an attempt at `account` (a hash) and wait as long as it has to. Raises 429 if too many wait already."""
    attempt = await count_attempt(request.app[SERVICES], purpose, account, address_of(request))
    if attempt.full:
        raise web.HTTPTooManyRequests(headers={"Retry-After": str(math.ceil(attempt.wait_s))})
    await asyncio.sleep(attempt.wait_s)
    return attempt


def client_of(request: web.Request) -> Client:
    """The browser that asks, as the use cases of auth want it."""
    return Client(address_of(request), device_of(request), cookies.login_token(request))
