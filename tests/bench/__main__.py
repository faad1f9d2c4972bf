"""`./run bench`: the order of the run. The load is this process; servers and stores are children of it.

`./run bench api` is another one: what the exam service's questions cost (`api.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

from tests.bench import api, dashboard
from tests.bench.cost import Cores, machine
from tests.bench.measure import FULL, QUICK, Played, Say, Spans, Started, play, start_up
from tests.bench.report import NAMES, Run
from tests.bench.stage import ROOT, Kind, Stores, open_stores, running

PLAYERS = (100, 1000, 5000)
AT_ONCE = 2000


def main(arguments: list[str] | None = None) -> int:
    """Run it; 1 if something happened that an honest run does not bring."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["dashboard"]:
        return dashboard.main(arguments[1:])
    if arguments[:1] == ["api"]:
        return api.main(arguments[1:])
    options = _parser().parse_args(arguments)
    run = uvloop.run(_run(options))
    print(run.text())
    options.output.parent.mkdir(parents=True, exist_ok=True)
    tree = asdict(run) | {"goals": [asdict(goal) | {"verdict": goal.verdict} for goal in run.goals()]}
    options.output.write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"\nWritten to {options.output}")
    return int(bool(run.surprises()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench", description=f"{__doc__} `./run bench api`: the exam service's."
    )
    parser.add_argument("--quick", action="store_true", help="a short smoke: few players, no figures to rely on")
    parser.add_argument("--players", type=_numbers, help="e.g. 100,1000,5000")
    parser.add_argument("--at-once", type=int, help="how many connect at once; 0 leaves that out")
    parser.add_argument("--stores", default="postgresql,sqlite", help="postgresql,sqlite or one of them")
    parser.add_argument("--folder", type=Path, help="where the data lie while it runs: the disk that is measured")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "bench.json", help="the figures as JSON")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(part) for part in text.split(",")}))


async def _run(options: argparse.Namespace) -> Run:
    spans: Spans = QUICK if options.quick else FULL
    players: tuple[int, ...] = options.players or ((20,) if options.quick else PLAYERS)
    at_once: int = (20 if options.quick else AT_ONCE) if options.at_once is None else options.at_once
    kinds = [kind for kind in ("postgresql", "sqlite") if kind in options.stores.split(",")]
    cores = Cores.split()
    os.sched_setaffinity(0, cores.others)
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    people = sum(size + spans.warm_up for size in (*players, at_once))
    steps = _Steps(len(players) + bool(at_once) * (len(kinds) + 1))
    played: list[Played] = []
    started: list[Started] = []
    async with AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="xueshi-bench-", dir=options.folder))
        folder = Path(name)
        steps.say(f"stores with {people} people")
        every: list[Stores | None] = [None]
        for kind in kinds:
            every.append(await stack.enter_async_context(open_stores(kind, folder / kind, people, cores)))  # type: ignore[arg-type]
        settings: dict[Kind, dict[str, Any]] = {each.kind: await each.settings() for each in every if each}
        person = 1
        for size in players:
            say = steps.next(f"{size} players")
            async with AsyncExitStack() as servers:
                fresh = [await servers.enter_async_context(running(each, folder, cores)) for each in every]
                played += await play(fresh, size, person, spans, nominal=size == max(players), say=say)
            person += size + spans.warm_up
        for stores in every if at_once else ():
            async with running(stores, folder, cores) as server:
                say = steps.next(f"{NAMES[server.kind]}, {at_once} at once")
                started.append(await start_up(server, at_once, person, spans, say=say))
        steps.done()
    return Run(machine(), _commit(), load, settings, played, started)


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


class _Steps:
    """How far it is, on standard error: one line that changes, or one line a step where that is not a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._began = perf_counter()

    def next(self, what: str) -> Say:
        """The next step; what it returns says what it is doing."""
        self._number += 1
        return lambda part: self.say(f"{what}: {part}")

    def say(self, text: str) -> None:
        width = 20
        full = width * max(0, self._number - 1) // self._total
        bar = "█" * full + "░" * (width - full)
        line = f"{bar} {self._number:2}/{self._total}  {perf_counter() - self._began:4.0f} s  {text}"
        tty = sys.stderr.isatty()
        print(f"\r\033[K{line}" if tty else line, end="" if tty else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """The line is free again."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
