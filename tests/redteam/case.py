"""What a case is, and the list of them. The plays themselves stand in attacks/ and honest/."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.redteam.game import Game

#: The sum of `load` of all cases that run at once, on two cores.
LOAD = 40

Play = Callable[["Game"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table. `seconds` is about how long it takes; `load` how much of the machine (budget: LOAD)."""

    id: str
    tried: str
    rule: str  # what must stop it (attacks), or must let it through (honest trouble): module and rule
    play: Play
    seconds: float = 60.0
    load: int = 2
    arena: str = "default"  # a name of arena.ARENAS
    slope: bool = False
    twin: bool = True
    browser: bool = False
    smoke: bool = False
    scaled: str = ""  # what is shorter here than in the table of attacks, in words

    @property
    def fast_clock(self) -> bool:
        return self.arena == "fast"


CASES: dict[str, Case] = {}


def case(
    id: str,
    tried: str,
    rule: str,
    *,
    seconds: float = 60.0,
    load: int = 2,
    arena: str = "default",
    slope: bool = False,
    twin: bool = True,
    browser: bool = False,
    smoke: bool = False,
    scaled: str = "",
) -> Callable[[Play], Play]:
    """Enter a play into the list."""

    def enter(play: Play) -> Play:
        if id in CASES:
            raise ValueError(f"two cases are called {id}")
        CASES[id] = Case(id, tried, rule, play, seconds, load, arena, slope, twin, browser, smoke, scaled)
        return play

    return enter


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at after everything had settled."""

    what: str
    held: bool


@dataclass(frozen=True, slots=True)
class Credit:
    """Seconds that were earned, and how many the rule allows at most (and at least, where it is honest time)."""

    who: str
    given: float
    most: float
    least: float = 0.0

    @property
    def held(self) -> bool:
        return self.least <= self.given <= self.most


@dataclass(slots=True)
class Verdict:
    """What became of a case. `error` is a play that did not come to its end: never a pass."""

    case: Case
    checks: list[Check] = field(default_factory=list)
    credits: list[Credit] = field(default_factory=list)
    twins: list[Credit] = field(default_factory=list)
    slope: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    took_s: float = 0.0

    @property
    def held(self) -> bool:
        looked = bool(self.checks or self.credits)
        return looked and not self.error and not self.broken

    @property
    def broken(self) -> list[Check | Credit]:
        """Everything that did not hold."""
        every: list[Check | Credit] = [*self.checks, *self.credits, *self.twins]
        return [each for each in every if not each.held]

    @property
    def worst(self) -> Credit | None:
        """The credit that came nearest to its limit, or went farthest beyond it."""
        return max(self.credits, key=lambda each: each.given - each.most, default=None)
