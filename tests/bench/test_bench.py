"""The bench runs and tells the truth about what it ran; its figures are no test's business."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from time import perf_counter

import pytest

from tests.bench.cost import cpu_s
from tests.bench.load import Delays
from tests.bench.stage import ROOT, Counts


async def test_a_short_run_measures_every_server_and_finds_nothing_unclean(tmp_path: Path) -> None:
    output = tmp_path / "figures" / "bench.json"
    argv = (sys.executable, "-m", "tests.bench", "--quick", "--output", str(output))
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, said = await process.communicate()
    assert process.returncode == 0, said.decode() + printed.decode()
    tree = json.loads(output.read_text())
    played = {each["kind"]: each for each in tree["played"]}
    assert list(played) == ["echo", "postgresql", "sqlite"]
    for each in played.values():
        assert each["players"] == 20
        assert each["beats_per_second"] > 0 and each["micros"]["server"] > 0
        assert each["half"]["count"] > 0 and each["nominal"]["count"] > 0
        assert each["surprises"] == {}
    # One transaction a tick, whatever the number of players, and no Redis in the way of a beat.
    assert played["postgresql"]["ticks"]["transactions"] == pytest.approx(1, abs=0.1)
    assert played["sqlite"]["ticks"]["rows"] > 1
    assert all(played[kind]["ticks"]["redis_reads"] < 1 for kind in ("postgresql", "sqlite"))
    assert played["postgresql"]["micros"]["database"] > 0
    assert tree["settings"]["postgresql"]["synchronous_commit"] == "on"
    assert tree["settings"]["sqlite"]["synchronous"] == "FULL"
    assert {each["kind"]: each["players"] for each in tree["started"]} == dict.fromkeys(played, 20)
    assert "÷ echo" in printed.decode()


async def test_cpu_is_what_this_process_used() -> None:
    before, began = cpu_s(os.getpid()), perf_counter()
    while perf_counter() - began < 0.3:
        pass
    assert 0.05 < cpu_s(os.getpid()) - before < 1.0


def test_delays_are_told_by_rank() -> None:
    delays = Delays.of([number / 1000 for number in range(1, 102)])
    assert (delays.count, delays.p50, delays.p99, delays.worst) == (101, 51.0, 100.0, 101.0)


def test_of_several_rounds_the_usual_one_is_told_and_the_worst() -> None:
    rounds = [Delays(10, 1.0, 5.0, 9.0), Delays(10, 2.0, 700.0, 900.0), Delays(10, 3.0, 6.0, 8.0)]
    assert Delays.median(rounds) == Delays(30, 2.0, 6.0, 900.0)


def test_ticks_are_averages_over_all_rounds() -> None:
    first = Counts(100, 10, 50, 7).until(Counts(110, 20, 150, 7))
    second = Counts(110, 20, 150, 7).until(Counts(120, 30, 450, 12))
    assert Counts.ticks_of([first, second]) == Counts.ticks_of([Counts(20, 20, 400, 5)])
    assert Counts.ticks_of([Counts(None, 0, 0, 0)]) is None
