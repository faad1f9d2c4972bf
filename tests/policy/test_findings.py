"""How findings are rated, and what a day is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from player_server.policy.findings import (
    HOUR_MS,
    SCALES,
    Rating,
    Stretch,
    china_day,
    day_start_ms,
    earned_on,
    rate,
)
from telemetry.findings import FindingKind


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_every_kind_has_a_scale() -> None:
    assert set(SCALES) == set(FindingKind)


@pytest.mark.parametrize("kind", set(FindingKind) - {FindingKind.PHONE_REUSED})
def test_whatever_happens_once_is_informational(kind: FindingKind) -> None:
    assert rate(kind, 1, 0) == Rating.INFORMATIONAL


def test_a_phone_of_somebody_else_is_looked_at_at_once() -> None:
    assert rate(FindingKind.PHONE_REUSED, 1, 0) == Rating.REVIEW
    assert rate(FindingKind.PHONE_REUSED, 3, 0) == Rating.SERIOUS


def test_a_single_jump_ahead_is_informational_however_far_it_went() -> None:
    assert rate(FindingKind.AHEAD_OF_FRONTIER, 1, 10 * HOUR_MS) == Rating.INFORMATIONAL
    assert rate(FindingKind.AHEAD_OF_FRONTIER, 5, 1) == Rating.REVIEW
    assert rate(FindingKind.AHEAD_OF_FRONTIER, 50, 1) == Rating.SERIOUS


@pytest.mark.parametrize("kind", [FindingKind.METRONOME_BEATS, FindingKind.LONG_DAY])
def test_what_a_person_may_do_without_a_script_is_never_serious(kind: FindingKind) -> None:
    assert rate(kind, 10_000, 24 * HOUR_MS) == Rating.REVIEW


@pytest.mark.parametrize("kind", FindingKind)
def test_more_is_never_rated_lower(kind: FindingKind) -> None:
    order = list(Rating)
    ratings = [order.index(rate(kind, count, 0)) for count in range(1, 200)]
    assert ratings == sorted(ratings)
    ratings = [order.index(rate(kind, 1, measure)) for measure in range(0, 24 * HOUR_MS, HOUR_MS)]
    assert ratings == sorted(ratings)


def test_a_day_in_china_begins_at_four_in_the_afternoon_of_utc() -> None:
    day = china_day(ms("2026-11-20T16:00"))
    assert china_day(ms("2026-11-20T15:59:59.999")) == day - 1
    assert day_start_ms(day) == ms("2026-11-20T16:00")
    assert china_day(day_start_ms(day + 1)) == day + 1


def test_a_stretch_over_midnight_belongs_to_both_days_by_its_share() -> None:
    day = china_day(ms("2026-11-20T16:00"))
    night = Stretch(2 * HOUR_MS, ms("2026-11-20T14:30"), ms("2026-11-20T16:30"))
    inside = Stretch(HOUR_MS, ms("2026-11-20T20:00"), ms("2026-11-20T21:00"))
    elsewhere = Stretch(HOUR_MS, ms("2026-11-18T20:00"), ms("2026-11-18T21:00"))
    assert earned_on(day, [night, inside, elsewhere]) == HOUR_MS // 2 + HOUR_MS
    assert earned_on(day - 1, [night, inside, elsewhere]) == 3 * HOUR_MS // 2


def test_a_burst_without_a_length_belongs_to_its_moment() -> None:
    day = china_day(ms("2026-11-20T16:00"))
    burst = Stretch(5_000, day_start_ms(day), day_start_ms(day))
    assert (earned_on(day - 1, [burst]), earned_on(day, [burst])) == (0, 5_000)
