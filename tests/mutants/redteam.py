"""Mutants that a case of the red team must turn red: real servers run the broken code, and the attack must pay off.

`python -m tests.mutants.redteam [MUTANT …]` plays all of them, at full length where the short play cannot show it:
that takes some minutes. Those that pay off within seconds are also in `test_mutants.py`. That the same cases hold
without a mutant is what the red team itself shows. An ack before the commit pays off only for a crash, which no
case here plays; `rules_counting.py` names its test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import rules_counting, rules_credit
from tests.mutants.runner import Mutant, copy_sources

#: Plays side by side: each is its own processes, which mostly wait.
AT_ONCE = 3
#: The longest play takes under four minutes alone.
LIMIT_S = 1200


@dataclass(frozen=True, slots=True)
class Attack:
    """A case that profits from a mutant; `short`: already in its smoke length."""

    mutant: Mutant
    case: str
    short: bool = False


_BY_NAME = {mutant.name: mutant for mutant in (*rules_counting.MUTANTS, *rules_credit.MUTANTS)}

ATTACKS = (
    Attack(_BY_NAME["rate-of-the-client"], "A05", short=True),
    Attack(_BY_NAME["no-epoch-check"], "A10b", short=True),
    Attack(_BY_NAME["tolerance-per-connection"], "A15"),
    Attack(_BY_NAME["tolerance-per-video"], "A15"),
    Attack(_BY_NAME["clock-per-video"], "A15"),
    Attack(_BY_NAME["challenge-in-memory"], "A08"),
    Attack(_BY_NAME["per-question-reply"], "C02"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the case found: everything that did not hold. `error`: the play itself broke, which proves nothing."""

    broken: tuple[str, ...]
    error: str

    @property
    def red(self) -> bool:
        return bool(self.broken) and not self.error

    def __str__(self) -> str:
        return self.error or "; ".join(self.broken) or "held"


def play(attack: Attack, folder: Path) -> Outcome:
    """Plant the mutant in a new copy in `folder`, play the case there and tell what it found."""
    tree = folder / "tree"
    copy_sources(tree)
    attack.mutant.plant(tree)
    report = folder / "report.json"
    options = ["--case", attack.case, "--json", str(report), *(["--smoke"] if attack.short else [])]
    done = subprocess.run(
        [sys.executable, "-m", "tests.redteam", *options],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    if not report.exists():
        return Outcome((), done.stdout)
    (verdict,) = json.loads(report.read_text(encoding="utf-8"))["cases"]
    paid = [
        f"{each['who']}: {each['given_s']:.2f} s where {each['allowed_s']:.2f} are allowed"
        for each in verdict["credits"]
        if each["given_s"] > each["allowed_s"]
    ]
    checks = [f"not so: {each['what']}" for each in verdict["checks"] if not each["held"]]
    return Outcome((*paid, *checks), verdict["error"])


def main(names: list[str]) -> int:
    """Play the attacks on these mutants, or all; 0 if every one of them paid off."""
    attacks = [each for each in ATTACKS if not names or each.mutant.name in names]

    def one(attack: Attack) -> bool:
        with tempfile.TemporaryDirectory(prefix="xs-") as folder:
            outcome = play(attack, Path(folder))
        colour = "red " if outcome.red else "GREEN"
        print(f"{colour} {attack.case}  {attack.mutant.name}: {outcome}", flush=True)
        return outcome.red

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return 0 if all(list(pool.map(one, attacks))) and attacks else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
