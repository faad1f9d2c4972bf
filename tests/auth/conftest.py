"""Services on both databases, for every test of auth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from player_server.learning.services import Services
from tests.support.services import close_services, make_services


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    services = await make_services(database_url, valkey_url, tmp_path)
    yield services
    await close_services(services)
