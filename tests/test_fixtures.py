"""The fixtures of conftest.py give out what they promise."""

import asyncio
from pathlib import Path

import pytest
import redis.asyncio
import uvloop
from playwright.async_api import Browser
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.postgres import PostgresServer


async def test_the_loop_is_the_one_the_product_runs_on() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_each_test_gets_an_empty_valkey(valkey_url: str) -> None:
    async with redis.asyncio.from_url(valkey_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


async def test_a_key_of_the_test_before_is_gone(valkey_url: str) -> None:
    async with redis.asyncio.from_url(valkey_url) as client:
        assert await client.get("left") is None


async def test_each_test_gets_an_empty_database_that_keeps_chinese(database_url: str) -> None:
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE note (words TEXT)"))
            await connection.execute(text("INSERT INTO note VALUES ('安全生产')"))
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT words FROM note"))).scalars().all() == ["安全生产"]
    finally:
        await engine.dispose()


async def test_a_database_is_emptied_although_a_client_holds_on_to_it(postgres: PostgresServer) -> None:
    name = postgres.create_database()
    things = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    schemas = postgres.execute("SELECT nspname FROM pg_namespace ORDER BY 1", name)
    postgres.execute("CREATE TABLE note (id SERIAL PRIMARY KEY)", name)
    engine = create_async_engine(postgres.url(name))
    async with engine.connect() as connection:
        await connection.execute(text("LOCK TABLE note"))
        postgres.empty_database(name)
        with pytest.raises(DBAPIError):
            await connection.execute(text("INSERT INTO note DEFAULT VALUES"))
        await connection.invalidate()
    await engine.dispose()
    assert postgres.execute(things, name) == "0"
    assert postgres.execute("SELECT nspname FROM pg_namespace ORDER BY 1", name) == schemas
    postgres.drop_database(name)


def test_a_committed_row_survives_a_crash_of_postgres() -> None:
    own = PostgresServer()
    try:
        name = own.create_database()
        own.execute("CREATE TABLE note (words TEXT); INSERT INTO note VALUES ('学时')", name)
        assert own.execute("SHOW fsync") == "on"
        own.kill()
        own.start()
        assert own.execute("SELECT words FROM note", name) == "学时"
    finally:
        own.close()
    assert not own.socket_folder.exists()


async def test_chromium_renders_a_page_and_plays_no_tricks_with_the_loop(
    chromium: Browser, tmp_path: Path, valkey_url: str
) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text("<!doctype html><meta charset=utf-8><title>学时</title>")
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(page_file.as_uri())
    async with redis.asyncio.from_url(valkey_url) as client:
        assert await client.ping()
    assert await page.title() == "学时"
    await context.close()
