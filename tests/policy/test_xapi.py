"""xAPI statements: what each stretch tells, and that every one keeps the rules of specification and profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.xapi import EXTENSION, Stretch, Watching, played_segments, statements
from tests.support.xapi_rules import check

FIRST = Stretch(0, 12_000, 1_000, 13_000)
SECOND = Stretch(14_000, 60_000, 20_000, 66_000)
WATCHING = Watching(
    home="https://xueshi.example",
    source="segment:1",
    learner_id=7,
    video_id=3,
    title="高处作业",
    length_ms=60_000,
    watched_ms=59_500,
    session_id="s",
    stretch=FIRST,
    earlier=(),
    previous=None,
)


def told(of: Watching) -> list[tuple[str, dict[str, Any]]]:
    made = statements(of)
    for each in made:
        check(each)
    return [
        (
            each["verb"]["display"]["en-US"],
            {
                name.removeprefix(EXTENSION): value
                for name, value in each.get("result", {}).get("extensions", {}).items()
            },
        )
        for each in made
    ]


def test_the_first_stretch_of_a_session_begins_it() -> None:
    assert told(WATCHING) == [
        ("initialized", {}),
        ("played", {"time": 0.0}),
        ("paused", {"time": 12.0, "progress": 0.2, "played-segments": "0.000[.]12.000"}),
    ]
    first, *_rest = statements(WATCHING)
    assert first["actor"]["account"] == {"homePage": "https://xueshi.example", "name": "learner-7"}
    assert first["object"]["id"] == "https://xueshi.example/player/3"
    assert first["timestamp"] == "1970-01-01T00:00:01.000+00:00"
    assert first["context"]["extensions"][EXTENSION + "completion-threshold"] == 0.992


def test_the_stretch_that_reaches_the_end_completes_the_video_once() -> None:
    last = replace(WATCHING, source="segment:2", stretch=SECOND, earlier=(FIRST,), previous=FIRST)
    parts = "0.000[.]12.000[,]14.000[.]60.000"
    end = {"time": 60.0, "progress": 1.0, "played-segments": parts}
    assert told(last) == [
        ("seeked", {"time-from": 12.0, "time-to": 14.0}),
        ("played", {"time": 14.0}),
        ("paused", end),
        ("completed", end),
    ]
    assert statements(last)[-1]["result"]["duration"] == "PT58.00S"
    again = replace(last, source="segment:3", earlier=(FIRST, SECOND), previous=SECOND)
    assert "completed" not in [verb for verb, _ in told(again)]


def test_the_same_stretch_is_always_the_same_statements() -> None:
    assert statements(WATCHING) == statements(replace(WATCHING))
    ids = [each["id"] for each in statements(WATCHING)]
    other = [each["id"] for each in statements(replace(WATCHING, source="segment:2"))]
    assert len({*ids, *other}) == 6


stretches = st.builds(
    lambda begin, length, at: Stretch(begin, begin + length, at, at + length),
    st.integers(0, 90_000),
    st.integers(1, 50_000),
    st.integers(0, 4_000_000_000_000),
)


@given(st.lists(stretches, min_size=1, max_size=5), st.integers(1, 200_000), st.booleans())
def test_every_statement_keeps_the_rules(parts: list[Stretch], length: int, begins: bool) -> None:
    of = replace(
        WATCHING,
        length_ms=length,
        watched_ms=length - min(500, length // 10),
        stretch=parts[-1],
        earlier=tuple(parts[:-1]),
        previous=None if begins or len(parts) == 1 else parts[-2],
    )
    told(of)


def test_stretches_that_go_on_are_one() -> None:
    parts = [Stretch(0, 5_000, 0, 0), Stretch(5_000, 9_000, 0, 0), Stretch(3_000, 4_500, 0, 0)]
    assert played_segments(parts) == "0.000[.]9.000[,]3.000[.]4.500"
