"""Looking at processes from outside, and waiting for something real to happen.

Tests never sleep for a fixed time: they wait for what they mean, and fail when it does not come.
"""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

_POLL_S = 0.02


async def until(what: Callable[[], object | Awaitable[object]], *, timeout: float = 10.0) -> object:
    """Wait until `what()` (may be async) returns something true, and return that.

    Raises AssertionError after `timeout` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        result = what()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        assert loop.time() < deadline, f"did not happen within {timeout:g} s: {inspect.getsource(what).strip()}"
        await asyncio.sleep(_POLL_S)


def alive(pid: int) -> bool:
    """Tell whether the process runs; one that ended and was not collected yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return state not in "ZX"
