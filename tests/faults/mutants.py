"""Mutants that a campaign must turn red: real servers run the broken code while they are killed, frozen or misled.

`python -m tests.faults.mutants [MUTANT …]` plays them one after the other, some minutes. Each proves that a checker
sees what it is for (hours counted twice are shown by `test_history.py` only); that the same campaigns hold without
a mutant is what `./run faults` shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import rules_counting
from tests.mutants.runner import Mutant, copy_sources

LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Proof:
    """`found`: the part of the verdict that must not be empty."""

    mutant: Mutant
    case: str
    store: str
    share: float
    found: str


_BY_NAME = {mutant.name: mutant for mutant in rules_counting.MUTANTS}

PROOFS = (
    Proof(_BY_NAME["ack-before-commit"], "kills", "sqlite", 0.1, "lost"),
    Proof(_BY_NAME["no-epoch-check-postgres"], "pauses", "postgres", 0.3, "lost"),
    Proof(_BY_NAME["epoch-does-not-grow"], "kills", "sqlite", 0.03, "epochs"),
    Proof(_BY_NAME["tolerance-per-connection"], "kills", "sqlite", 0.05, "phantom"),
    Proof(_BY_NAME["wall-clock-counts-beats"], "wall-clock", "sqlite", 0.4, "phantom"),
)


def play(proof: Proof, folder: Path) -> tuple[bool, str]:
    """Plant the mutant in a new copy and play the campaign there; whether it was seen, and what was found."""
    tree = folder / "tree"
    copy_sources(tree)
    proof.mutant.plant(tree)
    report = folder / "report.json"
    options = ["--case", proof.case, "--store", proof.store, "--share", str(proof.share), "--json", str(report)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *options, "--clients", "12"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    if not report.exists():
        return False, done.stdout
    (row,) = json.loads(report.read_text(encoding="utf-8"))
    found = row["verdict"][proof.found]
    return bool(found), "; ".join(found[:2]) or row["error"][-300:] or "nothing"


def main(names: list[str]) -> int:
    """0 if every mutant was seen."""
    seen_all = True
    for proof in PROOFS:
        if names and proof.mutant.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="xs-") as folder:
            seen, what = play(proof, Path(folder))
        print(
            f"{'red  ' if seen else 'GREEN'} {proof.found:8} {proof.mutant.name} in {proof.case}: {what}",
            flush=True,
        )
        seen_all = seen_all and seen
    return 0 if seen_all else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
