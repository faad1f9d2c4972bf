"""A Python that has loaded the packages the tests need, and runs pytest in a fork of itself for each line it reads.

Started as a program by `runner.py`. Loading the packages takes longer than most tests; done once, it is shared. The
product and its tests are never loaded here, only in the fork, from the copy that the line names.

A line is a JSON object: `tree` (the copy to run in), `arguments` (of pytest), `output` (a file for what pytest
says), `seconds` (after which the fork is killed). The answer is a line with the exit status; negative: killed by a
signal.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

PACKAGES = (
    "aiohttp.test_utils",
    "aiosqlite",
    "alembic.command",
    "argon2",
    "asyncpg",
    "babel.support",
    "cryptography.fernet",
    "hypothesis.strategies",
    "jinja2",
    "jwt",
    "msgspec",
    "playwright.async_api",
    "prometheus_client",
    "pytest",
    "pytest_aiohttp.plugin",
    "pytest_asyncio.plugin",
    "redis.asyncio",
    "segno",
    "sqlalchemy.ext.asyncio",
    "structlog",
    "uvloop",
    "websockets.asyncio.client",
    "yaml",
)


def main() -> None:
    for package in PACKAGES:
        importlib.import_module(package)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            run(job["tree"], job["arguments"], Path(job["output"]), job["seconds"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


def run(tree: str, arguments: list[str], output: Path, seconds: int) -> None:
    """Be `pytest` in this tree. Does not return."""
    signal.alarm(seconds)
    os.chdir(tree)
    sys.path.insert(0, tree)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    loaded = [name for name in sys.modules if name.partition(".")[0] in ("player_server", "telemetry", "tests")]
    assert not loaded, f"the product must be loaded from the copy alone: {loaded}"
    # Processes that a test starts must find the copy as well.
    os.environ["PYTHONPATH"] = tree
    status = importlib.import_module("pytest").main(arguments)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
