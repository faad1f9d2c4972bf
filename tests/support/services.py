"""What use cases are handed, built on the test's own database and Valkey: the same parts as in the product."""

from pathlib import Path
from typing import Any

import redis.asyncio

from player_server.config import load
from player_server.learning.programmes import load_programmes
from player_server.learning.services import Services
from player_server.storage.all_tables import metadata
from player_server.storage.clock import open_clock
from player_server.storage.database import Database
from player_server.storage.hints import Hints
from player_server.storage.keys import load_keys


async def make_services(database_url: str, valkey_url: str, tmp_path: Path, **settings: Any) -> Services:
    """Services over these stores, with every table made. Close them with `close_services`.

    `settings` are parts of the configuration, e.g. `quiz={"feedback": "none"}`. Called twice with the same
    arguments it gives two nodes: they share the database, Valkey and the keys, nothing else.
    """
    overrides: dict[str, Any] = {
        "server": {"insecure_http": True},
        "data": {"folder": str(tmp_path), "database_url": database_url, "redis_url": valkey_url},
    }
    for part, values in settings.items():
        overrides[part] = overrides.get(part, {}) | values
    db = Database(database_url)
    async with db.write() as conn:
        await conn.run_sync(metadata.create_all)
    client = redis.asyncio.from_url(valkey_url)
    configured = load(overrides=overrides)
    return Services(
        settings=configured,
        db=db,
        redis=client,
        clock=await open_clock(db),
        keys=load_keys(tmp_path / "keys"),
        hints=Hints(client),
        programmes=load_programmes(configured.programmes_folder),
    )


async def close_services(services: Services) -> None:
    """Give every connection back."""
    await services.redis.aclose()
    await services.db.close()
