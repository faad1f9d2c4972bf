"""`./run faults`: plays the campaigns and prints what was lost, invented, or counted twice: nothing may be."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import uvloop

from tests.faults.faults import CAMPAIGNS, Campaign, Store
from tests.faults.play import Row, play

HEAD = (
    f"{'campaign':17} {'store':9} {'doses':>5} {'attempted':>9} {'acked':>7} {'unknown':>7} {'durable':>7} "
    f"{'LOST':>5} {'PHANTOM':>7} {'DOUBLE':>6} {'epochs':>7} {'hours':>5} {'back after s':>13} {'took s':>6}"
)


def line(row: Row) -> str:
    """One row of the table; `durable`: how many unknown ones turned out to be stored."""
    verdict = row.verdict
    back = "–" if row.recovery_s is None else f"{row.recovery_s[0]:.1f} / {row.recovery_s[1]:.1f}"
    order = "rising" if not verdict.epochs else f"{len(verdict.epochs)} not"
    return (
        f"{row.name:17} {row.store:9} {row.doses:5} {verdict.attempted:9} {verdict.acked:7} {verdict.unknown:7} "
        f"{verdict.unknown_durable:7} {len(verdict.lost):5} {len(verdict.phantom):7} {len(verdict.double):6} "
        f"{order:>7} {verdict.credits:5} {back:>13} {row.seconds:6.0f}"
    )


async def main(options: argparse.Namespace) -> int:
    """Play what was asked for; 0 if everything held."""
    wanted = [each for each in CAMPAIGNS if not options.case or each.name in options.case]
    rows: list[Row] = []
    print(HEAD, flush=True)
    for campaign in wanted:
        for store in campaign.stores:
            if options.store in (None, store):
                rows.append(await _one(campaign, store, options))
                if options.json:
                    text = json.dumps([row.as_dict() for row in rows], ensure_ascii=False, indent=1)
                    options.json.write_text(text, encoding="utf-8")
    held = sum(row.held for row in rows)
    print(f"{held} of {len(rows)} campaigns held.")
    return 0 if rows and held == len(rows) else 1


async def _one(campaign: Campaign, store: Store, options: argparse.Namespace) -> Row:
    doses = campaign.short if options.quick else max(1, round(campaign.doses * options.share))
    row = await play(campaign, store, doses=doses, clients=options.clients, seed=options.seed)
    print(line(row), flush=True)
    verdict = row.verdict
    for text in (*verdict.lost, *verdict.phantom, *verdict.double, *verdict.epochs, *verdict.unexpected)[:12]:
        print(f"    {text}")
    if row.error:
        print("    " + row.error.strip().replace("\n", "\n    "), flush=True)
    return row


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run faults", description=__doc__)
    parser.add_argument("--case", action="append", metavar="NAME", help="only this campaign; may be repeated")
    parser.add_argument("--store", choices=("sqlite", "postgres"))
    parser.add_argument("--quick", action="store_true", help="a few doses of each")
    parser.add_argument("--share", type=float, default=1.0, metavar="X", help="only this share of the doses")
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    chosen = parse()
    if chosen.list:
        for each in CAMPAIGNS:
            print(f"{each.name:17} {each.what} ({each.doses} doses; {', '.join(each.stores)})")
        sys.exit(0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(chosen)))
