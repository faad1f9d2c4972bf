"""Certificates as values: numbers survive being typed, content tells hours by kind, it stands or falls whole."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.certificates import (
    ALPHABET,
    LENGTH,
    content_of,
    covers,
    make_number,
    read_number,
    show_number,
    stands,
)
from player_server.policy.hours import evaluate
from tests.support.hours import CONSTRUCTOR, JIANGSU, MOHURD, STAFF, entry


@given(st.binary(min_size=10, max_size=10))
def test_a_number_is_read_back_however_it_is_typed(random: bytes) -> None:
    number = make_number(random)
    assert len(number) == LENGTH and set(number) <= set(ALPHABET)
    assert show_number(number).count("-") == 3
    for typed in (show_number(number), number.lower(), f" {show_number(number).replace('-', ' ')} "):
        assert read_number(typed) == number
    assert read_number(number.replace("0", "o").replace("1", "l")) == number


def test_different_randomness_gives_different_numbers_and_nonsense_is_none() -> None:
    assert len({make_number(bytes([value]) + bytes(9)) for value in range(256)}) == 256
    assert make_number(bytes(10)) == "0" * LENGTH and make_number(b"\xff" * 10) == "Z" * LENGTH
    for nonsense in ("", "7K2M", "7K2M-9QXT-4B8R-WZ3U", "学时证明", "7K2M-9QXT-4B8R-WZ3C-0"):
        assert read_number(nonsense) is None


def test_the_content_tells_the_hours_of_each_rule_by_kind() -> None:
    day = date(2024, 6, 1)
    entries = [
        entry(16, day, "offline", "public"),
        entry(30, day, "online", "professional", specialty="建筑工程"),
        entry(10, day, "online", "professional", specialty="建筑工程"),
        entry(4, day, "test", "professional"),
        entry(60, day, "online", "elective", specialty="建筑工程"),
        entry(99, day, "online", "professional", specialty="矿业工程"),
    ]
    found = evaluate(entries, CONSTRUCTOR, JIANGSU, date(2024, 6, 2))
    assert found.complete
    content = content_of(
        found, JIANGSU.name, {each.id: (each.kind, each.hours) for each in entries}, issued_on=None, expires_on=None
    )
    assert {line.rule: line.kinds for line in content.lines}["professional"] == {"online": 4000}
    assert {line.rule: line.kinds for line in content.lines}["public"] == {"offline": 1600}
    assert content.totals == {"online": 10000, "offline": 1600, "test": 400}
    # What counted nowhere is no reason to take the certificate back.
    assert set(content.entries) == {each.id for each in entries[:5]}


def test_another_year_is_another_certificate_and_more_hours_are_not() -> None:
    first = [entry(32, date(2021, 5, 1))]
    in_2021 = covers(evaluate(first, STAFF, MOHURD, date(2021, 6, 1)))
    more = [*first, entry(8, date(2021, 5, 2))]
    assert covers(evaluate(more, STAFF, MOHURD, date(2021, 7, 1))) == in_2021
    assert covers(evaluate(more, STAFF, MOHURD, date(2022, 6, 1))) != in_2021


def test_it_stands_only_while_every_entry_does() -> None:
    assert stands([1, 2], {1, 2, 3})
    assert not stands([1, 2], {1, 3})
    assert not stands([], {1})
