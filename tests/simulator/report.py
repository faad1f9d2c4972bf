"""The figures of a simulation, and how they are printed. Seconds of the simulation throughout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from player_server.policy.findings import Rating
from tests.simulator.truth import Loss

#: What rounding to whole milliseconds of the product's clock may add to a frontier, in its own milliseconds.
ROUNDING_MS = 2
#: What issue 3 asks for.
MOST_LOSS_P99 = 0.01
MOST_FLAGGED = 0.005


@dataclass(frozen=True, slots=True)
class HonestFigures:
    """One honest learner. `hours_missing`: videos whose hours are due, not there; `hours_wrong`: there, not due."""

    number: int
    watched: float
    credited: float
    unearned: float
    losses: tuple[Loss, ...]
    hours: int
    hours_missing: int
    hours_wrong: int
    findings: tuple[tuple[str, Rating], ...]

    @property
    def lost(self) -> float:
        return sum(loss.seconds for loss in self.losses)

    @property
    def share(self) -> float:
        """Of what was watched, how much did not count."""
        return self.lost / self.watched if self.watched else 0.0

    @property
    def unexplained(self) -> float:
        return sum(loss.taken_back for loss in self.losses)

    @property
    def flagged(self) -> bool:
        return any(rating is not Rating.INFORMATIONAL for _kind, rating in self.findings)


@dataclass(frozen=True, slots=True)
class CheatFigures:
    """One cheater. `allowed`: the server's time as the player with no check open, seen from outside."""

    number: int
    kind: str
    claimed: float
    allowed: float
    credited: float
    hours_wrong: int
    findings: tuple[tuple[str, Rating], ...]

    @property
    def unearned(self) -> float:
        return max(0.0, self.credited - self.allowed)

    @property
    def flagged(self) -> bool:
        return any(rating is not Rating.INFORMATIONAL for _kind, rating in self.findings)


