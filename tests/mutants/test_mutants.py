"""Each rule of the product is held by a test: broken on purpose in a copy, that test turns red.

`pytest tests/mutants -k <name>` runs one of them.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mutants import redteam
from tests.mutants.redteam import ATTACKS, Attack, play
from tests.mutants.runner import ROOT, Mutant, Workshop

# Every table of this folder: a new area only adds a file.
MUTANTS: tuple[Mutant, ...] = tuple(
    mutant
    for path in sorted(Path(__file__).parent.glob("rules_*.py"))
    for mutant in importlib.import_module(f"tests.mutants.{path.stem}").MUTANTS
)

every = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


class Background:
    """What this run asks for, under way while the tests wait: mutants in the workshop, attacks on real servers."""

    def __init__(self, folder: Path, mutants: list[Mutant], attacks: list[Attack]) -> None:
        self.workshop = Workshop(folder / "w", mutants)
        self._pool = ThreadPoolExecutor(redteam.AT_ONCE)
        self.plays = {each: self._pool.submit(play, each, folder / each.case) for each in attacks}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self.workshop.close()


@pytest.fixture(scope="module")
def background(request: pytest.FixtureRequest) -> Iterator[Background]:
    params = [
        value
        for item in request.session.items
        if isinstance(item, pytest.Function) and "background" in item.fixturenames
        for value in item.callspec.params.values()
    ]
    # Not below pytest's own folder: the path of a Valkey socket in it must stay short.
    with tempfile.TemporaryDirectory(prefix="xs-", ignore_cleanup_errors=True) as folder:
        made = Background(
            Path(folder),
            [each for each in params if isinstance(each, Mutant)],
            [each for each in params if isinstance(each, Attack)],
        )
        yield made
        made.close()


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@every
def test_its_place_is_still_there(mutant: Mutant) -> None:
    assert mutant.planted(ROOT) != (ROOT / mutant.file).read_text(encoding="utf-8")


@every
def test_breaking_the_rule_turns_its_test_red(mutant: Mutant, background: Background) -> None:
    for run in background.workshop.unmutated():
        assert run.green, f"without any mutant: {run}"
    run = background.workshop.mutated(mutant)
    assert run.red, f"{mutant.file} does not hold that {mutant.rule}, and {mutant.test} did not say so: {run}"


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.short], ids=lambda each: each.mutant.name)
def test_breaking_the_rule_makes_an_attack_pay_off(attack: Attack, background: Background) -> None:
    outcome = background.plays[attack].result()
    assert outcome.red, f"{attack.case} on a server with {attack.mutant.name}: {outcome}"
