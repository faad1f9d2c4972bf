"""Hours as people and other systems read them. Inside they are whole hundredths, so that sums are exact."""

from __future__ import annotations


def as_decimal(hundredths: int) -> str:
    """Always with two places, for interfaces: 150 → "1.50", -50 → "-0.50"."""
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{rest:02d}"


def as_words(hundredths: int) -> str:
    """Without needless zeros, for pages: 150 → "1.5", 200 → "2"."""
    return as_decimal(hundredths).rstrip("0").rstrip(".")
