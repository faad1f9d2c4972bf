"""How many rows one step of an import takes: as many as can be written without keeping players waiting."""

from __future__ import annotations

from typing import Literal

#: How long one step should take, in seconds. On SQLite it holds the only write lock, and players wait behind
#: it; on PostgreSQL nobody waits, and only what a dead worker has to repeat speaks against long ones.
LONGEST_STEP_S = {"sqlite": 0.025, "postgresql": 0.5}
MOST_STEP_ROWS = {"sqlite": 400, "postgresql": 2000}
FIRST_STEP_ROWS = 50


class Pace:
    """How many rows the next step takes, from how long the last one took."""

    def __init__(self, kind: Literal["sqlite", "postgresql"]) -> None:
        self.rows = FIRST_STEP_ROWS
        self.longest_s = 0.0
        self._aim_s, self._most = LONGEST_STEP_S[kind], MOST_STEP_ROWS[kind]

    def took(self, seconds: float, rows: int) -> None:
        """A transaction over so many rows held its locks so long."""
        self.longest_s = max(self.longest_s, seconds)
        if rows == 0:
            return
        wanted = int(rows * self._aim_s / max(seconds, 0.001))
        # Slowly up, quickly down.
        self.rows = max(10, min(wanted, self.rows * 2, self._most))
