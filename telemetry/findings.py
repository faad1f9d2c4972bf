"""Every kind of finding. A finding is evidence for people; it never changes credit."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FindingKind(StrEnum):
    """What can be observed. How it is rated for review is `player_server.policy.findings`.

    The measure of each kind: `ahead_of_frontier` milliseconds beyond what could be earned, `replay` how far the
    number lay back, `impossible_rate` the declared rate × 1000, `metronome_beats` beats in one unbroken rhythm,
    `long_day` milliseconds earned that day; the others have none (0).
    """

    AHEAD_OF_FRONTIER = "ahead_of_frontier"
    REPLAY = "replay"
    IMPOSSIBLE_RATE = "impossible_rate"
    METRONOME_BEATS = "metronome_beats"
    LONG_DAY = "long_day"
    SECOND_PAGE = "second_page"
    CHALLENGE_MISSED = "challenge_missed"
    PHONE_REUSED = "phone_reused"
    PHONE_REBOUND = "phone_rebound"
    WRONG_PHONE = "wrong_phone"


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One observed irregularity; `value` is its measure (see FindingKind)."""

    kind: FindingKind
    value: int
