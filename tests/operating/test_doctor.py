"""`./run doctor` on set-ups that are broken on purpose: it names each, says what to type, and changes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio
import redis.asyncio
import yaml
from sqlalchemy import text

from player_server.learning.services import Services
from player_server.operating.doctor import Diagnosis, examine
from player_server.operating.where import Where
from player_server.storage.migrate import migrate
from tests.support import school
from tests.support.services import close_services, make_services


@dataclass
class Place:
    """An installation that works, with one person in it; each test breaks a copy of its settings."""

    folder: Path
    services: Services
    tree: dict[str, Any] = field(default_factory=dict)

    def config(self, **parts: dict[str, Any]) -> Path:
        tree = {name: values | parts.get(name, {}) for name, values in self.tree.items()}
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return path

    async def wrong(self, **parts: dict[str, Any]) -> dict[str, Diagnosis]:
        """What is wrong with these settings, by what was looked at."""
        where = Where((self.config(**parts),), {})
        return {each.what: each async for each in examine(where) if each.state == "wrong"}


@pytest_asyncio.fixture
async def place(postgres_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path, await make_services(postgres_url, valkey_url, tmp_path))
    async with made.services.db.write() as conn:
        await conn.execute(text("DROP SCHEMA public CASCADE"))
        await conn.execute(text("CREATE SCHEMA public"))
    await migrate(made.services.db)
    await school.add_person(made.services)
    made.tree = {
        "server": {"insecure_http": True},
        "data": {"folder": str(tmp_path), "database_url": postgres_url, "redis_url": valkey_url},
    }
    yield made
    await close_services(made.services)


async def test_nothing_is_wrong_with_a_good_one_and_the_command_says_so(place: Place) -> None:
    assert await place.wrong() == {}
    command = [sys.executable, "-m", "player_server", "doctor", "--config", str(place.config())]
    done = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said = (await done.communicate())[0].decode()
    assert done.returncode == 0
    assert "0 wrong" in said and "schema: version" in said


async def test_a_database_that_is_away(place: Place) -> None:
    url = "postgresql+asyncpg://xueshi:geheim@127.0.0.1:1/xueshi"
    found = await place.wrong(data={"database_url": url})
    assert list(found) == ["database"]
    assert "data.database_url" in found["database"].cure
    assert "geheim" not in found["database"].lines()


async def test_a_schema_that_is_old_or_newer(place: Place) -> None:
    async with place.services.db.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert (await place.wrong())["schema"].cure == "./run migrate"
    async with place.services.db.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "newer release" in (await place.wrong())["schema"].cure


async def test_a_redis_that_forgets_or_drops(place: Place) -> None:
    client = redis.asyncio.from_url(str(place.tree["data"]["redis_url"]))
    before: dict[Any, Any] = await client.config_get("appendonly", "maxmemory-policy")
    try:
        await client.config_set("appendonly", "no")
        await client.config_set("maxmemory-policy", "allkeys-lru")
        found = await place.wrong()
    finally:
        for name, value in before.items():
            await client.config_set(name, value)
        await client.aclose()
    assert set(found) == {"redis appendonly", "redis maxmemory-policy"}
    assert "CONFIG SET maxmemory-policy noeviction" in found["redis maxmemory-policy"].cure
    assert "redis_url" in (await place.wrong(data={"redis_url": "redis://127.0.0.1:1/0"}))["redis"].cure


async def test_a_key_that_is_lost_or_of_another_database(place: Place) -> None:
    key = place.folder / "keys" / "root.key"
    right = key.read_text()
    key.unlink()
    assert "backup" in (await place.wrong())["key"].cure
    assert not key.exists(), "looking must not make a key"
    key.write_text("ab" * 32)
    assert "not the key of this database" in (await place.wrong())["key"].words
    key.write_text("ab" * 16)
    assert "does not hold" in (await place.wrong())["key"].words
    key.write_text(right)
    assert await place.wrong() == {}


async def test_folders_and_settings_that_cannot_be_used(place: Place) -> None:
    (place.folder / "file").write_text("")
    found = await place.wrong(data={"folder": str(place.folder / "file" / "var"), "keys_folder": str(place.folder)})
    assert any("sudo mkdir -p" in each.cure for each in found.values())
    found = await place.wrong(server={"public_url": "https://xueshi.example.org"})
    assert found["cookies"].cure == "set server.insecure_http: false"
    found = await place.wrong(data={"databse_url": "x"})
    assert "databse_url" in found["settings"].words
