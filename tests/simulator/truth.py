"""What one person truly watched of one video, kept beside the server and never told to it. Simulated seconds.

The true frontier moves only while the simulated picture moves. When the page has to go back because the server did
not count something, that something is lost time: it was watched, and must be watched again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: The picture may stand this little beyond the true frontier and still touch it, in seconds: rounding.
TOUCHING_S = 0.05


@dataclass(frozen=True, slots=True)
class Loss:
    """Watched time that did not count, and why: the reason of the server's rewind, or how the page ended.

    `taken_back`: the part that had been acknowledged, or for which no reason was given. It must be nothing.
    """

    seconds: float
    reason: str
    taken_back: float


@dataclass
class Truth:
    """One person and one video."""

    duration: float
    frontier: float = 0.0
    watched: float = 0.0  # everything new that was shown, including what had to be shown again
    acknowledged: float = 0.0  # the farthest frontier that an ack named
    losses: list[Loss] = field(default_factory=list)

    def play(self, start: float, end: float) -> None:
        """The picture moved from `start` to `end` without a break."""
        if start <= self.frontier + TOUCHING_S and end > self.frontier:
            self.watched += end - self.frontier
            self.frontier = end

    def back_to(self, place: float, reason: str | None) -> None:
        """The server counted only up to `place`; `reason` is None if it did not say why."""
        lost = self.frontier - place
        if lost > 0:
            taken_back = lost if reason is None else max(0.0, min(self.acknowledged, self.frontier) - place)
            self.losses.append(Loss(lost, reason or "unexplained", taken_back))
            self.frontier = place
