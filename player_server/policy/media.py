"""How much of a video may be loaded: what was earned, and a little ahead of it, so that playing never stutters."""

from __future__ import annotations


def loadable_ms(frontier_ms: int, duration_ms: int, *, free: bool, lookahead_ms: int | None) -> int | None:
    """Up to which time of the video its bytes may be given out; None: all of it.

    `free` after credit, when the learner may drag anywhere. `lookahead_ms` None switches the rule off.
    """
    if free or lookahead_ms is None or frontier_ms + lookahead_ms >= duration_ms:
        return None
    return frontier_ms + lookahead_ms
