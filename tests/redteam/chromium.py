"""Chromium by its raw protocol: tabs that really become hidden, processes that can be stopped and killed, profiles.

Playwright keeps every page "visible and focused", so what a hidden tab, a frozen tab, a crash and a session restore
do can only be seen this way. `Tab` also knows the few things on the player page that these cases look at.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from player_server.standalone.child import die_with_parent
from tests.redteam.people import Learner
from tests.support.chromium import FLAGS, find_chromium
from tests.support.processes import until

START_S = 60.0
#: What the state line says while time counts.
COUNTING = "正在计时"


class Chromium:
    """One browser process with a profile folder of its own. Start it with `running`."""

    def __init__(self, profile: Path, flags: tuple[str, ...]) -> None:
        self.profile = profile
        self._flags = flags
        self._process: asyncio.subprocess.Process | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)

    async def start(self) -> Self:
        """Start it on the profile, new or left over from a crash."""
        port_file = self.profile / "DevToolsActivePort"
        port_file.unlink(missing_ok=True)
        log = (self.profile / "log").open("ab")
        argv = [*FLAGS, *self._flags, "--remote-debugging-port=0", f"--user-data-dir={self.profile}"]
        self._process = await asyncio.create_subprocess_exec(
            *(find_chromium(), *argv, "--accept-lang=zh-CN", "--window-size=900,700", "about:blank"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        log.close()
        await until(lambda: port_file.exists() and len(port_file.read_text().split()) == 2, timeout=START_S)
        port, path = port_file.read_text().split()
        self._socket = await connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None, ping_interval=None)
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in socket:
                message = json.loads(text)
                future = self._answers.pop(message.get("id", 0), None)
                if future is not None and not future.done():
                    future.set_result(message)
        for future in self._answers.values():
            future.cancel()

    async def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command; its result. Raises RuntimeError with the browser's words, or TimeoutError."""
        assert self._socket is not None
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        await self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        answer = await asyncio.wait_for(self._answers[number], 30)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def log_in(self, learner: Learner, node: int = 0) -> None:
        """Give the browser the learner's cookie."""
        cookie = {"name": "xueshi", "value": learner.cookie, "url": learner.arena.nodes[node], "httpOnly": True}
        await self.send("Storage.setCookies", cookies=[cookie])

    async def open(self, url: str, *scripts: str, zone: str | None = None) -> Tab:
        """A new tab in front. `scripts` run in it before the page's own."""
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        tab = await self._attach(target)
        for script in scripts:
            await self.send("Page.addScriptToEvaluateOnNewDocument", tab.session, source=script)
        if zone is not None:
            await self.send("Emulation.setTimezoneOverride", tab.session, timezoneId=zone)
        await self.send("Page.navigate", tab.session, url=url)
        return tab

    async def tabs(self, url: str) -> list[Tab]:
        """Every open tab at this address."""
        infos = (await self.send("Target.getTargets"))["targetInfos"]
        return [
            await self._attach(each["targetId"]) for each in infos if each["type"] == "page" and url in each["url"]
        ]

    async def _attach(self, target: str) -> Tab:
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        await self.send("Page.enable", session)
        return Tab(self, target, session)

    def processes(self, kind: str = "") -> list[int]:
        """The browser's processes, parents first: all of them or one kind ("renderer")."""
        if self._process is None:
            return []
        found, children = [self._process.pid], _children()
        for pid in found:
            found += children.get(pid, [])
        return [pid for pid in found if not kind or f"--type={kind}" in _command(pid)]

    def signal(self, number: signal.Signals, kind: str = "") -> None:
        """Send a signal to these processes."""
        for pid in self.processes(kind):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def quit(self) -> None:
        """End it as by its menu: tabs are remembered."""
        with suppress(asyncio.CancelledError, ConnectionClosed):
            await self.send("Browser.close")
        await self._over()

    async def crash(self) -> None:
        """End it at once, as when the power fails."""
        self.signal(signal.SIGKILL)
        await self._over()

    async def close(self) -> None:
        """End it, whatever state it is in."""
        self.signal(signal.SIGCONT)
        await self.crash()

    async def _over(self) -> None:
        if self._process is not None:
            await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()
        if self._socket is not None:
            self._socket.transport.abort()
        for name in ("SingletonLock", "SingletonCookie", "SingletonSocket"):
            with suppress(FileNotFoundError):
                os.unlink(self.profile / name)


class Tab:
    """One tab, attached."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self.browser = browser
        self.target = target
        self.session = session

    async def run(self, expression: str) -> Any:
        """The value of an expression, evaluated as if the learner had just pressed something."""
        answer = await self.browser.send(
            "Runtime.evaluate",
            self.session,
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    async def until(self, expression: str, timeout: float = 30.0) -> float:
        """Wait until the expression is true; returns how long that took. Raises AssertionError."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def is_true() -> bool:
            # Between two documents there is nothing to ask.
            with suppress(RuntimeError):
                return bool(await self.run(expression))
            return False

        try:
            await until(is_true, timeout=timeout)
        except AssertionError:
            raise AssertionError(f"not within {timeout:g} s: {expression}; {await self.words()}") from None
        return loop.time() - began

    async def show(self) -> None:
        """Bring it to the front."""
        await self.browser.send("Target.activateTarget", targetId=self.target)

    async def reload(self) -> None:
        await self.browser.send("Page.reload", self.session)

    # ---------------------------------------------------------------- the player page

    async def words(self) -> str:
        """What the page tells the learner now: state line, loss, dialogs, notices."""
        with suppress(RuntimeError):
            return str(
                await self.run(
                    "['#state-line', '#state-loss', 'dialog[open]', '#notices'].map("
                    "(each) => document.querySelector(each)?.innerText ?? '').filter(Boolean).join(' | ')"
                )
            )
        return "no page"

    async def ready(self, timeout: float = 30.0) -> float:
        """Wait until the page is connected and would play; how long that took."""
        return await self.until("document.querySelector('#big-play')?.hidden === false", timeout)

    async def press_play(self) -> None:
        """Press the big button and wait until time counts."""
        await self.ready()
        await self.run("document.querySelector('#big-play').click()")
        await self.counts()

    async def counts(self, timeout: float = 30.0) -> float:
        """Wait until the state line says that time counts, and the picture moves."""
        said = f"document.querySelector('#state-verdict')?.textContent.startsWith('{COUNTING}')"
        return await self.until(f"{said} && !document.querySelector('#video').paused", timeout)

    async def position(self) -> float:
        return float(await self.run("document.querySelector('#video').currentTime"))

    async def dialog(self, kind: str, timeout: float = 30.0) -> None:
        """Wait for this dialog."""
        await self.until(f"!!document.querySelector('dialog[open][data-kind={kind}]')", timeout)

    async def press(self, text: str) -> None:
        """Press the button with this text in the open dialog."""
        await self.run(
            "[...document.querySelectorAll('dialog[open] button')]"
            f".find((each) => each.textContent.includes({json.dumps(text)})).click()"
        )


def _children() -> dict[int, list[int]]:
    """The processes of this machine, by their parent."""
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


@asynccontextmanager
async def running(profile: Path, *flags: str) -> AsyncIterator[Chromium]:
    """A browser until the end of the block."""
    browser = Chromium(profile, flags)
    try:
        yield await browser.start()
    finally:
        await browser.close()


def player_url(learner: Learner, video: int = 0, node: int = 0) -> str:
    """The page of this video."""
    return f"{learner.arena.nodes[node]}/player/{learner.lessons.video_ids[video]}"
