"""Fixtures that several folders need and that know the product. A folder's conftest.py takes what its tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from player_server.learning.services import Services
from tests.support.identity import Visitor, browsers
from tests.support.services import close_services, make_services


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Services on both databases. A module for which one is enough overrides `database_url`."""
    made = await make_services(database_url, valkey_url, tmp_path)
    yield made
    await close_services(made)


@pytest_asyncio.fixture
async def visitor(services: Services) -> AsyncIterator[Visitor]:
    """A browser that nobody is logged in to, in front of the pages of identity."""
    async with browsers(services) as [visitor]:
        yield visitor
