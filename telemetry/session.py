"""Counting: what one beat earns. `step` takes a state and returns a state; the clock is an argument.

The law: `allowance` is the time the server saw pass and that was not spent yet, and the frontier never moves
by more than it. Everything else in this file decides when to explain, to rewind or to challenge.
"""

from __future__ import annotations

import msgspec

from telemetry.findings import Finding, FindingKind
from telemetry.messages import Beat, Uncredited
from telemetry.rules import WatchRules, is_watched, watched_from_ms


class Draw(msgspec.Struct, frozen=True, gc=False):
    """Randomness drawn by the shell before it is needed: the next challenge's id, and when the one after is due."""

    challenge_id: str
    next_due_ms: int


class Session(msgspec.Struct, frozen=True, gc=False):
    """The live player of one person on one video. All times in integer milliseconds.

    `last_tick_ms` is on the server's monotonic clock. `carry_ms` is allowance that was not spent.
    `gap_ms` is silence beyond the grace that no rewind has explained yet. `returned`: the page has just come back
    over a new line; whether it played since its last durable beat, only its next one can say.
    """

    duration_ms: int
    frontier_ms: int
    position_ms: int
    last_tick_ms: int
    draw: Draw
    until_challenge_ms: int
    carry_ms: int = 0
    playing: bool = False
    seq: int = 0
    rewind_id: int = 0
    gap_ms: int = 0
    held: str | None = None
    watched: bool = False
    credited: bool = False
    returned: bool = False


