"""The moving picture of a page: where it stands, whether it runs, and what of it is new to whoever looks."""

from __future__ import annotations

from tests.simulator.pace import Pace
from tests.simulator.truth import Truth


class Picture:
    """Runs when it is wanted and nothing holds it. Every change begins with `move`, so that the truth is exact."""

    def __init__(self, pace: Pace, duration: float, truth: Truth) -> None:
        self.position = 0.0
        self.rate = 1.0
        self.ending = False  # it stands at its end and waits for the server
        self.free = False  # watched: nothing new is to be seen
        self.holds: set[str] = set()
        self._pace = pace
        self._duration = duration
        self._truth = truth
        self._wanted = self._stalled = self._frozen = False
        self._at = pace.now()

    @property
    def running(self) -> bool:
        """It moves now."""
        return self._wanted and not (self.holds or self._stalled or self._frozen) and not self.at_end

    @property
    def at_end(self) -> bool:
        return self.position >= self._duration

    def move(self) -> None:
        """Bring the position up to now."""
        now = self._pace.now()
        if self.running:
            to = min(self._duration, self.position + (now - self._at) * self.rate)
            if not self.free:
                self._truth.play(self.position, to)
            self.position = to
        self._at = now

    def ends_at(self) -> float:
        """When it will have come to its end if nothing happens."""
        return self._at + (self._duration - self.position) / self.rate

    def put(self, position: float) -> None:
        """A jump."""
        self.move()
        self.position = min(self._duration, max(0.0, position))

    def set_rate(self, rate: float) -> None:
        self.move()
        self.rate = rate

    def freeze(self, frozen: bool) -> None:
        """The machine sleeps, or wakes."""
        self.move()
        self._frozen = frozen

    def hold(self, reason: str) -> None:
        """The page does not let it play, for this reason."""
        self.move()
        self.holds.add(reason)

    def release(self, *reasons: str) -> None:
        self.move()
        self.holds.difference_update(reasons)

    @property
    def wanted(self) -> bool:
        """The learner wants it to play."""
        return self._wanted

    @wanted.setter
    def wanted(self, wanted: bool) -> None:
        self.move()
        self._wanted = wanted

    @property
    def stalled(self) -> bool:
        """It waits for data."""
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        self.move()
        self._stalled = stalled
