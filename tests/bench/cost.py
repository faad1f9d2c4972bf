"""What processes cost, read from the kernel: CPU time, memory, a synced write, and which core they run on."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: What a commit of a small batch writes, in bytes, and how often the disk is asked.
_SYNC_BYTES = 8192
_SYNC_TIMES = 200


def cpu_s(pid: int) -> float:
    """Seconds of CPU this process and its collected children have used; 0 if it is gone."""
    return sum(_times(Path(f"/proc/{pid}/stat"))) * _TICK_S


def family_cpu_s(pid: int) -> float:
    """The same for a process with all its living children: PostgreSQL."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return cpu_s(pid) + sum(cpu_s(int(child)) for child in children)


def loop_cpu_s(pid: int) -> float:
    """Only the first thread: the event loop. The rest of the process is the threads that SQLite works in."""
    return sum(_times(Path(f"/proc/{pid}/task/{pid}/stat"))[:2]) * _TICK_S


def _times(path: Path) -> tuple[int, ...]:
    try:
        # The name in brackets may hold spaces; the fields after it are counted from 3 in proc(5).
        fields = path.read_text().rpartition(")")[2].split()
    except OSError:
        return (0,)
    return tuple(int(field) for field in fields[11:15])


def memory_kb(pid: int) -> int:
    """Kilobytes of memory of the process' own, without shared and file-backed pages."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError("this kernel does not tell RssAnon")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server has for itself, and which everything else shares."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> Cores:
        """The first core for the server; on a machine with one core everything shares it."""
        ours = sorted(os.sched_getaffinity(0))
        return cls(frozenset(ours[:1]), frozenset(ours[1:] or ours))


@contextmanager
def running_on(cores: frozenset[int]) -> Iterator[None]:
    """What is started in this block stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def synced_write_ms(folder: Path) -> dict[str, float]:
    """How long a small write takes until the disk has it, in milliseconds."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNC_TIMES):
            began = perf_counter()
            file.write(bytes(_SYNC_BYTES))
            file.flush()
            os.fdatasync(file.fileno())
            took.append(perf_counter() - began)
    took.sort()
    return {
        "median": round(statistics.median(took) * 1000, 3),
        "p99": round(took[round(len(took) * 0.99) - 1] * 1000, 3),
    }


def machine() -> str:
    """What it runs on, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}"
