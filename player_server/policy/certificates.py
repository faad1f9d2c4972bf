"""Certificates (学时证明): what one says, how its number looks, and which hours it stands or falls with.

What belongs here: evaluation in, content out; no rows, no clock, no randomness. When one may be issued and how it
is kept is in `learning/certificates.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import date

import msgspec

from .hours import Evaluation
from .programmes import KINDS, Kind, Name

#: Crockford's alphabet: no I, L, O or U, so that a number survives being read out or typed from paper.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: 16 symbols of 5 bits: 80 bits, so that no number can be guessed.
LENGTH = 16
_GROUP = 4
_AS_TYPED = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, "–": None, " ": None, "\u3000": None})


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule in one period. Hours in hundredths, days in China, both ends inclusive (`ends` None: open).

    `kinds`: what each kind of hours gave of `counted`, in the order of `policy.programmes.KINDS`.
    """

    rule: str
    name: Name
    label: str
    begins: date
    ends: date | None
    required: int
    counted: int
    kinds: dict[Kind, int]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was true when it was issued. `entries`: the ledger entries that counted; it stands while they do.

    `totals`: what these entries have together, by kind, each once, however many rules it counted for.
    """

    programme: Name
    lines: tuple[Line, ...]
    entries: tuple[int, ...]
    totals: dict[Kind, int]
    issued_on: date | None = None  # the registration's, not the certificate's own
    expires_on: date | None = None


def content_of(
    evaluation: Evaluation,
    programme: Name,
    ledger: Mapping[int, tuple[Kind, int]],
    *,
    issued_on: date | None,
    expires_on: date | None,
) -> Content:
    """What a certificate on this evaluation says. `ledger`: entry → its kind and hours, for each that counted."""
    entries = sorted({part.entry_id for each in evaluation.rules for part in each.entries})
    return Content(
        programme=programme,
        lines=tuple(
            Line(
                rule=each.rule,
                name=each.name,
                label=each.label,
                begins=each.begins,
                ends=each.ends,
                required=each.required,
                counted=each.counted,
                kinds=_sums((ledger[part.entry_id][0], part.hours) for part in each.entries),
            )
            for each in evaluation.rules
        ),
        entries=tuple(entries),
        totals=_sums(ledger[each] for each in entries),
        issued_on=issued_on,
        expires_on=expires_on,
    )


def _sums(parts: Iterable[tuple[Kind, int]]) -> dict[Kind, int]:
    sums: dict[Kind, int] = {}
    for kind, hours in parts:
        sums[kind] = sums.get(kind, 0) + hours
    return {kind: sums[kind] for kind in KINDS if kind in sums}


def covers(evaluation: Evaluation) -> str:
    """Which periods of which rules an evaluation speaks of, as 64 hexadecimal digits.

    The next year of a yearly programme is another certificate; further hours of the same year are not.
    """
    spans = sorted(f"{each.rule} {each.begins.isoformat()}" for each in evaluation.rules)
    return hashlib.sha256("\n".join(spans).encode()).hexdigest()


def stands(entries: Collection[int], standing: Collection[int]) -> bool:
    """Whether every ledger entry it was issued on is still there and not reversed. Without any it never stands."""
    return bool(entries) and set(entries) <= set(standing)


def make_number(random: bytes) -> str:
    """The number as it is kept, from 10 random bytes: 16 symbols without hyphens."""
    value = int.from_bytes(random[: LENGTH * 5 // 8], "big")
    return "".join(ALPHABET[value >> (5 * place) & 31] for place in reversed(range(LENGTH)))


def show_number(number: str) -> str:
    """The number as people read it: `7K2M-9QXT-4B8R-WZ3C`."""
    return "-".join(number[start : start + _GROUP] for start in range(0, len(number), _GROUP))


def read_number(text: str) -> str | None:
    """What somebody typed or scanned → the number as it is kept; None if it cannot be one."""
    number = text.strip().upper().translate(_AS_TYPED)
    return number if len(number) == LENGTH and all(each in ALPHABET for each in number) else None
