"""Keeps the processes of one `./run` alive, and ends them in order.

What belongs here is when to start, restart and stop. What the processes do, and what is printed about the
product itself, belongs to player_server/__main__.py.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from player_server.standalone.child import STOP_LIMIT_S, ChildProcess, in_words

GIVE_UP = 78
"""Exit status (EX_CONFIG of sysexits.h) by which a child says that starting it again is useless."""


class Service(Protocol):
    """What the supervisor keeps alive: a ChildProcess, or a Valkey."""

    @property
    def name(self) -> str:
        """What the user reads, for example "server"."""

    async def start(self) -> None:
        """Start it and return when it is usable; do nothing when it runs."""

    async def wait(self) -> int:
        """Wait for its end; return the exit status, or minus the number of a signal."""

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """End it within `limit_s` seconds; do nothing when it does not run."""

    def kill(self) -> None:
        """End it with SIGKILL at once; do nothing when it does not run."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a service is started again. All in seconds."""

    first_s: float = 0.5
    """A single crash should hardly be noticed by a player, which reconnects for 15 s without any loss."""

    longest_s: float = 30.0
    """A service that keeps crashing must not keep the machine busy."""

    healthy_s: float = 60.0
    """One that ran this long is taken as repaired: its next crash starts from `first_s` again."""


def product_process(
    name: str, *arguments: str, env: Mapping[str, str] | None = None, output: Path | None = None
) -> ChildProcess:
    """Describe a child `python -m player_server ARGUMENTS`, run by the same interpreter.

    `env` is its whole environment; None means ours. `output` is a file for its log; None means our own output.
    """
    return ChildProcess(name, [sys.executable, "-m", "player_server", *arguments], env=env, output=output)


class Supervisor:
    """Runs services until a signal comes, one of them gives up, or `request_stop` is called."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        say: Callable[[str], None],
        backoff: Backoff | None = None,
        together: bool = False,
    ) -> None:
        """Take `services` in the order in which they end: server, worker, Valkey.

        They start in the opposite order; one that runs already is taken over. `say` gets one line for the user
        whenever something unexpected happens. `together`: none needs another, so they end at the same time.
        """
        self._services = tuple(services)
        self._say = say
        self._backoff = backoff or Backoff()
        self._together = together
        self._stop = asyncio.Event()
        self._status = 0

    def request_stop(self, status: int = 0) -> None:
        """Let `run` end everything and return `status`. Safe to call more than once; the first status wins."""
        if not self._stop.is_set():
            self._status = status
            self._stop.set()

    async def run(self) -> int:
        """Start everything, keep it running, and end it in order; returns the exit status for our own process.

        SIGINT, SIGTERM and SIGHUP end it with status 0, a second one at once. A service that ends with
        GIVE_UP ends everything with that status. A service that cannot be started the first time ends
        everything and its error is raised.
        """
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self._on_signal)
        keepers: list[asyncio.Task[None]] = []
        try:
            for service in reversed(self._services):
                if self._stop.is_set():
                    break
                await service.start()
                keepers.append(asyncio.create_task(self._keep(service), name=f"keep {service.name}"))
            await self._until_stopped(keepers)
        finally:
            self._stop.set()
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            if self._together:
                await asyncio.gather(*(service.stop() for service in self._services))
            for service in self._services:
                await service.stop()
            for number in signals:
                loop.remove_signal_handler(number)
        return self._status

    def _on_signal(self) -> None:
        if self._stop.is_set():  # Whoever presses Ctrl-C twice does not want to wait.
            for service in self._services:
                service.kill()
        self.request_stop()

    async def _until_stopped(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the request to stop, but raise at once what a keeper raises: it must not die silently."""
        stopped = asyncio.create_task(self._stop.wait(), name="wait for stop")
        try:
            done, _ = await asyncio.wait((stopped, *keepers), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stopped.cancel()

    async def _keep(self, service: Service) -> None:
        """Start the service again whenever it ends, until told to stop."""
        loop = asyncio.get_running_loop()
        pause_s = self._backoff.first_s
        while True:
            began = loop.time()
            status = await service.wait()
            if self._stop.is_set():
                return
            if status == GIVE_UP:
                self.request_stop(GIVE_UP)
                return
            if loop.time() - began >= self._backoff.healthy_s:
                pause_s = self._backoff.first_s
            ended = in_words(status)
            while True:
                self._say(f"{service.name} ended unexpectedly {ended}; starting it again in {pause_s:g} s")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self._backoff.longest_s)
                try:
                    await service.start()
                    break
                except Exception as error:
                    ended = f"again ({error})"
