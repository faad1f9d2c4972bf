"""The smoke subset of the red team in `./run test`, and that its judge can say no."""

from __future__ import annotations

import tests.redteam.attacks
import tests.redteam.honest  # noqa: F401  # Importing a folder enters its cases.
from tests.redteam import report
from tests.redteam.arena import Stores
from tests.redteam.case import CASES, Case, Check, Credit, Verdict
from tests.redteam.game import Game
from tests.redteam.suite import play_all

ROWS = {
    *(f"A{number:02}" for number in range(1, 19)),
    *(f"B{number:02}" for number in range(1, 6)),
    *("C01", "C02", "D01", "D02", "D03"),
    *(f"F{number:02}" for number in range(1, 25)),
}


async def _nothing(game: Game) -> None:
    """A play that looks at nothing."""


CASE = Case("X", "nothing", "no rule", _nothing)


async def test_the_smoke_subset_holds() -> None:
    stores = Stores()
    try:
        verdicts = await play_all([each for each in CASES.values() if each.smoke], stores, smoke=True)
    finally:
        await stores.close()
    broken = [report.line(each) for each in verdicts if not each.held]
    assert not broken, "\n".join(broken)
    assert len(verdicts) >= 5


def test_every_row_of_the_table_of_attacks_is_played() -> None:
    assert set(CASES) >= ROWS


def test_every_case_names_the_rule_that_must_stop_it() -> None:
    assert all(len(each.rule) > 20 and each.tried for each in CASES.values())


def test_a_case_that_looked_at_nothing_or_broke_off_is_no_pass() -> None:
    assert not Verdict(CASE).held
    assert Verdict(CASE, checks=[Check("seen", True)]).held
    assert not Verdict(CASE, checks=[Check("seen", True)], error="TimeoutError").held


def test_a_second_too_much_or_an_honest_second_too_few_is_no_pass() -> None:
    assert Verdict(CASE, credits=[Credit("attacker", 60.0, 60.0)]).held
    assert not Verdict(CASE, credits=[Credit("attacker", 60.001, 60.0)]).held
    assert not Verdict(CASE, credits=[Credit("honest", 58.9, 61.0, 59.0)]).held
    assert not Verdict(CASE, checks=[Check("seen", True)], twins=[Credit("twin", 50.0, 61.0, 59.0)]).held
