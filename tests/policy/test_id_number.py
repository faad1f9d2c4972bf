"""ID numbers: GB 11643, and how people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.id_number import (
    IdNumberError,
    check_character,
    check_id_number,
    mask_id_number,
    normalise_id_number,
)

# The two examples of the standard itself.
MALE, FEMALE = "440524188001010014", "11010519491231002X"


def test_the_example_of_the_standard_is_valid() -> None:
    assert check_id_number(FEMALE) == FEMALE


def test_the_check_character_of_a_birth_before_1900_is_right_but_the_date_is_refused() -> None:
    assert check_character(MALE[:-1]) == MALE[-1]
    with pytest.raises(IdNumberError) as caught:
        check_id_number(MALE)
    assert caught.value.fault == "date"


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002x",
        "  110105 19491231 002X ",
        "１１０１０５１９４９１２３１００２Ｘ",
        "１１０１０５１９４９１２３１００２ｘ",
        "\ufeff11010519491231002X\u200b",
        "110105\u300019491231\u00a0002X",
    ],
)
def test_the_ways_people_and_sheets_write_it_are_the_same_number(typed: str) -> None:
    assert check_id_number(typed) == FEMALE


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("", "length"),
        ("11010519491231002", "length"),
        ("110105491231002", "length"),
        ("11010519491231002Y", "characters"),
        ("1101051949123100XX", "characters"),
        ("01010519491231002X", "characters"),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", "characters"),
        ("110105194902310026", "date"),
        ("110105194913310026", "date"),
        ("110105194912310021", "checksum"),
    ],
)
def test_what_is_wrong_is_named_and_the_number_is_not_in_the_message(typed: str, fault: str) -> None:
    with pytest.raises(IdNumberError) as caught:
        check_id_number(typed)
    assert caught.value.fault == fault
    assert not typed or typed not in str(caught.value)


@given(st.integers(0, 999), st.integers(0, 16), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(order: int, place: int, shift: int) -> None:
    body = f"32010219900307{order:03d}"
    number = body + check_character(body)
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    with pytest.raises(IdNumberError):
        check_id_number(wrong)


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_a_clean_refusal(text: str) -> None:
    with contextlib.suppress(IdNumberError):
        assert check_id_number(text) == normalise_id_number(text)


def test_a_mask_shows_the_first_six_and_the_last_four_at_most() -> None:
    assert mask_id_number(FEMALE) == "110105********002X"
    assert "5" not in mask_id_number("12345")
