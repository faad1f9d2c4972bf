"""The checker itself: each kind of mistake is seen in a small history, and an honest one has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.history import Durable, History, Study, judge

VIDEO = 7
PAIR = (1, VIDEO)


def history(**study: object) -> History:
    made = History(1, 1, began=0.0, ended=10.0, epochs=[1, 2, 5])
    made.studies[VIDEO] = Study(attempted_ms=3000, acked_ms=2900, watched=True)
    for name, value in study.items():
        setattr(made.studies[VIDEO], name, value)
    return made


def durable(**values: object) -> Durable:
    honest = Durable({PAIR: 2950}, [PAIR], [PAIR], {1: 50}, {1: 50}, 2700)
    return replace(honest, **values)  # type: ignore[arg-type]  # Names of its fields.


def test_an_honest_history_holds() -> None:
    assert judge([history()], durable()).held


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (durable(frontiers={PAIR: 2899}), "lost"),
        (durable(frontiers={}, credits=[], told=[], api_hours={1: 0}, ledger_hours={}), "lost"),
        (durable(credits=[], told=[], api_hours={1: 0}, ledger_hours={}), "lost"),
        (durable(api_hours={1: 0}), "lost"),
        (durable(frontiers={PAIR: 3001}), "phantom"),
        (durable(frontiers={PAIR: 2950, (1, 8): 9000}), "phantom"),
        (durable(credits=[PAIR, (1, 9)], told=[PAIR, (1, 9)]), "phantom"),
        (durable(credits=[PAIR, PAIR], told=[PAIR, PAIR]), "double"),
        (durable(told=[PAIR, PAIR]), "double"),
        (durable(told=[]), "double"),
    ],
)
def test_what_is_stored_wrongly_is_seen(wrong: Durable, where: str) -> None:
    verdict = judge([history()], wrong)
    assert getattr(verdict, where) and not verdict.held


def test_what_was_acknowledged_unheard_must_be_there_too() -> None:
    assert judge([history(dropped_ms=2951)], durable()).lost


def test_epochs_must_rise() -> None:
    made = history()
    made.epochs = [1, 3, 3]
    assert judge([made], durable()).epochs


def test_hours_without_a_watched_video_are_an_invention() -> None:
    assert judge([history(acked_ms=0, watched=False)], durable(frontiers={PAIR: 2600})).phantom
