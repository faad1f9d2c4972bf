"""./run client and ./run rotate-keys, as an operator types them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from player_server.__main__ import main
from player_server.storage.keys import load_keys


async def run(*arguments: str) -> int:
    """One command, in a thread: it has a loop of its own."""
    return await asyncio.to_thread(main, list(arguments))


@pytest_asyncio.fixture
async def config(tmp_path: Path) -> Path:
    """The configuration of an installation with one institution. As beside `./run`, it names no Redis."""
    path = tmp_path / "config.yaml"
    data = {"folder": str(tmp_path)}
    path.write_text(yaml.safe_dump({"server": {"insecure_http": True}, "data": data}), encoding="utf-8")
    assert await run("migrate", "--config", str(path)) == 0
    with sqlite3.connect(tmp_path / "xueshi.sqlite") as conn:
        conn.execute("INSERT INTO institution (name, created_at) VALUES ('示例', 1)")
    return path


async def test_clients_are_added_rotated_listed_and_switched_off(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = ["--config", str(config)]
    assert await run("client", "add", "exam", "--institution", "示例", "--scopes", "eligibility,hours", *where) == 0
    assert "BEGIN PRIVATE KEY" in capsys.readouterr().out
    assert await run("client", "add", "audit", "--regulator", "--secret", *where) == 0
    secret = capsys.readouterr().out.strip()
    assert len(secret) == 43
    for wrong in (
        ["add", "exam", "--regulator"],
        ["add", "x", "--institution", "别家"],
        ["add", "x"],
        ["add", "x", "--regulator", "--scopes", "all"],
        ["add", "x", "--regulator", "--key", str(config)],
        ["disable", "nobody"],
    ):
        assert await run("client", *wrong, *where) not in (0, None), wrong
        assert capsys.readouterr().err.startswith("xueshi: "), wrong
    assert await run("client", "rotate", "exam", "--secret", *where) == 0
    assert await run("client", "disable", "audit", *where) == 0
    capsys.readouterr()
    assert await run("client", "list", *where) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == [
        "exam  exam  示例  secret  eligibility hours",
        "audit  audit  regulator  secret  eligibility hours results launches events  (switched off)",
    ]
    assert secret.encode() not in (tmp_path / "xueshi.sqlite").read_bytes()


async def test_a_new_signing_key_is_announced_before_it_signs(config: Path, tmp_path: Path) -> None:
    signing = load_keys(tmp_path / "keys").signing
    old = signing.current(0)
    assert await run("rotate-keys", "--config", str(config)) == 0
    assert len(signing.jwks(0)["keys"]) == 2
    assert signing.current(old.signs_from).kid == old.kid
    assert await run("rotate-keys", "--at-once", "--config", str(config)) == 0
    (only,) = signing.jwks(0)["keys"]
    assert only["kid"] != old.kid
