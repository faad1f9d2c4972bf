"""player_server/standalone/supervisor.py and child.py, with real processes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import redis.asyncio

from player_server.standalone.child import ChildProcess
from player_server.standalone.supervisor import GIVE_UP, Backoff, Supervisor, product_process
from player_server.standalone.valkey import start_valkey
from tests.support.processes import alive, until

QUICK = Backoff(first_s=0.01, longest_s=0.02)

_WAITS = "import signal; print('up', flush=True); signal.pause()"
_NOTES_ITS_END = """
import signal, sys
def end(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True:
    signal.pause()
"""
_IGNORES_SIGTERM = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile 1: signal.pause()"
)


def _python(name: str, code: str, output: Path, *arguments: str) -> ChildProcess:
    return ChildProcess(name, [sys.executable, "-c", code, *arguments], output=output)


def _is_up(output: Path) -> bool:
    return output.exists() and "up" in output.read_text()


async def test_what_dies_is_started_again_and_said_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    server = _python("server", _WAITS, tmp_path / "server")
    supervisor = Supervisor([server], say=said.append, backoff=QUICK)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: _is_up(tmp_path / "server"))
    first = server.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.running and server.pid != first)
    supervisor.request_stop()
    assert await running == 0
    assert said == ["server ended unexpectedly by SIGKILL; starting it again in 0.01 s"]
    assert not alive(server.pid)


async def test_valkey_comes_back_at_the_same_address_with_its_data(tmp_path: Path) -> None:
    said: list[str] = []
    valkey = await start_valkey(tmp_path)
    supervisor = Supervisor([valkey], say=said.append, backoff=QUICK)
    running = asyncio.create_task(supervisor.run())
    async with redis.asyncio.from_url(valkey.url) as client:
        await client.set("left", "behind")
    first = valkey.pid
    valkey.kill()

    async def answers() -> bool:
        try:
            async with redis.asyncio.from_url(valkey.url) as client:
                return bool(valkey.pid != first and await client.get("left") == b"behind")
        except redis.asyncio.RedisError:
            return False

    await until(answers)
    supervisor.request_stop()
    assert await running == 0
    assert len(said) == 1
    assert not alive(valkey.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    notes = tmp_path / "notes"
    services = [
        _python(name, _NOTES_ITS_END, tmp_path / name, str(notes), name) for name in ("server", "worker", "store")
    ]
    said: list[str] = []
    running = asyncio.create_task(Supervisor(services, say=said.append).run())
    await until(lambda: all(_is_up(tmp_path / service.name) for service in services))
    os.kill(os.getpid(), number)
    assert await running == 0
    assert notes.read_text().split() == ["server", "worker", "store"]
    assert said == []


async def test_a_second_signal_does_not_wait_for_what_ignores_the_first(tmp_path: Path) -> None:
    stubborn = _python("server", _IGNORES_SIGTERM, tmp_path / "server")
    running = asyncio.create_task(Supervisor([stubborn], say=print).run())
    await until(lambda: _is_up(tmp_path / "server"))
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait((running,), timeout=0.1)
    assert stubborn.running
    os.kill(os.getpid(), signal.SIGINT)
    assert await asyncio.wait_for(running, 5) == 0
    assert not alive(stubborn.pid)


async def test_what_ignores_sigterm_is_killed_at_the_limit(tmp_path: Path) -> None:
    stubborn = _python("server", _IGNORES_SIGTERM, tmp_path / "server")
    await stubborn.start()
    await until(lambda: _is_up(tmp_path / "server"))
    await stubborn.stop(limit_s=0.1)
    assert await stubborn.wait() == -signal.SIGKILL


async def test_a_child_that_gives_up_ends_everything_with_its_status(tmp_path: Path) -> None:
    worker = _python("worker", _WAITS, tmp_path / "worker")
    server = _python("server", f"raise SystemExit({GIVE_UP})", tmp_path / "server")
    assert await Supervisor([server, worker], say=print).run() == GIVE_UP
    assert not alive(worker.pid)


async def test_a_program_that_is_not_there_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    worker = _python("worker", _WAITS, tmp_path / "worker")
    with pytest.raises(FileNotFoundError):
        await Supervisor([ChildProcess("server", ["/nonexistent/server"]), worker], say=print).run()
    assert not alive(worker.pid)


async def test_a_restart_that_fails_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    valkey = await start_valkey(tmp_path / "valkey")
    manifest = tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    good = manifest.read_bytes()
    supervisor = Supervisor([valkey], say=said.append, backoff=QUICK)
    running = asyncio.create_task(supervisor.run())
    async with redis.asyncio.from_url(valkey.url) as client:
        assert await client.ping()  # By now the supervisor watches it.
    manifest.write_bytes(b"this is no manifest\n")
    first = valkey.pid
    valkey.kill()
    await until(lambda: len(said) >= 2)
    manifest.write_bytes(good)

    async def answers() -> bool:
        try:
            async with redis.asyncio.from_url(valkey.url) as client:
                return valkey.pid != first and bool(await client.ping())
        except redis.asyncio.RedisError:
            return False

    await until(answers)
    supervisor.request_stop()
    assert await running == 0
    assert "ended unexpectedly again (Valkey ended with status 1 while starting" in said[1]


def test_a_product_process_is_run_by_the_same_interpreter() -> None:
    assert product_process("worker", "worker", "--config", "a b.yaml").argv == (
        *(sys.executable, "-m", "player_server"),
        *("worker", "--config", "a b.yaml"),
    )
