"""A service that receives webhooks on loopback, verifies each as the standard says, and answers as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

#: What a receiver may answer with: (message) → status.
Answering = Callable[[dict[str, Any]], int]


class Receiver:
    """`asked`: every message that came and was verified, in the order of arrival; `got`: those that were taken."""

    def __init__(self) -> None:
        self.secret = ""
        self.got: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.answer: Answering = lambda message: 200
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        message = json.loads(body)
        if self.secret:
            assert Webhook(self.secret).verify(body, dict(request.headers.items())) == message
        self.asked.append(message)
        self.ids.append(request.headers.get("webhook-id", ""))
        await self.open.wait()
        status = self.answer(message)
        if 200 <= status < 300:
            self.got.append(message)
        return web.Response(status=status)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        receiver.open.set()
        await runner.cleanup()