@dataclass
class Figures:
    """Everything that was measured. `speed` only to know what rounding means."""

    speed: float
    honest: list[HonestFigures] = field(default_factory=list)
    cheaters: list[CheatFigures] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)  # from an honest beat to its ack, in real milliseconds

    @property
    def rounding(self) -> float:
        return ROUNDING_MS / 1000 * self.speed

    def faults(self) -> list[str]:
        """What must not be: empty when everything held."""
        faults = []
        honest = [each.number for each in self.honest if each.unearned > self.rounding or each.hours_wrong]
        cheaters = [each.number for each in self.cheaters if each.unearned > self.rounding or each.hours_wrong]
        if honest or cheaters:
            faults.append(f"unearned credit: people {honest + cheaters}")
        if late := [each.number for each in self.honest if each.hours_missing]:
            faults.append(f"hours that were due and not credited: people {late}")
        odd = [
            f"person {each.number}: {loss.taken_back:.2f} s, {loss.reason}"
            for each in self.honest
            for loss in each.losses
            if loss.taken_back > self.rounding
        ]
        if odd:
            faults.append(f"lost seconds that nobody explained ({', '.join(odd)})")
        if self.honest and (p99 := percentile([each.share for each in self.honest], 0.99)) > MOST_LOSS_P99:
            faults.append(f"honest loss p99 {p99:.2%} is more than {MOST_LOSS_P99:.0%}")
        flagged = sum(each.flagged for each in self.honest)
        if self.honest and flagged / len(self.honest) > MOST_FLAGGED:
            faults.append(f"{flagged} of {len(self.honest)} honest learners flagged above informational")
        return faults

    def text(self) -> str:
        """The report."""
        return "\n".join([*self._honest(), *self._cheaters(), ""])

    def _honest(self) -> list[str]:
        if not self.honest:
            return []
        shares = [each.share for each in self.honest]
        lost = [each.lost for each in self.honest]
        worst = max(self.honest, key=lambda each: each.share)
        reasons: dict[str, list[float]] = defaultdict(list)
        for each in self.honest:
            for loss in each.losses:
                reasons[loss.reason].append(loss.seconds)
        flagged = sum(each.flagged for each in self.honest)
        unexplained = sum(each.unexplained for each in self.honest)
        unearned = sum(each.unearned for each in self.honest if each.unearned > self.rounding)
        told = "; ".join(f"{name} {_time(seconds)}" for name, seconds in sorted(self.told.items()))
        lines = [
            "",
            f"Honest learners: {len(self.honest)}",
            f"  truly watched     {_time(sum(each.watched for each in self.honest))}",
            f"  credited          {_time(sum(each.credited for each in self.honest))}",
            f"  watched twice     {_time(sum(lost))}   (did not count the first time)",
            f"  loss              median {percentile(shares, 0.5):.3%}, p99 {percentile(shares, 0.99):.3%}, "
            f"worst {worst.share:.3%} (person {worst.number}: {worst.lost:.1f} s of {_time(worst.watched)})",
            f"  unexplained       {unexplained:.2f} s   (of it: acknowledged and taken back, or without a reason)",
            f"  unearned          {unearned:.2f} s",
            f"  hours             {sum(each.hours for each in self.honest)} videos credited, "
            f"{sum(each.hours_missing for each in self.honest)} missing, "
            f"{sum(each.hours_wrong for each in self.honest)} wrong",
            f"  flagged           {flagged} above informational; "
            f"{sum(bool(each.findings) for each in self.honest)} with any finding",
            f"  findings          {_findings([each.findings for each in self.honest])}",
            *(
                f"  most lost         person {each.number}: {each.lost:.1f} s of {_time(each.watched)} ("
                + ", ".join(f"{loss.reason} {loss.seconds:.1f}" for loss in each.losses if loss.seconds >= 0.5)
                + ")"
                for each in sorted(self.honest, key=lambda each: -each.share)[:5]
            ),
            "  reasons           "
            + (
                "; ".join(f"{name} {len(all_)}× {sum(all_):.0f} s" for name, all_ in sorted(reasons.items()))
                or "none"
            ),
            f"  told `uncredited` {told or 'nothing'}",
            f"  beat to ack       p50 {percentile(self.delays, 0.5):.0f} ms, "
            f"p99 {percentile(self.delays, 0.99):.0f} ms, which feel {self.speed:g} times as long",
            "  what they did     " + ", ".join(f"{name} {count}" for name, count in sorted(self.did.items())),
        ]
        return lines

    def _cheaters(self) -> list[str]:
        if not self.cheaters:
            return []
        lines = [
            "",
            f"Cheaters: {len(self.cheaters)}   (allowed: time as the player with no check open, seen from outside)",
            f"  {'way':<16}{'n':>3}{'claimed':>12}{'allowed':>12}{'credited':>12}{'unearned':>10}{'hours':>7}"
            f"{'flagged':>9}  findings",
        ]
        ways: dict[str, list[CheatFigures]] = defaultdict(list)
        for each in self.cheaters:
            ways[each.kind].append(each)
        for name, group in sorted(ways.items()):
            unearned = sum(each.unearned for each in group if each.unearned > self.rounding)
            lines.append(
                f"  {name:<16}{len(group):>3}{_time(sum(each.claimed for each in group)):>12}"
                f"{_time(sum(each.allowed for each in group)):>12}{_time(sum(each.credited for each in group)):>12}"
                f"{unearned:>9.1f}s{sum(each.hours_wrong for each in group):>7}"
                f"{sum(each.flagged for each in group):>9}  {_findings([each.findings for each in group])}"
            )
        total = sum(each.unearned for each in self.cheaters if each.unearned > self.rounding)
        lines.append(f"  unearned by all: {total:.1f} s")
        return lines


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; 0 if there are none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))]


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _findings(people: Sequence[tuple[tuple[str, Rating], ...]]) -> str:
    counts: Counter[str] = Counter()
    for findings in people:
        counts.update({f"{kind} {rating.value}" for kind, rating in findings})
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"
