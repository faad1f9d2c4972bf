"""A small crowd on real processes, and the simulator's own parts whose mistakes such a run would not show."""

from __future__ import annotations

import pytest

from tests.simulator.cheats import WAYS
from tests.simulator.pace import Pace
from tests.simulator.report import CheatFigures, Figures, HonestFigures, percentile
from tests.simulator.simulation import Plan, simulate
from tests.simulator.truth import Loss, Truth


async def test_a_small_crowd_earns_what_it_watched_and_cheaters_no_more_than_the_time_that_passed() -> None:
    figures = await simulate(Plan(learners=10, cheaters=4, minutes=1.5, speed=10), lambda _share, _what: None)
    assert [len(figures.honest), len(figures.cheaters)] == [6, 4]
    assert sum(each.watched for each in figures.honest) > 60
    for honest in figures.honest:
        assert honest.unearned <= figures.rounding, honest
        assert (honest.unexplained, honest.hours_wrong, honest.flagged) == (0, 0, False), honest
        assert honest.credited == pytest.approx(honest.watched - honest.lost, abs=0.1)
    for cheater in figures.cheaters:
        assert cheater.unearned <= figures.rounding and not cheater.hours_wrong, cheater
        assert cheater.claimed > 0


def test_the_truth_moves_only_with_a_picture_that_touches_it() -> None:
    truth = Truth(100)
    truth.play(0, 10)
    truth.play(4, 8)
    truth.play(50, 60)
    assert (truth.frontier, truth.watched) == (10, 10)
    truth.play(9, 15)
    assert (truth.frontier, truth.watched) == (15, 15)


def test_what_was_acknowledged_and_taken_back_is_never_explained() -> None:
    truth = Truth(100, frontier=30, watched=30, acknowledged=20)
    truth.back_to(20, "gap")
    truth.play(20, 30)
    truth.back_to(15, "gap")
    truth.play(15, 18)
    truth.back_to(16, None)
    assert truth.losses == [Loss(10, "gap", 0), Loss(15, "gap", 5), Loss(2, "unexplained", 2)]
    assert truth.watched - sum(loss.seconds for loss in truth.losses) == truth.frontier


def test_the_report_names_every_fault() -> None:
    good = HonestFigures(1, 1000, 999, 0, (Loss(1, "gap", 0),), 1, 0, 0, ())
    assert Figures(1, [good], [CheatFigures(2, "jumps", 500, 100, 100, 0, ())]).faults() == []
    bad = HonestFigures(3, 1000, 900, 0.5, (Loss(100, "gap", 3),), 1, 1, 1, ())
    faults = Figures(1, [bad], [CheatFigures(4, "jumps", 500, 100, 101, 0, ())]).faults()
    assert len(faults) == 4
    assert "unearned credit: people [3, 4]" in faults and "10.00%" in faults[-1]


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([3, 1, 2, 4], share) for share in (0.5, 0.99, 0.25, 0)] == [2, 4, 1, 1]
    assert percentile(list(range(1000)), 0.99) == 989


def test_a_faster_day_shortens_every_time_of_the_settings_alike() -> None:
    slow, fast = Pace(1, 60).settings(), Pace(10, 60).settings()
    for part, values in slow.items():
        for name, value in values.items():
            assert fast[part][name] == (value if isinstance(value, bool) else pytest.approx(value / 10))


def test_every_way_to_cheat_names_the_rule_that_stops_it() -> None:
    assert len(WAYS) >= 12
    assert all(way.__doc__ and way.__doc__.count(".") >= 2 for way in WAYS.values())
