"""Simulated time: everything people do is written in the seconds of a real day, and runs `speed` times as fast.

The core is not touched. The product runs with settings whose seconds are `speed` times as short, and with videos
that are `speed` times as short, so that one second of its clock stands for `speed` seconds of study.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

#: The shipped settings, in seconds (config.yaml says why they are what they are).
BEAT_EVERY_S = 5.0
GAP_GRACE_S = 15.0
JITTER_S = 2.0
LOCK_TTL_S = 20.0
BUSY_WAIT_S = 30.0
EARLIEST_S, LATEST_S = 480.0, 900.0
ANSWER_S, IDENTITY_ANSWER_S, ROTATE_S = 120.0, 600.0, 20.0
COOLDOWN_FIRST_S, COOLDOWN_LONGEST_S = 30.0, 600.0
#: A run has at least this many checks for everybody who studies all the time.
CHECKS_IN_A_RUN = 3


class Pace:
    """How fast the simulated day passes, and how long it is. All times in simulated seconds since the start."""

    def __init__(self, speed: float, minutes: float) -> None:
        self.speed = speed
        self.end = minutes * 60
        self._began = time.monotonic()

    def start(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._began) * self.speed

    @property
    def over(self) -> bool:
        return self.now() >= self.end

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    async def sleep_within(self, seconds: float) -> None:
        """Sleep, but not beyond the end."""
        await self.sleep(min(seconds, self.end - self.now()))

    @property
    def checks(self) -> tuple[float, float]:
        """After how much earned time a check comes: as shipped, or more often in a short run."""
        share = min(1.0, self.end / CHECKS_IN_A_RUN / LATEST_S)
        return EARLIEST_S * share, LATEST_S * share

    def settings(self) -> dict[str, Any]:
        """The parts of the product's settings that are times, shortened."""
        earliest, latest = self.checks
        watch = {
            "beat_every_s": BEAT_EVERY_S,
            "gap_grace_s": GAP_GRACE_S,
            "jitter_s": JITTER_S,
            "lock_ttl_s": LOCK_TTL_S,
            "busy_wait_s": BUSY_WAIT_S,
        }
        challenges = {
            "earliest_s": earliest,
            "latest_s": latest,
            "answer_s": ANSWER_S,
            "identity_answer_s": IDENTITY_ANSWER_S,
            "rotate_s": ROTATE_S,
        }
        quiz = {"cooldown_first_s": COOLDOWN_FIRST_S, "cooldown_longest_s": COOLDOWN_LONGEST_S}
        return {
            "watch": self._shortened(watch),
            "challenges": {**self._shortened(challenges), "show_link": True},
            "quiz": self._shortened(quiz),
        }

    def _shortened(self, seconds: dict[str, float]) -> dict[str, float]:
        return {name: value / self.speed for name, value in seconds.items()}
