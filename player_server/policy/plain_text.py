"""What people type into a field of several words: reasons, notes, objections."""

from __future__ import annotations

import unicodedata

#: Longest reason, note, objection or answer, in characters: half a page is enough to be clear.
LONGEST_TEXT = 1000


def tidy(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text as it is kept: no control characters but line ends, no more than one empty line, no blanks around.

    What is left may be empty. Longer texts are cut: the field says how much it takes.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    clean = ["".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs")).strip() for line in lines]
    kept = [line for before, line in zip(["", *clean], clean, strict=False) if line or before]
    return "\n".join(kept).strip()[:longest]
