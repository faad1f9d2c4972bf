"""The limits of counting, each with its unit and reason. The configuration fills them; nothing else does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SecondPage = Literal["ask", "refuse", "newest"]

#: A video is watched this close to its end at the latest: players stop a frame or two before the last one.
WATCHED_TOLERANCE_MS = 500
#: … but for a very short video never more than this share of it, so that it cannot be watched in an instant.
WATCHED_TOLERANCE_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class WatchRules:
    """How time is counted (design: counting rule). All times in integer milliseconds."""

    #: How often a page reports while it is open: five seconds lose little and cost little.
    beat_every_ms: int = 5_000
    #: Seconds of video that one second of the server's clock may earn.
    max_rate: float = 1.0
    #: Silence up to this long is a slow network and counts in full; beyond it nobody knows what happened.
    gap_grace_ms: int = 15_000
    #: How far a report may run ahead of the server before it is rewound. It never earns anything.
    jitter_ms: int = 2_000
    #: A player that was silent this long is taken to be gone and another page may start.
    lock_ttl_ms: int = 20_000
    #: How long a newcomer may think about "continue here" before its socket is closed.
    busy_wait_ms: int = 30_000
    #: What happens when a second page opens.
    second_page: SecondPage = "ask"
    #: The most that can ever be earned by one beat, in milliseconds of video: what the grace can hold.
    allowance_cap_ms: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowance_cap_ms", int(self.gap_grace_ms * self.max_rate))

    @property
    def leaving_ms(self) -> int:
        """How long a newcomer waits for an answer while somebody plays: that page may be leaving just now.

        After a reload the old page's `bye` and the new page's `hello` are only some 100 ms apart.
        """
        return self.lock_ttl_ms * 3 // 100


def watched_from_ms(duration_ms: int) -> int:
    """The frontier, in milliseconds, from which a video of this duration is watched."""
    tolerance = min(WATCHED_TOLERANCE_MS, int(duration_ms * WATCHED_TOLERANCE_SHARE))
    return duration_ms - tolerance


def is_watched(frontier_ms: int, duration_ms: int) -> bool:
    """Whether this frontier is enough. Nearly every beat is far from the end, and is done with one subtraction."""
    left = duration_ms - frontier_ms
    return left <= WATCHED_TOLERANCE_MS and left <= int(duration_ms * WATCHED_TOLERANCE_SHARE)
