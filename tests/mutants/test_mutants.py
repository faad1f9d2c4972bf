"""Each rule of the product is held by a test: broken on purpose in a copy, that test turns red.

`pytest tests/mutants -k <name>` runs one of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants import rules_counting, rules_credit, rules_doors
from tests.mutants.runner import ROOT, Mutant, Workshop

MUTANTS: tuple[Mutant, ...] = (*rules_counting.MUTANTS, *rules_credit.MUTANTS, *rules_doors.MUTANTS)

every = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@pytest.fixture(scope="module")
def workshop(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """Works on the mutants of this run, in the background."""
    chosen = {
        mutant.name
        for item in request.session.items
        if isinstance(item, pytest.Function) and "workshop" in item.fixturenames
        if isinstance(mutant := item.callspec.params["mutant"], Mutant)
    }
    # Not below pytest's own folder: the path of a Valkey socket in it must stay short.
    folder = Path(tempfile.mkdtemp(prefix="xs-"))
    opened = Workshop(folder, [mutant for mutant in MUTANTS if mutant.name in chosen])
    yield opened
    opened.close()


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@every
def test_its_place_is_still_there(mutant: Mutant) -> None:
    assert mutant.planted(ROOT) != (ROOT / mutant.file).read_text(encoding="utf-8")


@every
def test_breaking_the_rule_turns_its_test_red(mutant: Mutant, workshop: Workshop) -> None:
    for run in workshop.unmutated():
        assert run.green, f"without any mutant: {run}"
    run = workshop.mutated(mutant)
    assert run.red, f"{mutant.file} does not hold that {mutant.rule}, and {mutant.test} did not say so: {run}"
