"""The yardstick of the interface: the least that aiohttp can do with a row, one SELECT by primary key.

`python -m tests.bench.bare PORT DSN`. Nothing of the product is imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg
import uvloop
from aiohttp import web


async def serve(port: int, dsn: str) -> None:
    """Run until killed."""
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=10)

    async def one(request: web.Request) -> web.Response:
        learner = int(request.match_info["learner"])
        row = await pool.fetchrow("SELECT id, institution_id, person_id FROM learner WHERE id = $1", learner)
        return web.Response(body=json.dumps(dict(row)).encode(), content_type="application/json")

    async def ready(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes([web.get("/api/v1/eligibility/{learner}", one), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
