"""The rhythm of beats: a script that counts up evenly is noted, anything with a clock is not."""

from __future__ import annotations

import random

from telemetry.findings import FindingKind
from telemetry.rhythm import NOTED_BEATS, Rhythm


def noted(positions: list[float]) -> list[int]:
    """The measures of what was found."""
    rhythm = Rhythm()
    found = [rhythm.observe(position) for position in positions]
    assert all(each.kind == FindingKind.METRONOME_BEATS for each in found if each is not None)
    return [each.value for each in found if each is not None]


def test_a_script_that_adds_the_same_step_each_time_is_noted_once_in_so_many_beats() -> None:
    assert noted([5.003 * n for n in range(1, 2 * NOTED_BEATS + 2)]) == [NOTED_BEATS, 2 * NOTED_BEATS]
    total, positions = 0.0, []
    for _ in range(NOTED_BEATS + 1):
        total += 0.1
        positions.append(total)
    assert noted(positions) == [NOTED_BEATS]


def test_a_script_that_rounds_to_milliseconds_is_noted_too() -> None:
    assert noted([round(4.9996 * n + 7, 3) for n in range(1000)]) == []  # rounding itself makes its steps uneven
    assert noted([round(5.001 * n + 7, 3) for n in range(1, NOTED_BEATS + 3)]) == [NOTED_BEATS]


def test_a_page_whose_timer_jitters_by_tenths_of_a_millisecond_is_never_noted() -> None:
    clock = random.Random(1)
    for _ in range(20):
        assert noted([5 * n + clock.gauss(0, 0.000_2) for n in range(1, 2_000)]) == []


def test_a_pause_and_a_rewind_end_the_rhythm() -> None:
    half = [5.0 * n for n in range(1, NOTED_BEATS)]
    assert noted([*half, half[-1], *[half[-1] + 5.0 * n for n in range(1, NOTED_BEATS)]]) == []
    assert noted([*half, 2.0, *[2.0 + 5.0 * n for n in range(1, NOTED_BEATS)]]) == []


def test_standing_still_is_no_rhythm() -> None:
    assert noted([30.0] * 1000) == []
