"""The server processes: one of them, or several that share a port and are looked after here.

What belongs here is starting, stopping and watching over processes. What a server does stands in `app.py`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import socket
import threading

from aiohttp import web

from player_server.app import build_app, open_services
from player_server.config import Settings
from player_server.observe import METRICS_FOLDER, forget_dead_processes, log, set_up_logging
from player_server.operating.where import CommandError, Where
from player_server.standalone.supervisor import Supervisor, product_process

#: So many more objects than before make a server look for cycles: more than a commit of all players has under way.
COLLECT_AFTER = 10_000
#: A stop that takes longer than this is cut short, in seconds: whoever sent SIGTERM may count on ten.
LONGEST_STOP_S = 9.0
#: What is left for ordinary requests once the players have been told, in seconds.
LAST_REQUESTS_S = 2.0


async def serve(where: Where, *, shared_port: bool = False) -> int:
    """`serve`: one server process until SIGTERM. Ends with 1 when a background task of it has died.

    With `shared_port` other processes may listen on the same port; the kernel shares out new connections.
    """
    settings = where.settings()
    set_up_logging()
    forget_dead_processes()
    stop = asyncio.Event()
    failed = False

    def die() -> None:
        nonlocal failed
        failed = True
        stop.set()

    async with open_services(settings) as services:
        runner = web.AppRunner(build_app(services, die), access_log=None, shutdown_timeout=LAST_REQUESTS_S)
        await runner.setup()
        host, port = settings.server.host, settings.server.port
        try:
            await web.TCPSite(runner, host, port, backlog=2048, reuse_port=shared_port or None).start()
        except OSError as error:
            await runner.cleanup()
            raise CommandError(f"cannot listen on port {port}: {error.strerror}") from None
        _spare_the_collector()
        log.info("serving", host=host, port=port)
        stop_on_signals(stop)
        await stop.wait()
        _be_gone_in_time()
        await runner.cleanup()
    log.info("stopped")
    return 1 if failed else 0


async def serve_many(where: Where, processes: int) -> int:
    """`serve --processes N`: so many server processes on one port, started again when they die, until SIGTERM.

    Their metrics are kept in a folder that they share, so that whichever of them is asked answers for all.
    """
    settings = where.settings()
    if processes < 1:
        raise CommandError("--processes must be at least 1")
    check_port(settings)
    environment = where.environment()
    if METRICS_FOLDER not in environment:
        folder = settings.folder / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment[METRICS_FOLDER] = str(folder)
    children = [
        product_process(f"serve-{number}", "serve", "--shared-port", *where.arguments(), env=environment)
        for number in range(1, processes + 1)
    ]
    set_up_logging()
    log.info("supervising", processes=processes, port=settings.server.port)
    return await Supervisor(children, say=lambda line: log.warning("process", text=line), together=True).run()


def check_port(settings: Settings) -> None:
    """Raise CommandError, with what to do, when the port is taken."""
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family[0], family[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(family[4])
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Another program may use it; "
            "try --port with another number."
        ) from None


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _be_gone_in_time() -> None:
    """A store that hangs must not hold up a stop: everything that was acknowledged is durable already.

    A thread, because whatever hangs may be the loop itself.
    """

    def give_up() -> None:
        log.error("stop_cut_short", after_s=LONGEST_STOP_S)
        os._exit(1)

    timer = threading.Timer(LONGEST_STOP_S, give_up)
    timer.daemon = True
    timer.start()


def _spare_the_collector() -> None:
    """Beats leave no cycles behind, but thousands of rows under way look to Python's collector like growth: by
    default it walks through all players every few commits, which was a third of the CPU of a beat."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
