"""Names: masked, and compared as people write them."""

from __future__ import annotations

import pytest

from player_server.policy.names import mask_name, same_name


@pytest.mark.parametrize("name", ["张三", "张三丰", " 张三丰 ", "张"])
def test_a_mask_shows_one_character_and_no_length(name: str) -> None:
    assert mask_name(name) == "张**"


@pytest.mark.parametrize(
    ("one", "other"),
    [("张三", " 张 三"), ("阿依古丽·买买提", "阿依古丽•买买提"), ("Li Lei", "LI LEI"), ("张三", "张\u3000三")],
)
def test_spelling_does_not_matter(one: str, other: str) -> None:
    assert same_name(one, other)


@pytest.mark.parametrize(("one", "other"), [("张三", "张三丰"), ("", ""), (" ", "·"), ("张三", "")])
def test_other_and_empty_names_are_not_the_same(one: str, other: str) -> None:
    assert not same_name(one, other)
