"""A minute of `./run faults` on every run of the tests; the whole of it is for a release."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import line
from tests.faults.faults import CAMPAIGNS, Store
from tests.faults.play import play

CLIENTS = 5
BY_NAME = {each.name: each for each in CAMPAIGNS}


@pytest.mark.parametrize(
    ("name", "store", "doses"),
    [
        ("kills", "sqlite", 3),
        ("pauses", "postgres", 1),
        ("backends-ended", "postgres", 8),
        ("disk-full", "sqlite", 1),
    ],
)
async def test_nothing_is_lost_invented_or_counted_twice(name: str, store: Store, doses: int) -> None:
    row = await play(BY_NAME[name], store, doses=doses, clients=CLIENTS, seed=1)
    print(line(row))
    assert not row.error, row.error
    assert row.held, row.verdict
    assert row.doses == doses and row.verdict.acked > 0 and row.verdict.unknown > 0
