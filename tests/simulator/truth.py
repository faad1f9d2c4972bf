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
    """Watched time that did not count. `told`: how much of it the server's own words explain, in seconds."""

    seconds: float
    reason: str
    told: float

    @property
    def unexplained(self) -> float:
        return max(0.0, self.seconds - self.told)


@dataclass
class Truth:
    """One person and one video."""

    duration: float
    frontier: float = 0.0
    watched: float = 0.0  # everything new that was shown, including what had to be shown again
    acknowledged: float = 0.0  # the farthest frontier that an ack or a welcome named
    losses: list[Loss] = field(default_factory=list)

    @property
    def unacknowledged(self) -> float:
        """Watched, and no word came yet that it is durable: the page says so, and losing it breaks no promise."""
        return max(0.0, self.frontier - self.acknowledged)

    def play(self, start: float, end: float) -> None:
        """The picture moved from `start` to `end` without a break."""
        if start <= self.frontier + TOUCHING_S and end > self.frontier:
            self.watched += end - self.frontier
            self.frontier = end

    def back_to(self, place: float, reason: str, told: float) -> float:
        """The server counted only up to `place`. Returns how much is lost."""
        self.acknowledged = max(self.acknowledged, place)
        lost = self.frontier - place
        if lost <= 0:
            return 0.0
        self.losses.append(Loss(lost, reason, told))
        self.frontier = place
        return lost
