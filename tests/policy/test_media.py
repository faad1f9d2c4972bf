"""How much of a video may be loaded."""

from player_server.policy.media import loadable_ms


def test_what_is_earned_and_a_little_ahead_may_be_loaded() -> None:
    assert loadable_ms(10_000, 600_000, free=False, lookahead_ms=30_000) == 40_000


def test_all_of_it_after_credit_near_the_end_and_when_the_rule_is_off() -> None:
    assert loadable_ms(0, 600_000, free=True, lookahead_ms=30_000) is None
    assert loadable_ms(570_000, 600_000, free=False, lookahead_ms=30_000) is None
    assert loadable_ms(0, 600_000, free=False, lookahead_ms=None) is None
