"""Fixtures every test may use: real servers, started once for the session, that nobody else uses.

What belongs here starts something real or gives out an empty piece of it. Fixtures that know the product's
tables or pages belong in the conftest.py of the folder that needs them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
import redis.asyncio
import uvloop
from playwright.async_api import Browser, async_playwright

from player_server.standalone.valkey import Valkey, start_valkey
from tests.support.chromium import FLAGS, find_chromium
from tests.support.postgres import PostgresServer

# Time limits of single examples say more about the machine than about the code.
hypothesis.settings.register_profile("xueshi", deadline=None)
hypothesis.settings.load_profile("xueshi")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Valkey]:
    """A Valkey server for the session. Tests that crash a server start one of their own."""
    server = await start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def valkey_url(valkey: Valkey) -> str:
    """The address of the session's Valkey, emptied for this test."""
    async with redis.asyncio.from_url(valkey.url) as client:
        await client.flushall()
    return valkey.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the session, started when the first test asks for it."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def used_databases() -> list[str]:
    """Databases of tests that are over: making a new one costs more than most tests."""
    return []


@pytest.fixture
def postgres_url(postgres: PostgresServer, used_databases: list[str]) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database that nobody else uses during this test."""
    name = used_databases.pop() if used_databases else postgres.create_database()
    yield postgres.url(name)
    postgres.empty_database(name)
    used_databases.append(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The SQLAlchemy URL of an SQLite file of this test's own, which does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'xueshi.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The SQLAlchemy URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium for the session. Each test makes its own context, and with it its own cookies."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        await browser.close()
