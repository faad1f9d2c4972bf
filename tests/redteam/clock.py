"""A clock that a red-team run can speed up and set forward, for a real server process.

    python -m tests.redteam.clock FILE serve --config …

starts the product with Python's clocks running through FILE (two jumps, a start and a speed). The product knows
nothing of it: its own code is untouched, only the clocks below it tell another time. PostgreSQL and Valkey keep
theirs.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

#: Monotonic start, wall start, monotonic jump, wall jump (nanoseconds, signed), speed in thousandths.
_LAYOUT = struct.Struct("<qqqqq")
HOUR_S = 3600.0


class Clock:
    """The file's owner: sets the clocks of every process that was started with it."""

    def __init__(self, path: Path, speed: float) -> None:
        self.path = path
        self.speed = speed
        self._jumps = [0, 0]
        self._start = (time.monotonic_ns(), time.time_ns())
        self._write()

    def now(self) -> float:
        """Seconds on the monotonic clock of the processes that follow this file."""
        return (self._start[0] + (time.monotonic_ns() - self._start[0]) * self.speed + self._jumps[0]) / 1e9

    def jump(self, seconds: float) -> None:
        """Time passes at once, for the monotonic and the wall clock."""
        self._jumps[0] += round(seconds * 1e9)
        self.step_wall(seconds)

    def step_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock; the monotonic one does not move."""
        self._jumps[1] += round(seconds * 1e9)
        self._write()

    def _write(self) -> None:
        data = _LAYOUT.pack(*self._start, *self._jumps, round(self.speed * 1000))
        if not self.path.exists():
            self.path.write_bytes(data)
        with self.path.open("r+b") as file:
            file.write(data)


def install(path: Path) -> None:
    """Make this process's clocks follow the file."""
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), _LAYOUT.size, access=mmap.ACCESS_READ)
    real_mono, real_wall, real_get = time.monotonic_ns, time.time_ns, time.clock_gettime_ns

    def mono() -> int:
        start, _, jump, _, speed = _LAYOUT.unpack(shared[:])
        return int(start + (real_mono() - start) * speed // 1000 + jump)

    def wall() -> int:
        _, start, _, jump, speed = _LAYOUT.unpack(shared[:])
        return int(start + (real_wall() - start) * speed // 1000 + jump)

    def get(clock: int) -> int:
        if clock == time.CLOCK_REALTIME:
            return wall()
        # CLOCK_BOOTTIME and CLOCK_MONOTONIC differ by the time that the machine slept: a constant here.
        return real_get(clock) + mono() - real_mono()

    time.monotonic_ns, time.time_ns, time.clock_gettime_ns = mono, wall, get
    time.time = lambda: wall() / 1e9


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    from player_server.__main__ import main

    sys.exit(main(sys.argv[2:]))
