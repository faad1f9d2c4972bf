"""One server's services, or two servers' on the same stores, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from player_server.learning.services import Services
from tests.support.fixtures import services
from tests.support.services import close_services, make_services

__all__ = ["nodes", "services"]


@pytest_asyncio.fixture
async def nodes(
    services: Services, database_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Services, Services]]:
    """Two servers that share stores and keys, nothing else."""
    other = await make_services(database_url, valkey_url, tmp_path)
    yield services, other
    await close_services(other)
