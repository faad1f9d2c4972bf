"""One child process that never outlives us.

What belongs here is what all our child processes share: a process group of their own, an end that comes for
certain, and readable words for how they ended. What a particular child is for belongs to its own module.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

STOP_LIMIT_S = 10.0
"""Seconds between SIGTERM and SIGKILL: long enough for a server to say 1012 to every player and commit."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child must run before `exec` so that the kernel kills it when this process dies.

    Use it as `preexec_fn` of subprocess, from the main thread: Linux watches the *thread* that forked. Returns
    None where the system offers no such thing; there, a `kill -9` of this process leaves its children behind.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        # Resolved here and not in the child, where nothing may be loaded any more.
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died between our fork and the line above, so no signal will come.
            os._exit(1)

    return before_exec


def in_words(status: int) -> str:
    """Say how a process ended, for example "with status 1" or "by SIGKILL"."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


class ChildProcess:
    """A child process that can be started again after it ended.

    It gets a session of its own, because Ctrl-C in a terminal goes to every process of the foreground group
    and would end Valkey before the server has committed; whoever owns the child ends it in order.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        output: Path | None = None,
        inherit: Callable[[], int] | None = None,
    ) -> None:
        """Describe the child; nothing runs yet.

        `env` is its whole environment (None: ours). `output` is a file that its standard output and error are
        appended to (None: they go where ours go). `inherit` opens a file descriptor at each start that the
        child keeps until its end while we close it; that is how a lock lives exactly as long as the child.
        """
        self.name = name
        self.argv = tuple(str(part) for part in argv)
        self._env = None if env is None else dict(env)
        self._output = output
        self._inherit = inherit
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id of the latest start. Raises RuntimeError before the first."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    async def start(self) -> None:
        """Start it, unless it runs. Raises OSError when the program cannot be executed."""
        if self.running:
            return
        with contextlib.ExitStack() as cleanup:
            output: IO[bytes] | None = None
            if self._output is not None:
                output = cleanup.enter_context(self._output.open("ab"))
            inherited: tuple[int, ...] = ()
            if self._inherit is not None:
                descriptor = self._inherit()
                cleanup.callback(os.close, descriptor)
                inherited = (descriptor,)
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=inherited,
                preexec_fn=die_with_parent(),
            )

    async def wait(self) -> int:
        """Wait for its end; returns the exit status, or minus the number of the signal that ended it."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """End it with SIGTERM, and with SIGKILL after `limit_s` seconds. Does nothing when it does not run."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), limit_s)
        finally:
            # Also when we are cancelled: whoever stops waiting must not leave the child behind.
            if process.returncode is None:
                self.kill()
                await process.wait()

    def kill(self) -> None:
        """End it with SIGKILL at once. Does nothing when it does not run."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
