"""The counting core: every rule by name, and the guarantees for every sequence Hypothesis can think of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from telemetry.findings import FindingKind
from telemetry.messages import Beat
from telemetry.rules import WatchRules, is_watched, watched_from_ms
from telemetry.session import Draw, Outcome, Session, credit, hold, resume, step, wait_ms

RULES = WatchRules()
NEVER = 10**12


def session(**changes: object) -> Session:
    state = Session(
        duration_ms=600_000,
        frontier_ms=0,
        position_ms=0,
        last_tick_ms=0,
        draw=Draw("challenge-1", NEVER),
        until_challenge_ms=NEVER,
    )
    return structs.replace(state, **changes)


@dataclass
class Player:
    """Drives `step` with times in seconds and remembers what came out."""

    state: Session = field(default_factory=session)
    now_ms: int = 0
    seq: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def beat(self, after_s: float, position_s: float, *, playing: bool = True, **more: object) -> Outcome:
        self.now_ms += round(after_s * 1000)
        self.seq += 1
        message = Beat(
            seq=self.seq,
            position=position_s,
            playing=playing,
            **{"rewind": self.state.rewind_id or None, **more},  # type: ignore[arg-type]
        )
        outcome = step(self.state, message, self.now_ms, RULES)
        self.state = outcome.session
        self.outcomes.append(outcome)
        return outcome

    @property
    def frontier_s(self) -> float:
        return self.state.frontier_ms / 1000


def test_an_honest_viewer_earns_every_second() -> None:
    player = Player()
    player.beat(0, 0)
    for second in range(5, 605, 5):
        player.beat(5, second)
    assert player.state.frontier_ms == 600_000
    assert player.outcomes[-1].finished
    assert not any(outcome.rewound or outcome.findings for outcome in player.outcomes)


def test_the_first_beat_earns_nothing_because_nothing_was_seen_yet() -> None:
    player = Player()
    assert player.beat(3, 2).earned_ms == 0
    assert player.beat(5, 600).rewound is not None


def test_a_jump_ahead_earns_nothing_and_is_rewound_to_the_frontier() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(5, 5)
    outcome = player.beat(5, 120)
    assert outcome.earned_ms == 0
    assert outcome.rewound is not None and outcome.rewound.to_ms == 5_000
    assert outcome.rewound.reason == "ahead_of_frontier"
    assert [finding.kind for finding in outcome.findings] == [FindingKind.AHEAD_OF_FRONTIER]
    assert outcome.uncredited is not None and outcome.uncredited.reason == "ahead_of_frontier"


def test_jitter_only_spares_the_rewind_and_never_earns() -> None:
    player = Player()
    player.beat(0, 0)
    outcome = player.beat(5, 6.9)
    assert outcome.rewound is None
    assert player.frontier_s == 5.0
    # However many beats, the trail is never given away.
    for number in range(1, 50):
        player.beat(1, 6.9 + number)
    assert player.frontier_s == 54.0


def test_reconnecting_often_does_not_add_up_tolerance() -> None:
    earned = 0
    for _connection in range(100):
        player = Player(session(frontier_ms=earned))
        player.beat(0, earned / 1000)
        player.beat(0.1, earned / 1000 + 2.0)
        earned = player.state.frontier_ms
    assert earned <= 100 * 100


@pytest.mark.parametrize("declared", [1.0, 2.0, 16.0])
def test_double_speed_earns_real_time_whatever_rate_the_page_declares(declared: float) -> None:
    player = Player()
    player.beat(0, 0)
    for _ in range(60):
        player.beat(1, player.frontier_s + 2, rate=declared)
    assert player.frontier_s <= 60.0


def test_what_was_not_spent_is_carried_up_to_the_grace_and_no_further() -> None:
    player = Player(session(frontier_ms=300_000))
    player.beat(0, 0)
    for second in range(5, 205, 5):
        player.beat(5, second)
    player.beat(0, 315)
    player.beat(0, 316)
    assert player.frontier_s == 315.0


def test_beats_held_up_in_the_network_count_in_full() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(12, 5)
    player.beat(0, 10)
    player.beat(0, 12)
    assert player.frontier_s == 12.0
    assert not any(outcome.rewound or outcome.findings for outcome in player.outcomes)


def test_beats_held_longer_than_the_grace_count_up_to_the_grace_without_a_finding() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(30, 5)
    for second in (10, 15, 20, 25, 30):
        player.beat(0, second, rewind=None)
    assert player.frontier_s == 15.0
    assert {outcome.rewound.reason for outcome in player.outcomes if outcome.rewound} == {"gap"}
    assert not any(outcome.findings for outcome in player.outcomes)
    assert sum(each.uncredited.seconds for each in player.outcomes if each.uncredited) == 15.0


def test_as_long_as_the_server_trails_because_of_a_silence_the_silence_explains_a_rewind() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(5, 5)
    for after, position in ((17, 10), (0, 15), (0, 20), (0, 22), (5, 27)):
        assert player.beat(after, position).rewound is None
    # This one was faster on its way than the one before, by less than anybody can feel.
    early = player.beat(4.97, 32)
    assert early.rewound is not None and early.rewound.reason == "gap"
    assert (early.findings, early.earned_ms) == ((), 4_970)
    again = player.beat(5, early.rewound.to_ms / 1000 + 60)
    assert [finding.kind for finding in again.findings] == [FindingKind.AHEAD_OF_FRONTIER]


def test_one_beat_after_eight_hours_earns_the_grace_and_no_more() -> None:
    player = Player()
    player.beat(0, 0)
    outcome = player.beat(8 * 3600, 599)
    assert outcome.earned_ms == RULES.gap_grace_ms
    assert outcome.rewound is not None and outcome.rewound.reason == "gap"
    for position in range(20, 600):
        player.beat(0, position)
    assert player.frontier_s == 15.0


def test_a_pause_earns_nothing_however_long() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(5, 5, playing=False, event="pause")
    for _ in range(100):
        player.beat(5, 5, playing=False)
    player.beat(1, 5, event="play")
    assert player.beat(0, 20).earned_ms == 0


def test_watching_again_earns_nothing_and_is_nothing_wrong() -> None:
    player = Player()
    player.beat(0, 0)
    for second in range(5, 65, 5):
        player.beat(5, second)
    outcome = player.beat(5, 10, event="seek")
    assert (outcome.earned_ms, outcome.rewound, outcome.findings) == (0, None, ())
    assert outcome.uncredited is not None and outcome.uncredited.reason == "rewatch"
    for second in range(15, 75, 5):
        player.beat(5, second)
    assert player.frontier_s == 70.0


def test_beats_from_before_a_rewind_are_ignored() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(1, 300)
    before = player.state
    outcome = player.beat(1, 301, rewind=None)
    assert outcome.rewound is None and not outcome.findings
    assert structs.replace(outcome.session, seq=before.seq) == before


def test_a_replayed_beat_changes_nothing() -> None:
    player = Player()
    player.beat(0, 0)
    player.beat(5, 5)
    before = player.state
    outcome = step(before, Beat(seq=1, position=9, playing=True), player.now_ms + 9_000, RULES)
    assert outcome.session is before
    assert outcome.findings[0].kind is FindingKind.REPLAY


def test_the_beat_that_crosses_the_due_point_counts_whole_and_then_nothing_does() -> None:
    player = Player(session(until_challenge_ms=7_000, draw=Draw("due", 99_000)))
    player.beat(0, 0)
    player.beat(5, 5)
    outcome = player.beat(5, 10)
    assert outcome.issued == "due"
    assert player.frontier_s == 10.0
    for second in range(11, 60):
        frozen = player.beat(5, second)
        assert frozen.earned_ms == 0
        assert frozen.uncredited is not None and frozen.uncredited.reason == "challenge"
    assert player.frontier_s == 10.0


def test_after_a_challenge_the_clock_restarts_at_the_first_beat() -> None:
    player = Player(session(until_challenge_ms=1_000, draw=Draw("due", NEVER)))
    player.beat(0, 0)
    player.beat(5, 5)
    player.state = resume(player.state, Draw("next", NEVER))
    assert player.beat(10, 7).earned_ms == 0
    assert player.beat(5, 10).earned_ms == 5_000


def test_a_successor_challenge_keeps_the_hold() -> None:
    player = Player(hold(session(), "successor"))
    player.beat(0, 0)
    player.beat(5, 5)
    assert player.state.held == "successor"
    assert player.frontier_s == 0


def test_at_the_end_the_trailing_rest_is_waited_for() -> None:
    player = Player(session(frontier_ms=590_000))
    player.beat(0, 590)
    player.beat(8.2, 600, playing=False, event="ended")
    assert not player.state.watched
    wait = wait_ms(player.state, RULES)
    assert wait == 600_000 - 500 - 598_200
    assert player.beat(wait / 1000, 600, playing=False, event="ended").finished
    assert wait_ms(player.state, RULES) is None


def test_ended_at_the_first_second_earns_one_second() -> None:
    player = Player()
    player.beat(0, 0)
    for _ in range(1000):
        player.beat(0.001, 600, playing=False, event="ended")
    assert player.state.frontier_ms <= 1_000
    assert not player.state.watched


@pytest.mark.parametrize("duration_ms", [1, 10, 3_000, 5_000, 600_000])
def test_no_video_is_watched_in_an_instant(duration_ms: int) -> None:
    assert 0 < watched_from_ms(duration_ms) <= duration_ms
    assert watched_from_ms(duration_ms) >= duration_ms * 0.9 - 1


@given(duration_ms=st.integers(1, 20_000), frontier_ms=st.integers(0, 20_000))
def test_a_video_is_watched_exactly_from_that_frontier_on(duration_ms: int, frontier_ms: int) -> None:
    assert is_watched(frontier_ms, duration_ms) == (frontier_ms >= watched_from_ms(duration_ms))


def test_after_credit_everything_is_free_and_nothing_is_counted() -> None:
    player = Player(credit(session()))
    outcome = player.beat(1, 500)
    assert outcome.rewound is None and outcome.earned_ms == 0 and not outcome.findings
    assert player.state.position_ms == 500_000


def test_a_fast_media_clock_is_never_rewound_when_the_page_slows_down() -> None:
    """500 ppm fast for two hours; the page plays at 0.97 while the server trails by more than a second."""
    player = Player(session(duration_ms=8 * 3600_000))
    position, rate = 0.0, 1.0
    player.beat(0, 0)
    for _ in range(2 * 3600 // 5):
        position += 5 * rate * 1.0005
        player.beat(5, position)
        rate = 0.97 if position - player.frontier_s > (1.0 if rate == 1.0 else 0.0) else 1.0
    assert not any(outcome.rewound for outcome in player.outcomes)
    assert position - player.frontier_s < 1.2


def test_what_a_page_played_after_a_beat_that_was_lost_with_its_line_counts_when_it_comes_back() -> None:
    """It paused at 20 s; `play` was lost; ten seconds later the same page speaks on a new line."""
    player = Player(session(frontier_ms=20_000, returned=True))
    outcome = player.beat(13, 30)
    assert outcome.earned_ms == 10_000
    assert outcome.rewound is None and outcome.uncredited is None and not outcome.findings
    # The three seconds of pause are not carried, and only the first beat of a line can say so.
    assert player.state.carry_ms == 0 and not player.state.returned


def test_a_page_that_comes_back_has_earned_no_more_than_passed_and_no_more_than_the_grace() -> None:
    early = Player(session(returned=True)).beat(3, 4.5)
    assert (early.earned_ms, early.rewound) == (3_000, None)
    far = Player(session(returned=True)).beat(3, 30)
    assert far.earned_ms == 0
    assert far.rewound is not None and far.rewound.reason == "ahead_of_frontier"
    late = Player(session(returned=True)).beat(300, 40)
    assert late.earned_ms == 15_000
    assert late.rewound is not None and late.rewound.reason == "gap" and not late.findings
    assert late.uncredited is not None and late.uncredited.seconds == 25


def test_a_pause_of_a_page_that_comes_back_is_no_loss() -> None:
    player = Player(session(frontier_ms=20_000, returned=True))
    outcome = player.beat(300, 20)
    assert outcome.earned_ms == 0 and outcome.uncredited is None and outcome.rewound is None


# ------------------------------------------------------------------------------- for every sequence

moves = st.tuples(
    st.integers(0, 40_000),  # milliseconds since the last message
    st.floats(0, 700, allow_nan=False),  # reported position, seconds
    st.booleans(),
    st.sampled_from(["tick", "play", "pause", "seek", "ended", "visibility", "stall"]),
    st.floats(0, 16, allow_nan=False),
    st.sampled_from(["beat", "beat", "beat", "beat", "resume", "stale", "replay", "return"]),
)


@settings(max_examples=400)
@given(st.lists(moves, max_size=60), st.sampled_from([0.5, 1.0, 1.25, 2.0]), st.integers(1_000, 60_000))
def test_no_sequence_earns_more_than_the_time_that_passed(
    sequence: list[tuple[int, float, bool, str, float, str]], max_rate: float, due_ms: int
) -> None:
    rules = WatchRules(max_rate=max_rate)
    state = session(until_challenge_ms=due_ms, draw=Draw("c", due_ms))
    now = seq = earned = 0
    history = [(0, 0)]
    for passed, position, playing, event, rate, kind in sequence:
        now += passed
        if kind == "resume" and state.held:
            state = resume(state, Draw("c", due_ms))
        if kind == "return":
            # As `learning/watch.py` opens it: the same page on a new line, with what was durable.
            state = structs.replace(state, rewind_id=0, gap_ms=0, returned=not (state.playing or state.held))
        seq = seq if kind == "replay" and seq else seq + 1
        beat = Beat(
            seq=seq,
            position=position,
            playing=playing,
            event=event,  # type: ignore[arg-type]
            rate=rate,
            rewind=None if kind == "stale" else state.rewind_id or None,
        )
        held_before = state.held
        outcome = step(state, beat, now, rules)
        assert outcome.session.frontier_ms - state.frontier_ms == outcome.earned_ms >= 0
        assert not (held_before and outcome.earned_ms)
        assert outcome.session.carry_ms <= rules.allowance_cap_ms
        state = outcome.session
        earned += outcome.earned_ms
        history.append((now, earned))
        assert earned <= max_rate * now
        assert state.frontier_ms <= state.duration_ms
    for index, (start, before) in enumerate(history):
        for end, after in history[index:]:
            assert after - before <= max_rate * (end - start + rules.gap_grace_ms)


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.integers(200, 10_000),
            st.integers(0, 1_500),
            st.sampled_from(["watch", "pause", "back", "lost line"]),
        ),
        min_size=1,
        max_size=80,
    )
)
def test_no_honest_sequence_loses_a_millisecond(script: list[tuple[int, int, str]]) -> None:
    """Watching, pausing and going back, with every report up to 1.5 s late (never out of order), and now and then a
    line that takes a change of the play state with it and is replaced within the grace.

    Changes of the play state are equally late. What a start is later than the pause after it adds up over many of
    them, until the page plays a little slower to let the server catch up; the page is not played here.
    """
    state = session(duration_ms=10_000_000)
    sent = arrived = position = furthest = seq = 0
    playing = True

    def report(at: int) -> None:
        nonlocal state, seq
        seq += 1
        outcome = step(state, Beat(seq=seq, position=position / 1000, playing=playing), at, RULES)
        assert outcome.rewound is None
        assert not outcome.findings
        state = outcome.session

    report(0)
    for passed, delay, what in script:
        sent += passed
        plays_on = what not in ("pause", "lost line") or not playing
        arrived = max(arrived, sent + (delay if plays_on == playing else 1_500))
        position += passed if playing else 0
        furthest = max(furthest, position)
        report(arrived)
        if what == "back":
            position = max(0, position - 20_000)
        playing = plays_on
        if what == "lost line":
            state = structs.replace(state, rewind_id=0, gap_ms=0, returned=not state.playing)
        else:
            report(arrived)
    # What the server still trails by is earned while the page waits at the furthest point, as it does at the end.
    position, playing = furthest, True
    report(arrived)
    for _ in range(3):
        arrived += 5_000
        report(arrived)
    assert state.frontier_ms == furthest
