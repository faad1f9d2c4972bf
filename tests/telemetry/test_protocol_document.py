"""docs/protocol.md says what the code says: every message with its fields, every close code with its rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from telemetry.messages import CLOSE_RULES, SUBPROTOCOL, Beat, ClientMessage, Event, ServerMessage

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def _section(name: str) -> str:
    found = re.search(rf"^### {name}\n(.*?)(?=^##)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/protocol.md has no section {name}"
    return found.group(1)


def _messages() -> list[type[msgspec.Struct]]:
    return [*get_args(ClientMessage), *get_args(ServerMessage)]


@pytest.mark.parametrize("message", _messages(), ids=lambda message: str(message.__struct_config__.tag))
def test_every_message_is_documented_with_exactly_its_fields(message: type[msgspec.Struct]) -> None:
    fields = re.findall(r"^\| `(\w+)` \|", _section(str(message.__struct_config__.tag)), re.MULTILINE)
    assert fields == list(message.__struct_fields__)


def test_no_message_is_documented_that_does_not_exist() -> None:
    tags = {str(message.__struct_config__.tag) for message in _messages()}
    assert set(re.findall(r"^### (\w+)$", DOCUMENT, re.MULTILINE)) == tags


def test_every_close_code_is_documented_with_its_rule() -> None:
    rows = re.findall(r"^\| (\d{4}) \| (\w+) \| (.+?) \| (.+?) \|$", DOCUMENT, re.MULTILINE)
    expected = [
        (str(code.value), code.name.lower(), meaning, retry.value) for code, (retry, meaning) in CLOSE_RULES.items()
    ]
    assert rows == expected


def test_the_events_and_the_subprotocol_are_the_code_s() -> None:
    row = next(line for line in _section("beat").splitlines() if line.startswith("| `event`"))
    for event in get_args(Event):
        assert f"`{event}`" in row
    assert "event" in Beat.__struct_fields__
    assert f"`{SUBPROTOCOL}`" in DOCUMENT