class Rewound(msgspec.Struct, frozen=True, gc=False):
    """The page must go back: to where, why, and the id its next beats must echo."""

    id: int
    to_ms: int
    reason: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one beat did. The caller's duty: commit `session` (with `issued`, if any, in the same
    transaction), and only then send the ack, the rewind or the challenge."""

    session: Session
    earned_ms: int = 0
    uncredited: Uncredited | None = None
    rewound: Rewound | None = None
    issued: str | None = None
    finished: bool = False
    findings: tuple[Finding, ...] = ()


def step(s: Session, beat: Beat, now_ms: int, rules: WatchRules) -> Outcome:
    """Count one beat that arrived at `now_ms` (monotonic)."""
    if beat.seq <= s.seq:
        return Outcome(s, findings=(Finding(FindingKind.REPLAY, s.seq - beat.seq),))
    if s.rewind_id and beat.rewind != s.rewind_id:
        # It was sent before the page knew of the rewind. The time it spans is judged with the next beat.
        return Outcome(_replace(s, seq=beat.seq))

    elapsed = max(0, now_ms - s.last_tick_ms)
    if s.held is not None:
        # The frontier is frozen, whatever the client sends; time starts anew at the first beat after `resume`.
        frozen = _replace(s, seq=beat.seq, last_tick_ms=now_ms, carry_ms=0, playing=False, gap_ms=0, returned=False)
        return Outcome(frozen, uncredited=Uncredited(elapsed / 1000, "challenge"))

    position = min(round(beat.position * 1000), s.duration_ms)
    playing = beat.playing or beat.event == "ended"
    if s.watched or s.credited:
        # Nothing is left to earn: free dragging, no allowance, no rewind.
        free = _replace(s, seq=beat.seq, last_tick_ms=now_ms, position_ms=position, playing=playing)
        return Outcome(free)
    return _count(s, beat, now_ms, elapsed, position, playing, rules)


def _count(
    s: Session, beat: Beat, now_ms: int, elapsed: int, position: int, playing: bool, rules: WatchRules
) -> Outcome:
    played = elapsed if s.playing else 0
    if s.returned and not s.playing:
        # The beat that said `play` may have been lost with the old line. As far as the page went on it played,
        # but no longer than the server's clock has seen pass since; the rest was a pause.
        played = min(elapsed, max(0, int((position - s.frontier_ms) / rules.max_rate)))
    usable = min(played, rules.gap_grace_ms)
    silence = played - usable
    allowance = min(rules.allowance_cap_ms, s.carry_ms + int(usable * rules.max_rate))
    gap = s.gap_ms + silence
    ahead = position - s.frontier_ms

    reason = "gap" if silence else None
    rewound: Rewound | None = None
    findings: tuple[Finding, ...] = ()
    if ahead <= 0:
        earned = 0
        if usable and not reason:
            reason = "rewatch"
    elif ahead <= allowance + rules.jitter_ms:
        earned = min(ahead, allowance)
        if elapsed > rules.jitter_ms and not silence and earned == ahead:
            # The burst of held-up beats is over and the server has caught up with the page, so the old silence
            # explains nothing any more. As long as the server trails because of it, it does.
            gap = 0
    elif gap:
        # An honest player that was silent too long: the grace counts, the rest must be watched again.
        earned = allowance
        reason = "gap"
        rewound = Rewound(s.rewind_id + 1, s.frontier_ms + earned, reason)
    else:
        earned = 0
        reason = "ahead_of_frontier"
        rewound = Rewound(s.rewind_id + 1, s.frontier_ms, reason)
        findings = (Finding(FindingKind.AHEAD_OF_FRONTIER, ahead - allowance),)
    if beat.rate > rules.max_rate * 1.05 and playing:
        findings += (Finding(FindingKind.IMPOSSIBLE_RATE, round(beat.rate * 1000)),)

    frontier = s.frontier_ms + earned
    finished = is_watched(frontier, s.duration_ms)
    until = s.until_challenge_ms - earned
    held: str | None = None
    draw = s.draw
    if earned and until <= 0:
        held, until = draw.challenge_id, draw.next_due_ms

    after = Session(
        duration_ms=s.duration_ms,
        frontier_ms=frontier,
        position_ms=position if rewound is None else rewound.to_ms,
        last_tick_ms=now_ms,
        draw=draw,
        until_challenge_ms=until,
        carry_ms=0 if held else allowance - earned,
        playing=playing and held is None,
        seq=beat.seq,
        rewind_id=s.rewind_id if rewound is None else rewound.id,
        gap_ms=0 if rewound is not None else gap,
        held=held,
        watched=finished,
    )
    lost = _lost_ms(reason, usable, silence, earned) if reason else 0
    return Outcome(
        after,
        earned_ms=earned,
        uncredited=Uncredited(lost / 1000, reason) if reason and lost else None,
        rewound=rewound,
        issued=held,
        finished=finished,
        findings=findings,
    )


def _lost_ms(reason: str | None, usable: int, silence: int, earned: int) -> int:
    """How much of the time that passed does not count, in milliseconds."""
    if reason == "gap":
        return silence
    return max(0, usable - earned)


def wait_ms(s: Session, rules: WatchRules) -> int | None:
    """How long the page must go on beating at the end until the trailing rest is earned, or None."""
    if s.watched or s.held is not None or not is_watched(s.position_ms, s.duration_ms):
        return None
    goal = watched_from_ms(s.duration_ms)
    if s.frontier_ms >= goal:
        return None
    return max(0, int((goal - s.frontier_ms) / rules.max_rate) - s.carry_ms)


def resume(s: Session, next_draw: Draw) -> Session:
    """The hold was cleared. Nothing counts until the first beat after it has set the clock."""
    return _replace(s, held=None, carry_ms=0, playing=False, gap_ms=0, draw=next_draw, returned=False)


def hold(s: Session, challenge_id: str) -> Session:
    """The store says that another challenge is open now (a successor of a missed one)."""
    return _replace(s, held=challenge_id, carry_ms=0, playing=False, gap_ms=0, returned=False)


def redraw(s: Session, draw: Draw) -> Session:
    """Give the state fresh randomness after its draw was used up."""
    return _replace(s, draw=draw)


def credit(s: Session) -> Session:
    """The hours were credited: nothing is counted from now on."""
    return _replace(s, watched=True, credited=True)


_replace = msgspec.structs.replace
