"""A plain `./run`, started and ended as a person does it, on a folder of the test's own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from player_server.__main__ import main
from player_server.auth.service_tokens import make_client_proof
from player_server.standalone.child import ChildProcess
from tests.support.clients import PROOF
from tests.support.http_browser import HttpBrowser
from tests.support.learner import PASSWORD
from tests.support.ports import free_port
from tests.support.processes import alive, until

RUN = Path(__file__).parents[1] / "run"
#: A cold start on a busy machine; a warm one on a free machine takes three seconds.
START_S = 60.0
_LEARNER = re.compile(r"(\d{17}[\dX])\s+(\S+)\s+\((.*)\)")


@dataclass
class Started:
    """A running `./run`. `learners` are those it printed: ID number, secret, and what stands in brackets."""

    child: ChildProcess
    url: str
    output: str
    learners: list[tuple[str, str, str]]

    async def log_in(self, id_number: str, secret: str) -> str:
        """Where this secret leads to."""
        async with HttpBrowser(self.url) as browser:
            await browser.get("/login")
            await browser.submit("/login", id_number=id_number, password=secret)
            return browser.path

    @property
    def initial(self) -> tuple[str, str]:
        """ID number and secret of the learner who still has to choose a password."""
        return next((number, secret) for number, secret, note in self.learners if note.startswith("initial"))

    @property
    def chosen(self) -> tuple[str, str]:
        """ID number and password of a learner who has chosen one."""
        return next((number, secret) for number, secret, note in self.learners if note == "password")


class Home:
    """A folder with a configuration and the data of one installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "config.yaml"
        self.port = free_port()
        self._starts = 0
        tree: dict[str, Any] = {"server": {"insecure_http": True}, "data": {"folder": str(self.data)}}
        self.config.write_text(yaml.safe_dump(tree), encoding="utf-8")

    @asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[Started]:
        """`./run` until it serves; whatever happens in the block, it is ended as by Ctrl-C and leaves nothing."""
        self._starts += 1
        output = self.folder / f"output-{self._starts}"
        child = ChildProcess("run", [RUN, *self.arguments(*arguments)], output=output)
        await child.start()
        url = f"http://127.0.0.1:{self.port}"
        try:
            await until(lambda: not child.running or _answers(url), timeout=START_S)
            text = output.read_text(encoding="utf-8")
            assert child.running, text
            assert url in text
            yield Started(child, url, text, _LEARNER.findall(text))
            family = descendants(child.pid)
            assert len(family) == 3, "server, worker and Valkey"
            os.killpg(child.pid, signal.SIGINT)
            async with asyncio.timeout(15):
                assert await child.wait() == 0
            assert [pid for pid in family if alive(pid)] == []
            assert not await _answers(url)
        finally:
            await child.stop()

    def arguments(self, *more: str, port: int | None = None) -> list[str]:
        return ["--config", str(self.config), "--port", str(port or self.port), *more]


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{url}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def descendants(pid: int) -> list[int]:
    """Children of this process and theirs."""
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in descendants(child)]


async def refused(*arguments: str) -> str:
    """Call `./run` with something that cannot work; returns the one line that says so."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        child = ChildProcess("run", [RUN, *arguments], output=said)
        await child.start()
        try:
            async with asyncio.timeout(START_S):
                assert await child.wait() != 0
        finally:
            await child.stop()
        [line] = said.read_text(encoding="utf-8").splitlines()
        return line


async def test_a_start_serves_the_demo_and_the_next_one_goes_on_with_its_data(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with home.started() as first:
        assert await first.log_in(*first.chosen) == "/"
        assert await first.log_in(*first.initial) == "/password"
        await staff_and_exam_service_get_in(home, first)
        async with HttpBrowser(first.url) as browser:
            await browser.get("/login")
            await browser.submit("/login", id_number=first.initial[0], password=first.initial[1])
            await browser.submit("/password", new=PASSWORD, repeat=PASSWORD)
            assert "施工现场安全生产" in await browser.get("/")
    async with home.started() as second:
        assert second.learners == first.learners
        assert await second.log_in(first.initial[0], PASSWORD) == "/"
        assert await second.log_in(*first.initial) == "/login"
        await another_start_on_the_same_data_is_refused_and_harms_nothing(home, second)
        assert await second.log_in(first.initial[0], PASSWORD) == "/"
    async with home.started("--fresh") as fresh:
        assert {secret for _, secret, _ in fresh.learners}.isdisjoint(secret for _, secret, _ in first.learners)
        assert await fresh.log_in(first.initial[0], PASSWORD) == "/login"
        assert await fresh.log_in(*fresh.initial) == "/password"


async def staff_and_exam_service_get_in(home: Home, first: Started) -> None:
    """The other printed accounts work too."""
    username, password = re.search(r"(demo-staff)\s+(\S+)", first.output).groups()  # type: ignore[union-attr]
    async with HttpBrowser(first.url) as browser:
        await browser.get("/staff/login")
        await browser.submit("/staff/login", username=username, password=password)
        assert browser.path == "/staff"
        proof = make_client_proof((home.data / "exam-client.pem").read_text(), "exam-demo", first.url)
        form = {"grant_type": "client_credentials", "client_assertion_type": PROOF, "client_assertion": proof}
        async with browser.http.post(f"{first.url}/api/v1/oauth/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        path = re.search(r"/api/v1/eligibility/\d+", first.output)
        assert path is not None
        async with browser.http.get(first.url + path[0], headers={"Authorization": f"Bearer {token}"}) as answer:
            assert (await answer.json())["eligible"] is False


async def another_start_on_the_same_data_is_refused_and_harms_nothing(home: Home, running: Started) -> None:
    line = await refused(*home.arguments("--fresh"))
    assert f"127.0.0.1:{home.port}" in line and "--port" in line
    line = await refused(*home.arguments("--fresh", port=free_port()))
    assert "another Xueshi is running" in line
    assert await _answers(running.url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: [", "not valid YAML in line"),
        ("watch: {beat_evry_s: 5}", "beat_evry_s"),
        ("watch: {gap_grace_s: soon}", "gap_grace_s"),
        ("server: {insecure_http: false}", "insecure_http"),
        ("data: {database_url: 'mysql://x'}", "database_url"),
        (None, "No such file"),
    ],
)
def test_a_config_that_cannot_be_used_gives_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    config = tmp_path / "my config.yaml"
    if text is not None:
        config.write_text(text, encoding="utf-8")
    assert main(["--config", str(config), "--port", str(free_port())]) != 0
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line.startswith(f"xueshi: {config}: ")
    assert said in line
    assert printed.out == ""


async def test_what_only_a_start_can_find_out_gives_one_line_too(tmp_path: Path) -> None:
    home = Home(tmp_path)
    tree = yaml.safe_load(home.config.read_text(encoding="utf-8"))
    for data, said in (
        ({"folder": str(home.config / "data")}, "data.folder"),
        ({"database_url": f"postgresql+asyncpg://x@/x?host={tmp_path}/none"}, "data.database_url"),
    ):
        home.config.write_text(yaml.safe_dump(tree | {"data": tree["data"] | data}), encoding="utf-8")
        assert said in await refused(*home.arguments())


async def test_a_port_in_use_is_said_in_one_line_before_anything_is_made(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", home.port))
        listener.listen()
        line = await refused(*home.arguments())
    assert f"127.0.0.1:{home.port}" in line
    assert not home.data.exists()
