"""What /metrics tells, and that every figure of it has its meaning in the operator's guide."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from player_server.learning.services import Services
from player_server.observe import set_up_logging
from player_server.ops.metrics import metrics_page, queues
from player_server.web.middlewares import request_id
from tests.support.doors import browser_of, open_doors
from tests.support.fixtures import services

__all__ = ["services"]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def _broken(request: web.Request) -> web.StreamResponse:
    raise ValueError(f"320106198001011234 of {request_id(request)}")


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, [web.get("/metrics", metrics_page), web.get("/broken", _broken)]) as opened:
        yield opened


async def test_every_queue_is_measured(services: Services, server: TestServer) -> None:
    async with browser_of(services, server) as browser, browser.get("/metrics") as answer:
        text = await answer.text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for queue in queues(0):
        [sample] = families[queue.name].samples
        assert sample.value == 0
        assert families[queue.name].documentation == queue.meaning


async def test_a_log_line_is_json_with_the_requests_id_and_without_id_numbers(
    services: Services, server: TestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    old, level = list(logging.root.handlers), logging.root.level
    try:
        set_up_logging()
        async with browser_of(services, server) as browser, browser.get("/broken") as answer:
            identifier = answer.headers["X-Request-Id"]
        logging.getLogger("aiohttp.server").warning("of a library: 32010619800101123X\n{}")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = old
        logging.root.setLevel(level)
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert failed["request_id"] == identifier
    assert "320106********1234" in failed["exception"] and "198001011234" not in json.dumps(lines)
    assert lines[-1]["event"] == "of a library: 320106********123X\n{}"
    assert lines[-1]["logger"] == "aiohttp.server"


def test_the_folder_of_dead_processes_is_swept(tmp_path: Path) -> None:
    # Its own process, because the library reads the environment when it is loaded.
    import subprocess
    import sys

    (tmp_path / "gauge_livesum_999999999.db").write_bytes(b"")
    (tmp_path / "counter_999999999.db").write_bytes(b"")
    code = "from player_server.observe import forget_dead_processes; forget_dead_processes()"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    assert [file.name for file in tmp_path.glob("*_999999999.db")] == ["counter_999999999.db"]
