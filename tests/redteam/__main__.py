"""The command line: `./run redteam [--case A09 …] [--list] [--json FILE] [--postgres] [--nodes 2] [--smoke]`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import uvloop

import tests.redteam.attacks
import tests.redteam.honest  # noqa: F401  # Importing a folder enters its cases.
from tests.redteam import report
from tests.redteam.arena import Stores
from tests.redteam.case import CASES, Case, Verdict
from tests.redteam.suite import play_all


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when every case held, 1 when one did not, 2 when nothing could be played."""
    options = _parser().parse_args(arguments)
    names = options.case or sorted(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"no such case: {', '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    cases = [CASES[name] for name in names if not options.smoke or CASES[name].smoke]
    if not cases:
        print("none of these is in the smoke subset", file=sys.stderr)
        return 2
    if options.list:
        print(report.list_cases(cases))
        return 0
    return uvloop.run(_play(cases, options))


async def _play(cases: list[Case], options: argparse.Namespace) -> int:
    stores = Stores(postgres=options.postgres, nodes=options.nodes)
    began = time.monotonic()

    def done(verdict: Verdict) -> None:
        print(report.line(verdict), flush=True)

    where = f"{'PostgreSQL' if options.postgres else 'SQLite'}, {options.nodes} node(s)"
    print(f"Red team on {where}: {len(cases)} cases, printed as they end.\n{report.head()}", flush=True)
    try:
        verdicts = await play_all(cases, stores, smoke=options.smoke, done=done)
    finally:
        await stores.close()
    took = time.monotonic() - began
    print(report.counts(verdicts, took))
    broken = [each.case.id for each in verdicts if not each.held]
    if broken:
        print(f"broken: {', '.join(broken)}")
    if options.json:
        about = {"where": where, "smoke": options.smoke, "took_s": round(took, 1)}
        report.write_json(options.json, verdicts, about)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run redteam", description="Plays the table of attacks on live servers."
    )
    parser.add_argument("--case", nargs="+", metavar="ID", help="only these rows, e.g. A09 F11")
    parser.add_argument("--list", action="store_true", help="say what each row tries and which rule must stop it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was booked")
    parser.add_argument("--postgres", action="store_true", help="on the test PostgreSQL instead of SQLite")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 2), help="server nodes on the shared stores")
    parser.add_argument("--smoke", action="store_true", help="the short subset that runs in ./run test")
    return parser


if __name__ == "__main__":
    sys.exit(main())
