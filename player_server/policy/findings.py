"""How findings are rated for review. A rating sorts a list for people; it never changes credit.

What counts is everything of one kind about one person on one China calendar day: `count` is how often, `measure`
the largest (see telemetry.findings). Thresholds are set so that what happens to honest people stays informational:
a page that slept, a family phone, a check missed over lunch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from telemetry.findings import FindingKind

#: China's one time zone is eight hours ahead of UTC.
CHINA_OFFSET_MS = 8 * 3_600_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Rating(StrEnum):
    INFORMATIONAL = "informational"
    REVIEW = "review"  # worth a look when there is time
    SERIOUS = "serious"  # hardly happens without intent


@dataclass(frozen=True, slots=True)
class Scale:
    """From which count, or from which measure, a kind is more than informational. None: never for that reason."""

    review_count: int | None = None
    serious_count: int | None = None
    review_measure: int | None = None
    serious_measure: int | None = None


SCALES: dict[FindingKind, Scale] = {
    # One may be a hiccup of a browser; a script tries again and again.
    FindingKind.AHEAD_OF_FRONTIER: Scale(review_count=5, serious_count=50),
    # The page never uses a number twice.
    FindingKind.REPLAY: Scale(review_count=5, serious_count=50),
    # A browser extension may change the rate; the page sets it back at once.
    FindingKind.IMPOSSIBLE_RATE: Scale(review_count=10),
    # A browser that coarsens its clocks can look even, so this alone is never serious. Twelve times five minutes of
    # even beats are an hour of the day.
    FindingKind.METRONOME_BEATS: Scale(review_count=12),
    FindingKind.LONG_DAY: Scale(review_measure=14 * HOUR_MS),
    # A second tab is the commonest accident there is.
    FindingKind.SECOND_PAGE: Scale(review_count=50),
    FindingKind.CHALLENGE_MISSED: Scale(review_count=5),
    # Families hand phones on; a phone for three and more people is a service.
    FindingKind.PHONE_REUSED: Scale(review_count=1, serious_count=3),
    FindingKind.PHONE_REBOUND: Scale(review_count=3),
    FindingKind.WRONG_PHONE: Scale(review_count=3, serious_count=20),
}


def rate(kind: FindingKind, count: int, measure: int) -> Rating:
    """The rating of everything of one kind about one person on one day."""
    scale = SCALES[kind]
    if _reached(scale.serious_count, count) or _reached(scale.serious_measure, measure):
        return Rating.SERIOUS
    if _reached(scale.review_count, count) or _reached(scale.review_measure, measure):
        return Rating.REVIEW
    return Rating.INFORMATIONAL


def _reached(threshold: int | None, value: int) -> bool:
    return threshold is not None and value >= threshold


def china_day(at_ms: int) -> int:
    """The China calendar day of a moment (UTC ms), as a number of days."""
    return (at_ms + CHINA_OFFSET_MS) // DAY_MS


def day_start_ms(day: int) -> int:
    """When that China calendar day began, UTC ms."""
    return day * DAY_MS - CHINA_OFFSET_MS


@dataclass(frozen=True, slots=True)
class Stretch:
    """Earned time of one unbroken stretch, and between which moments (UTC ms) it was earned."""

    earned_ms: int
    started_at: int
    ended_at: int


def earned_on(day: int, stretches: Iterable[Stretch]) -> int:
    """Milliseconds earned on that China calendar day. A stretch over midnight counts by its share of time."""
    begin, end = day_start_ms(day), day_start_ms(day + 1)
    total = 0
    for each in stretches:
        length = each.ended_at - each.started_at
        inside = min(each.ended_at, end) - max(each.started_at, begin)
        if length <= 0:
            total += each.earned_ms if begin <= each.ended_at < end else 0
        elif inside > 0:
            total += each.earned_ms * inside // length
    return total
