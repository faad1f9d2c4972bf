"""Times as pages show them: dates and minutes of China's one time zone, whatever zone server and browser are in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Literal

CHINA = timezone(timedelta(hours=8))
#: From here on a deadline is shown as near.
NEAR_DAYS = 14


@dataclass(frozen=True, slots=True)
class Deadline:
    """`days_left` counts calendar days: 0 on the last day, negative afterwards."""

    date: str
    days_left: int

    @property
    def tone(self) -> Literal["", "warn", "bad"]:
        """How loudly to show it: the name of a badge."""
        if self.days_left < 0:
            return "bad"
        return "warn" if self.days_left <= NEAR_DAYS else ""


def deadline_of(ms: int | None, now_ms: int) -> Deadline | None:
    """A deadline in UTC ms, seen from now; None stays None."""
    if ms is None:
        return None
    last = _day(ms)
    # The moment itself decides on the last day: a deadline at noon is over in the afternoon.
    return Deadline(last.isoformat(), -1 if ms < now_ms and last == _day(now_ms) else (last - _day(now_ms)).days)


def minute_text(ms: int) -> str:
    """UTC ms → `2026-11-20 09:31`."""
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def second_text(ms: int) -> str:
    """UTC ms → `2026-11-20 09:31:05`."""
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def date_text(ms: int) -> str:
    """UTC ms → `2026-11-20`."""
    return _day(ms).isoformat()


def clock_text(ms: int) -> str:
    """UTC ms → `09:31`."""
    return datetime.fromtimestamp(ms / 1000, CHINA).strftime("%H:%M")


def length_text(ms: int) -> str:
    """The running time of a video: `01:30`, or `1:02:03` from an hour on."""
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, CHINA).date()
