"""Watch segments: stretches of video that were earned without a break, for time lines and appeals."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.session import Outcome, Session

#: A player that breaks more often than this keeps its last segment growing: a time line, not a trace.
MAX_SEGMENTS = 500
#: Numbers stay below 2³¹, however often somebody reconnects.
_EPOCHS = 4_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """Earned from `from_ms` to `to_ms` of the video, between two instants (UTC ms), and why it ended."""

    number: int
    from_ms: int
    to_ms: int
    started_at: int
    ended_at: int
    reason: str


class SegmentLog:
    """Collects the earned stretches of one player; `observe` gives each when it is closed.

    A session that reconnects has another player under a higher epoch, which goes on with higher numbers.
    """

    __slots__ = ("_from_ms", "_last", "_last_at", "_number", "_started_at", "_to_ms")

    def __init__(self, epoch: int) -> None:
        self._number = epoch % _EPOCHS * MAX_SEGMENTS + 1
        self._last = self._number + MAX_SEGMENTS - 1
        self._from_ms = self._to_ms = -1
        self._started_at = self._last_at = 0

    def observe(self, before: Session, outcome: Outcome, at: int) -> Segment | None:
        """Take in one beat at `at` (UTC ms); returns a segment if this beat ended one."""
        after = outcome.session
        if outcome.earned_ms:
            if self._from_ms < 0:
                self._from_ms = before.frontier_ms
                self._started_at = at - outcome.earned_ms
            self._to_ms, self._last_at = after.frontier_ms, at
        elif self._from_ms < 0:
            return None
        reason = _break(outcome)
        return self.close(reason) if reason and self._number < self._last else None

    def close(self, reason: str) -> Segment | None:
        """End the open segment, if there is one."""
        if self._from_ms < 0:
            return None
        segment = Segment(self._number, self._from_ms, self._to_ms, self._started_at, self._last_at, reason)
        self._number += 1
        self._from_ms = -1
        return segment


def _break(outcome: Outcome) -> str | None:
    """Why the earned stretch ends with this beat, or None if it goes on."""
    if outcome.issued:
        return "challenge"
    if outcome.finished:
        return "watched"
    if outcome.uncredited is not None:
        return outcome.uncredited.reason
    return None if outcome.session.playing else "pause"
