"""Cells: nothing that a spreadsheet program would run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.cells import LONGEST, RISKY, safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+86 139", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_what_looks_like_a_formula_is_quoted(text: str) -> None:
    assert safe_cell(text) == "'" + text


@given(st.text())
def test_no_text_begins_like_a_formula_and_nothing_else_changes(text: str) -> None:
    cell = safe_cell(text)
    assert not cell.startswith(RISKY) and len(cell) <= LONGEST
    assert cell.removeprefix("'") == text.replace("\0", "").removeprefix("'")[:LONGEST]


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in ("", "张伟", "2026-11-20", "320102********001X", "a=b"):
        assert safe_cell(text) == text
