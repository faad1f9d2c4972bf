"""The table, the counts, the exit status, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.redteam.arena import ARENAS
from tests.redteam.case import Case, Verdict
from tests.redteam.game import TWIN_S

_HEAD = f"{'id':<4} {'verdict':<7} {'allowed s':>10} {'given s':>10} {'honest twin':>15}  tried"


def list_cases(cases: Iterable[Case]) -> str:
    """What `--list` prints: id, marks and the rule that must stop it."""
    lines = ["marks: S slope runs, T honest twin, F fast clock, B browser, s smoke"]
    for each in cases:
        flags = ("S", each.slope), ("T", each.twin), ("F", each.fast_clock), ("B", each.browser), ("s", each.smoke)
        marks = "".join(mark if on else "·" for mark, on in flags)
        lines.append(f"{each.id:<4} {marks}  {each.tried}")
        lines.append(f"            rule: {each.rule}")
        why = [ARENAS[each.arena].why, f"scaled: {each.scaled}" if each.scaled else ""]
        lines += [f"            {text}" for text in why if text]
    return "\n".join(lines)


def head() -> str:
    return _HEAD


def line(verdict: Verdict) -> str:
    """One row of the table, and below it whatever did not hold."""
    case, worst = verdict.case, verdict.worst
    allowed = f"{worst.most:.2f}" if worst else "–"
    given = f"{worst.given:.2f}" if worst else "–"
    twin = " ".join(f"{each.given:.1f}/{each.most - TWIN_S:.1f}" for each in verdict.twins) or "–"
    clock = " [fast clock]" if case.fast_clock else ""
    lines = [f"{case.id:<4} {'held' if verdict.held else 'BROKEN':<7} {allowed:>10} {given:>10} {twin:>15}  "]
    lines[0] += f"{case.tried}{clock}"
    if verdict.slope:
        runs = ", ".join(f"{who} {seconds:.2f} s" for who, seconds in verdict.slope.items())
        lines.append(f"        slope: {runs}")
    lines += [f"        {note}" for note in verdict.notes]
    if verdict.held:
        return "\n".join(lines)
    lines.append(f"        rule: {case.rule}")
    wrong = [each for each in [*verdict.credits, *verdict.twins] if not each.held]
    lines += [
        f"        {each.who}: {each.given:.3f} s not in [{each.least:.3f}, {each.most:.3f}]" for each in wrong
    ]
    lines += [f"        not so: {each.what}" for each in verdict.checks if not each.held]
    if not (verdict.checks or verdict.credits):
        lines.append("        nothing was looked at")
    if verdict.error:
        lines.append("        " + verdict.error.replace("\n", "\n        "))
    return "\n".join(lines)


def counts(verdicts: Iterable[Verdict], took_s: float) -> str:
    verdicts = list(verdicts)
    held = sum(each.held for each in verdicts)
    looked = sum(len(each.checks) + len(each.credits) + len(each.twins) for each in verdicts)
    broken = len(verdicts) - held
    return f"{len(verdicts)} cases: {held} held, {broken} broken; {looked} things looked at; {took_s:.0f} s"


def write_json(path: Path, verdicts: Iterable[Verdict], about: dict[str, Any]) -> None:
    """Everything that was booked, for machines."""
    tree = {**about, "cases": [_tree(each) for each in verdicts]}
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=1), encoding="utf-8")


def _tree(verdict: Verdict) -> dict[str, Any]:
    case = verdict.case
    return {
        "id": case.id,
        "tried": case.tried,
        "rule": case.rule,
        "held": verdict.held,
        "took_s": round(verdict.took_s, 1),
        "fast_clock": case.fast_clock,
        "scaled": case.scaled,
        "credits": [
            {
                "who": each.who,
                "allowed_s": each.most,
                "least_s": each.least,
                "given_s": each.given,
                "held": each.held,
            }
            for each in [*verdict.credits, *verdict.twins]
        ],
        "slope": verdict.slope,
        "checks": [{"what": each.what, "held": each.held} for each in verdict.checks],
        "notes": verdict.notes,
        "error": verdict.error,
    }
