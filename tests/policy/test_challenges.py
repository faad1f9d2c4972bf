"""The rules of challenges."""

import pytest

from player_server.policy.challenges import (
    Answer,
    ChallengeRules,
    is_phone,
    kind_for,
    refusal_of_browser,
    state_of,
)

RULES = ChallengeRules(answer_ms=120_000, identity_answer_ms=600_000, rotate_ms=20_000)


def test_only_a_person_without_a_phone_is_asked_who_they_are() -> None:
    assert kind_for(has_phone=False) == "identity"
    assert kind_for(has_phone=True) == "attendance"
    assert RULES.window_ms("identity") == 600_000
    assert RULES.window_ms("attendance") == 120_000


def test_the_deadline_itself_is_in_time_and_a_millisecond_later_is_not() -> None:
    assert state_of(None, 5_000, 5_000) == "open"
    assert state_of(None, 5_000, 5_001) == "expired"


def test_what_was_written_down_stands_whatever_the_time() -> None:
    assert state_of("answered", 5_000, 9_000) == "answered"
    assert state_of("missed", 5_000, 1_000) == "missed"


def test_the_code_turns_at_the_interval_and_the_former_one_is_good_for_one_turn_more() -> None:
    assert RULES.rotation(1_000, 20_999) == 0
    assert RULES.rotation(1_000, 21_000) == 1
    assert RULES.is_fresh(0, 1_000, 40_999)
    assert not RULES.is_fresh(0, 1_000, 41_000)
    assert not RULES.is_fresh(2, 1_000, 40_999), "a code of the future was not made by us"


@pytest.mark.parametrize(
    ("login", "on_phone", "same_device", "refusal"),
    [
        (None, False, "refuse", None),
        (None, True, "tap", None),
        (1, False, "tap", Answer.COMPUTER),
        (2, False, "tap", Answer.COMPUTER),
        (1, True, "tap", None),
        (1, True, "refuse", Answer.SAME_DEVICE_OFF),
        (2, True, "tap", Answer.WRONG_LEARNER),
        (2, True, "refuse", Answer.WRONG_LEARNER),
    ],
)
def test_a_browser_that_is_logged_in_is_a_second_device_only_on_the_learners_own_phone(
    login: int | None, on_phone: bool, same_device: str, refusal: Answer | None
) -> None:
    assert refusal_of_browser(login, 1, on_phone=on_phone, same_device=same_device) == refusal  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", True),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", True),
        ("Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 ArkWeb/4.1 Mobile", True),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", False),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64) MicroMessenger/7.0.20 NetType/WIFI WindowsWechat", False),
        ("", False),
    ],
)
def test_phones_are_told_from_computers_by_the_user_agent(user_agent: str, expected: bool) -> None:
    assert is_phone(user_agent) is expected
