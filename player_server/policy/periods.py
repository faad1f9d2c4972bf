"""The days that a rule speaks of: cycles, years by anniversary, pairs of years, rounds.

Everything here is calendar days in China, both ends inclusive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from .findings import CHINA_OFFSET_MS
from .programmes import Period

_DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Span:
    """From `begins` to `ends` (None: without end). `make_up_until`: the last day of the year after it, if any."""

    label: str
    begins: date
    ends: date | None
    make_up_until: date | None = None

    def holds(self, day: date) -> bool:
        return self.begins <= day and (self.ends is None or day <= self.ends)


def china_day(ms: int) -> date:
    """UTC ms → the calendar day in China.

    A fixed eight hours are right for every entry that can exist: China has had one time zone without summer time
    since September 1991. So no time-zone database has to be read, which could differ between two machines.
    """
    return date.fromordinal(_EPOCH_DAY + (ms + CHINA_OFFSET_MS) // _DAY_MS)


def anniversary(issued_on: date, years: int) -> date:
    """The day so many years after the issue date; 29 February has its anniversary on 1 March in other years.

    So no year is ever shorter than 365 days, and each ends with the last of February, as periods do under article
    202 of the Civil Code where a month lacks the day. Always counted from the issue date, so nothing drifts.
    """
    year = issued_on.year + years
    try:
        return issued_on.replace(year=year)
    except ValueError:
        return date(year, 3, 1)


def spans(
    period: Period,
    today: date,
    *,
    enrolled_on: date,
    issued_on: date | None,
    expires_on: date | None,
    first_year: int,
) -> Iterator[Span]:
    """The spans of a period that are asked for on `today`, the oldest first.

    Spans by anniversary are asked for from their first day on (`last_two_years` from the first day of the second
    year), and only if they end before the certificate expires or with it. Where none has begun the first one to
    come is given, so that there is something to show. `first_year`: how many years after the issue date the first
    year begins. The issue date is required for all but `round`, the expiry date for `cycle`.
    """
    if period == "round":
        yield Span("", enrolled_on, None)
        return
    if issued_on is None:
        raise ValueError("no issue date")
    if period == "cycle":
        if expires_on is None:
            raise ValueError("no expiry date")
        yield Span("", issued_on, expires_on)
        return
    length = 1 if period == "year" else 2
    step = 2 if period == "two_years" else 1
    first = start = first_year
    while True:
        begins, ends = anniversary(issued_on, start), _last_day(issued_on, start + length)
        asked_from = anniversary(issued_on, start + 1) if period == "last_two_years" else begins
        beyond = expires_on is not None and ends > expires_on
        if beyond or (asked_from > today and (start > first or period == "last_two_years")):
            return
        after = _last_day(issued_on, start + length + 1)
        make_up_until = after if expires_on is None or after <= expires_on else expires_on
        label = str(begins.year) if length == 1 else f"{begins.year}–{begins.year + 1}"
        yield Span(label, begins, ends, make_up_until if make_up_until > ends else None)
        start += step


def _last_day(issued_on: date, years: int) -> date:
    return anniversary(issued_on, years) - timedelta(days=1)
