"""A file of which only the beginning may be given out yet: what is beyond waits until more of it may.

To the browser it looks like a slow line: headers name the whole range at once, the bytes come as they become free.
Answering with less would make some players take the cut for the file's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

#: So much is read and sent at a time, in bytes.
CHUNK = 128 * 1024
#: A request that begins beyond what is free waits so long before it is refused, in seconds: whoever drags too far
#: is taken back by the page within that time, and a refusal would leave the player with an error.
REFUSE_AFTER_S = 3.0
#: How often it is asked whether more is free, in seconds: at first, and when nobody has got further for a while.
ASK_S = 1.0
ASK_SELDOM_S = 4.0
SELDOM_AFTER = 30

#: How many bytes from the beginning may be given out now; None: all of them. Raises web.HTTPException when the
#: right to load it has ended.
Limit = Callable[[], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes a request asks for: from `start`, before `stop`, of `size`."""

    start: int
    stop: int
    size: int


def part_of(request: web.Request, size: int) -> Part | None:
    """What the Range header asks for; None if it cannot be given. Several ranges at once are not."""
    try:
        asked = request.http_range
    except ValueError:
        return None
    start, stop = asked.start, asked.stop
    if start is None:
        return Part(0, size, size)
    if start < 0:
        start = max(0, size + start)
    stop = size if stop is None else min(stop, size)
    return Part(start, stop, size) if start < stop else None


async def send_paced(
    request: web.Request, path: Path, part: Part, limit: Limit, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer with this part of the file, as it becomes free. Raises 416 when it begins too far beyond."""
    free = await _until_more(limit, part.start, REFUSE_AFTER_S)
    if free is not None and free <= part.start:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{part.size}"})
    stat = await asyncio.to_thread(path.stat)
    response = web.StreamResponse(status=206 if "Range" in request.headers else 200, headers=headers)
    # The same as aiohttp's own way of sending files: a browser compares them between two parts.
    response.etag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
    response.last_modified = stat.st_mtime
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = part.stop - part.start
    if response.status == 206:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{part.size}"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    at = part.start
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, at)
        while at < part.stop:
            if free is not None and free <= at:
                free = await _until_more(limit, at, None)
            end = part.stop if free is None else min(part.stop, free)
            data = await asyncio.to_thread(file.read, min(CHUNK, end - at))
            if not data:
                break
            await response.write(data)
            at += len(data)
    finally:
        file.close()
    await response.write_eof()
    return response


async def _until_more(limit: Limit, at: int, patience_s: float | None) -> int | None:
    """Ask until more than `at` is free, at most for `patience_s`. Cancelled when the browser goes away."""
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), 0
    while True:
        free = await limit()
        asked += 1
        if free is None or free > at:
            return free
        if patience_s is not None and loop.time() - began >= patience_s:
            return free
        await asyncio.sleep(ASK_S if asked < SELDOM_AFTER else ASK_SELDOM_S)
