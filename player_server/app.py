"""Builds everything: the only place that chooses stores and clocks, and hands them to the doors."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import redis.asyncio
from aiohttp import web

from player_server.config import ConfigError, Settings
from player_server.gateway.hub import Hub
from player_server.gateway.socket import HUB
from player_server.learning.dashboard import Dashboards
from player_server.learning.programmes import load_programmes
from player_server.learning.services import Services
from player_server.learning.watch import Watching
from player_server.observe import log
from player_server.pages.render import error_page
from player_server.routes import add_routes
from player_server.storage.clock import open_clock
from player_server.storage.database import Database
from player_server.storage.hints import Hints
from player_server.storage.keys import load_keys
from player_server.storage.migrate import migrate
from player_server.storage.playback import open_playback
from player_server.web.keys import DASHBOARDS, SERVICES
from player_server.web.middlewares import install

#: A Redis that does not answer within this many seconds is taken to be away.
REDIS_TIMEOUT_S = 2.0
REDIS_CONNECTIONS = 50
#: The largest request body, in bytes: forms and small JSON. Uploads have limits of their own.
LARGEST_BODY = 256 * 1024


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The stores of these settings, migrated and ready; closed at the end of the block."""
    programmes = load_programmes(settings.programmes_folder)
    db = Database(settings.database_url)
    client = _redis(settings)
    try:
        await migrate(db)
        yield Services(
            settings=settings,
            db=db,
            redis=client,
            clock=await open_clock(db),
            keys=load_keys(settings.keys_folder),
            hints=Hints(client),
            programmes=programmes,
        )
    finally:
        await client.aclose()
        await db.close()


def _redis(settings: Settings) -> redis.asyncio.Redis:
    url = settings.data.redis_url
    if url is None:
        raise ConfigError("data.redis_url is not set: name a Redis, or start everything with `./run`")
    # Waiting for a free connection is right; failing because a hundred are busy is not.
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )
    return redis.asyncio.Redis.from_pool(pool)


def build_app(services: Services, die: Callable[[], None]) -> web.Application:
    """The whole server on these services. `die` ends the process when a background task has died."""
    app = web.Application(client_max_size=LARGEST_BODY)
    app[SERVICES] = services
    node = f"{socket.gethostname()}:{os.getpid()}"
    hub = Hub(services, Watching(services, node), open_playback(services.db, services.clock))
    app[HUB] = hub
    app[DASHBOARDS] = Dashboards(services)
    install(app, error_page)
    add_routes(app)

    async def background(_app: web.Application) -> AsyncIterator[None]:
        work = (hub.committer.run(), hub.watch_over(), services.hints.listen(hub.receive))
        tasks = [asyncio.create_task(each) for each in work]

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                # Without its committer a server would take beats and never acknowledge one.
                log.error("background_task_died", error=repr(task.exception()))
                die()

        for task in tasks:
            task.add_done_callback(ended)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await hub.committer.close()

    async def stop_players(_app: web.Application) -> None:
        await hub.stop()

    app.cleanup_ctx.append(background)
    app.on_shutdown.append(stop_players)
    return app
