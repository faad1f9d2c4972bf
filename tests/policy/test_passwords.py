"""Which passwords may be chosen."""

from __future__ import annotations

import pytest

from player_server.policy.common_passwords import COMMON_PASSWORDS
from player_server.policy.passwords import normalise_password, weakness

NUMBER = "32010219900307123X"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("11111", "short"),
        ("Ab3!xyz", "short"),
        ("x" * 64 + "abcd1!" * 12, "long"),
        ("my07123x", "id_number"),
        ("07123X-ok", "id_number"),
        ("zhang19900307", "id_number"),
        ("1990-03-07zhang", "id_number"),
        ("900307zhang", "id_number"),
        ("x32170ping", "id_number"),
        ("320102zhang", "id_number"),
        ("３２０１０２zhang", "id_number"),
        ("77777777", "uniform"),
        ("12121212", "uniform"),
        ("abcabcabc", "uniform"),
        ("12345678", "sequence"),
        ("87654321", "sequence"),
        ("67890123", "sequence"),
        ("ABCDEFGH", "sequence"),
        ("hgfedcba", "sequence"),
        ("password", "common"),
        ("Password2026!", "common"),
        ("WoAiNi1314", "common"),
        ("1qaz2wsx", "common"),
        ("Ｐａｓｓｗｏｒｄ１２３", "common"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, why: str) -> None:
    assert weakness(password, NUMBER) == why


@pytest.mark.parametrize(
    "password", ["石桥-cloud-47", "correct horse battery", "Kx93!mZq", "我在南京学安全生产", "xyz987wv"]
)
def test_good_passwords_pass(password: str) -> None:
    assert weakness(password, NUMBER) is None


def test_without_an_id_number_the_other_rules_hold() -> None:
    assert weakness("Kx93!mZq", "") is None
    assert weakness("password", "") == "common"


def test_an_input_method_does_not_change_a_password() -> None:
    assert normalise_password("Ｋx９３！mZq") == "Kx93!mZq"


def test_the_list_is_in_small_letters_and_a_few_hundred_long() -> None:
    assert all(word == word.casefold() for word in COMMON_PASSWORDS)
    assert 300 <= len(COMMON_PASSWORDS) <= 1000
