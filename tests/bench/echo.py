"""The yardstick: the least that aiohttp and uvloop can do with a frame, which is to send it back.

`python -m tests.bench.echo PORT`. Nothing of the product is imported here, so that its memory is a fair floor.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web


async def echo(request: web.Request) -> web.WebSocketResponse:
    """GET /ws/watch: every text frame goes back as it came."""
    ws = web.WebSocketResponse(protocols=("xueshi.watch.v1",), compress=False)
    await ws.prepare(request)
    async for frame in ws:
        if frame.type is WSMsgType.TEXT:
            await ws.send_str(frame.data)
    return ws


async def ready(_request: web.Request) -> web.Response:
    """GET /readyz, as the product has it."""
    return web.Response(text="ok")


async def serve(port: int) -> None:
    """Run until killed."""
    app = web.Application()
    app.add_routes([web.get("/ws/watch", echo), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
