"""A whole server node in the test's own process: every route on a free port, with its committer and hub running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from player_server.app import build_app
from player_server.gateway.hub import Hub
from player_server.gateway.socket import HUB
from player_server.learning.services import Services


@dataclass(frozen=True, slots=True)
class Node:
    """One running node; `port` is on 127.0.0.1."""

    services: Services
    app: web.Application
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hub(self) -> Hub:
        return self.app[HUB]


def _die() -> None:
    raise AssertionError("a background task of the server died")


@asynccontextmanager
async def live_node(services: Services) -> AsyncIterator[Node]:
    """Serve these services until the end of the block, then stop as SIGTERM would."""
    app = build_app(services, _die)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    try:
        yield Node(services, app, port)
    finally:
        await runner.cleanup()
