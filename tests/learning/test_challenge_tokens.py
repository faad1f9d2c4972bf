"""Codes and forms of challenges cannot be made, changed or carried to another browser."""

from hypothesis import given
from hypothesis import strategies as st

from player_server.learning.challenge_tokens import code_for, form_for, read_code, read_form
from player_server.learning.challenges import new_challenge_id
from player_server.storage.keys import Keys

KEYS = Keys(b"k" * 32)


@given(st.integers(min_value=0, max_value=10**6))
def test_a_code_says_which_challenge_and_which_turn(rotation: int) -> None:
    challenge_id = new_challenge_id()
    assert read_code(KEYS, code_for(KEYS, challenge_id, rotation)) == (challenge_id, rotation)


@given(st.text())
def test_no_text_of_a_stranger_is_a_code_or_a_form(text: str) -> None:
    assert read_code(KEYS, text) is None
    assert read_form(KEYS, text, "credential") is None


@given(st.data())
def test_a_code_with_one_changed_character_is_none(data: st.DataObject) -> None:
    code = code_for(KEYS, new_challenge_id(), 3)
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.characters().filter(lambda character: character != code[at]))
    assert read_code(KEYS, code[:at] + other + code[at + 1 :]) is None


def test_the_turn_of_a_code_cannot_be_moved_on() -> None:
    challenge_id = new_challenge_id()
    mac = code_for(KEYS, challenge_id, 3).rsplit(".", 1)[1]
    assert read_code(KEYS, f"{challenge_id}.4.{mac}") is None
    assert read_code(KEYS, f"{challenge_id}.03.{mac}") is None
    assert read_code(KEYS, f"{challenge_id}.²3.{mac}") is None


def test_codes_of_another_server_are_none() -> None:
    assert read_code(KEYS, code_for(Keys(b"x" * 32), new_challenge_id(), 0)) is None


def test_a_form_works_in_the_browser_that_got_it_and_in_no_other() -> None:
    form = form_for(KEYS, "a-challenge", "my cookie")
    assert read_form(KEYS, form, "my cookie") == "a-challenge"
    assert read_form(KEYS, form, "another cookie") is None
    assert read_form(KEYS, form.replace("a-challenge", "b-challenge"), "my cookie") is None


def test_a_code_is_no_form_and_a_form_is_no_code() -> None:
    challenge_id = new_challenge_id()
    assert read_form(KEYS, code_for(KEYS, challenge_id, 0), "my cookie") is None
    assert read_code(KEYS, form_for(KEYS, challenge_id, "my cookie")) is None


def test_a_code_is_short_enough_for_a_coarse_picture() -> None:
    assert len(code_for(KEYS, new_challenge_id(), 999)) <= 45
