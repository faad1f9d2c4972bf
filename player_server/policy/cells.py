"""Cells of sheets for spreadsheet programs: what a text must look like so that it stays a text."""

from __future__ import annotations

#: A text that begins with one of these may be run as a formula. The wide forms are typed by Chinese input methods
#: and read as the narrow ones by some programs.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: The most that a cell of a spreadsheet holds.
LONGEST = 32_000


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before it if it could be taken for a formula, and cut to LONGEST.

    For texts only: a negative number is written as a number.
    """
    text = text.replace("\0", "")
    return ("'" + text if text.startswith(RISKY) else text)[:LONGEST]
