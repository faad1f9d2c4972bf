"""The kinds of finding the watch core can make. A finding is evidence for people; it never changes credit."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FindingKind(StrEnum):
    AHEAD_OF_FRONTIER = "ahead_of_frontier"
    REPLAY = "replay"
    IMPOSSIBLE_RATE = "impossible_rate"
    SECOND_PAGE = "second_page"
    CHALLENGE_MISSED = "challenge_missed"
    PHONE_REUSED = "phone_reused"
    PHONE_REBOUND = "phone_rebound"
    WRONG_PHONE = "wrong_phone"


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One observed irregularity; `value` is its measure (milliseconds ahead, declared rate × 1000, …)."""

    kind: FindingKind
    value: int
