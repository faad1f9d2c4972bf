"""Ids in paths: what cannot be one of the database's is simply not found."""

from __future__ import annotations

_LARGEST = 2**63 - 1
_DIGITS = 19


def database_id(text: str) -> int | None:
    """The id, or None for anything that no row can have."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        return None
    number = int(text)
    return number if 0 < number <= _LARGEST else None
