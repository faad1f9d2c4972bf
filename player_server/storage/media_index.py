"""Where in a stored video the pictures and sounds of a time stand, from the file's own table of samples.

Reading the table of a two-hour video takes a fraction of a second, once for each process: callers on the event loop
use ``asyncio.to_thread``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import av

#: Beyond what is earned at least so many bytes are given out, however few seconds of a thin picture that is:
#: Chromium hands on only whole blocks of 32 KiB, and its reader of MP4 wants several of them before it begins.
LEAST_AHEAD = 256 * 1024
#: Videos whose tables are kept: one number for each second of each, 58 KB for two hours.
KEPT = 256


def bytes_until(path: Path, time_ms: int) -> int | None:
    """How many bytes from the file's beginning hold its index and all up to `time_ms`, rounded up to a second.

    None when that is the whole file, or when the file has no such table. Raises OSError and av.FFmpegError.
    """
    offsets = _offsets(path)
    second = time_ms // 1000 + 1
    return offsets[second] if second < len(offsets) else None


def loadable_bytes(path: Path, frontier_ms: int, until_ms: int) -> int | None:
    """How many bytes a learner at `frontier_ms` may load, if everything up to `until_ms` is free; None: all."""
    earned, free = bytes_until(path, frontier_ms), bytes_until(path, until_ms)
    return None if earned is None or free is None else max(free, earned + LEAST_AHEAD)


@lru_cache(KEPT)
def _offsets(path: Path) -> array[int]:
    """For each whole second, where the last sample that begins before it ends. The store's files never change."""
    with av.open(f"file:{path}", format="mp4", options={"protocol_whitelist": "file"}) as source:
        tables = []
        for track in (*source.streams.video[:1], *source.streams.audio[:1]):
            if track.time_base is not None and len(track.index_entries):
                per_second = track.time_base.denominator / track.time_base.numerator
                entries = track.index_entries
                tables.append((per_second, entries, array("q", (each.timestamp for each in entries))))
        offsets = array("Q")
        if not tables:
            return offsets
        seconds = max(round(times[-1] / per_second) for per_second, _entries, times in tables)
        reached = 0
        for second in range(seconds + 1):
            for per_second, entries, times in tables:
                last = bisect_right(times, second * per_second) - 1
                if last >= 0:
                    reached = max(reached, entries[last].pos + entries[last].size)
            offsets.append(reached)
        return offsets
