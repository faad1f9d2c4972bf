"""The command line: `./run simulate --learners N --cheaters 10% --minutes M [--speed X] [--postgres]`."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import uvloop

from tests.simulator.pace import BEAT_EVERY_S, GAP_GRACE_S, Pace
from tests.simulator.simulation import Plan, simulate

_BAR = 32


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when nothing was unearned and every loss is explained and small, else 1."""
    options = _parser().parse_args(arguments)
    cheaters = _share(options.cheaters, options.learners)
    plan = Plan(
        options.learners, cheaters, options.minutes, options.speed, options.seed, options.postgres, options.trouble
    )
    earliest, latest = Pace(plan.speed, plan.minutes).checks
    store = "PostgreSQL" if plan.postgres else "SQLite"
    beat, grace = BEAT_EVERY_S / plan.speed, GAP_GRACE_S / plan.speed
    print(
        f"{plan.learners - cheaters} honest learners and {cheaters} cheaters study for {plan.minutes:g} minutes, "
        f"{plan.speed:g} times as fast as in life, on {store} (seed {plan.seed}).\n"
        f"The product's settings and its videos are {plan.speed:g} times as short (a beat every {beat:g} s, "
        f"a grace of {grace:g} s); its code is not touched.\n"
        f"A check comes every {earliest / 60:.3g} to {latest / 60:.3g} minutes of study. "
        "Times below are those of life.",
        flush=True,
    )
    # Sockets that break are what is simulated.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    began = time.monotonic()
    figures = uvloop.run(simulate(plan, Progress()))
    faults = figures.faults()
    print(figures.text())
    print(f"{'; '.join(faults) or 'Everything held.'}   ({time.monotonic() - began:.0f} s)")
    return 1 if faults else 0


class Progress:
    """A bar that is drawn over itself on a terminal, and a line for every tenth elsewhere."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, share: float, what: str) -> None:
        done = round(share * _BAR)
        line = f"[{'█' * done}{'·' * (_BAR - done)}] {share:4.0%}  {what}"
        if sys.stderr.isatty():
            print(
                f"\r{line:<90}", end="\n" if share >= 1 and "looking" in what else "", file=sys.stderr, flush=True
            )
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            print(line, file=sys.stderr, flush=True)


def _share(text: str, learners: int) -> int:
    """`10%` or a number of people."""
    try:
        count = round(learners * float(text[:-1]) / 100) if text.endswith("%") else int(text)
    except ValueError:
        raise SystemExit(f"--cheaters {text}: a number, or a share like 10%") from None
    if not 0 <= count <= learners:
        raise SystemExit(f"--cheaters {text}: between 0 and {learners}")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run simulate",
        description="An honest crowd and cheaters on a real server: what was credited against what was watched.",
    )
    parser.add_argument("--learners", type=int, default=100, help="how many people (default 100)")
    parser.add_argument("--cheaters", default="10%", help="of them: a share or a number (default 10%%)")
    parser.add_argument("--minutes", type=float, default=30, help="how long they study (default 30)")
    parser.add_argument("--speed", type=float, default=10, help="so many times as fast as in life (default 10)")
    parser.add_argument(
        "--trouble", type=float, default=1, help="so many times as much network and machine trouble"
    )
    parser.add_argument("--seed", type=int, default=1, help="another crowd (default 1)")
    parser.add_argument("--postgres", action="store_true", help="on the test PostgreSQL instead of SQLite")
    return parser


if __name__ == "__main__":
    sys.exit(main())
