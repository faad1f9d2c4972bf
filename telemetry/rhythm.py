"""The rhythm of a page's beats: a real player never moves on by the same time twice, a simple script does.

The page reports the place of its media to the microsecond, and timer and media clock differ by some hundreds of
them each time. Evidence only, and weak: a script that reads a clock jitters too. It runs with every beat, so it is
two subtractions, two comparisons and one addition.
"""

from __future__ import annotations

from telemetry.findings import Finding, FindingKind

#: So many equal steps in a row are noted, and every so many again: five minutes at the usual pace, so that a check
#: now and then hides nothing. In real Chromium even two in a row are rare (tests/journey/test_rhythm.py looks).
NOTED_BEATS = 60
#: Steps that differ by less, in seconds, are equal: what adding decimal numbers loses, but no clock's jitter.
SAME_STEP_S = 1e-6


class Rhythm:
    """How many beats in a row moved on by the same time."""

    __slots__ = ("_position", "_run", "_step")

    def __init__(self) -> None:
        self._position = self._step = 0.0
        self._run = 0

    def observe(self, position: float) -> Finding | None:
        """Take in the reported position (seconds) of one beat. A pause, a seek or a stall ends the rhythm."""
        step = position - self._position
        self._position = position
        change = step - self._step
        if change > SAME_STEP_S or change < -SAME_STEP_S or step <= 0:
            self._step = step
            self._run = 0
            return None
        self._run += 1
        return None if self._run % NOTED_BEATS else Finding(FindingKind.METRONOME_BEATS, self._run)
