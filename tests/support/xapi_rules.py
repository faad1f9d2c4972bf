"""What a statement must be, each rule with its source: the xAPI 1.0.3 specification (github.com/adlnet/xAPI-Spec,
xAPI-Data.md) and the Video Profile (github.com/adlnet/xapi-authored-profiles, video/v1.0.3/video.jsonld)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

EXTENSION = "https://w3id.org/xapi/video/extensions/"
#: xAPI-Data.md 2.1, table of properties: nothing else may stand in a statement that is sent.
PROPERTIES = {
    "id",
    "actor",
    "verb",
    "object",
    "result",
    "context",
    "timestamp",
    "version",
    "authority",
    "attachments",
}
#: Templates of the profile: verb → (context extensions, result properties, result extensions) that are "included".
TEMPLATES: dict[str, tuple[set[str], set[str], set[str]]] = {
    "http://adlnet.gov/expapi/verbs/initialized": ({"length"}, set(), set()),
    "https://w3id.org/xapi/video/verbs/played": (set(), set(), {"time"}),
    "https://w3id.org/xapi/video/verbs/paused": ({"length"}, set(), {"time", "progress", "played-segments"}),
    "https://w3id.org/xapi/video/verbs/seeked": (set(), set(), {"time-from", "time-to"}),
    "http://adlnet.gov/expapi/verbs/completed": (
        {"length"},
        {"duration", "completion"},
        {"time", "progress", "played-segments"},
    ),
}
#: Its concepts: the inline schema of each extension that we use.
NUMBERS = {"length", "completion-threshold", "time", "time-from", "time-to", "progress"}
SESSION_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[8-9a-bA-B][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
SEGMENTS = re.compile(r"\d+\.\d{3}\[\.\]\d+\.\d{3}(\[,\]\d+\.\d{3}\[\.\]\d+\.\d{3})*")
#: xAPI-Data.md 4.3: ISO 8601 durations, at most hundredths of a second are compared.
DURATION = re.compile(r"PT\d+(\.\d{1,2})?S")


def check(statement: dict[str, Any]) -> None:
    """Raises AssertionError for the first rule that does not hold."""
    assert set(statement) <= PROPERTIES
    UUID(statement["id"])  # xAPI-Data.md 2.4.1
    assert datetime.fromisoformat(statement["timestamp"]).utcoffset() is not None  # 4.5: with a time zone
    assert "null" not in _values(statement), "2.2: no property is null"
    actor = statement["actor"]  # 2.4.2.1: an Agent by exactly one identifier, and ours is an account
    assert set(actor) == {"objectType", "account"} and actor["objectType"] == "Agent"
    assert re.match(r"https?://", actor["account"]["homePage"]) and actor["account"]["name"]  # 2.4.2.4
    verb = statement["verb"]["id"]
    assert verb in TEMPLATES
    activity = statement["object"]
    assert re.match(r"https?://", activity["id"]) and activity["objectType"] == "Activity"  # 2.4.4.1
    assert activity["definition"]["type"] == "https://w3id.org/xapi/video/activity-type/video"
    category = statement["context"]["contextActivities"]["category"]  # 2.4.6.2: a profile marks its statements so
    assert {"objectType": "Activity", "id": "https://w3id.org/xapi/video"} in category
    context, result = statement["context"]["extensions"], statement.get("result", {})
    extensions = result.get("extensions", {})
    in_context, in_result, in_extensions = TEMPLATES[verb]
    assert {EXTENSION + name for name in in_context} <= set(context)
    assert in_result <= set(result)
    assert {EXTENSION + name for name in in_extensions} <= set(extensions)
    for name in NUMBERS:
        for value in (context.get(EXTENSION + name, 0), extensions.get(EXTENSION + name, 0)):
            assert isinstance(value, int | float) and value >= 0 and round(value, 3) == value
    assert context[EXTENSION + "completion-threshold"] <= 1 and extensions.get(EXTENSION + "progress", 0) <= 1
    assert SESSION_ID.fullmatch(context[EXTENSION + "session-id"])
    if EXTENSION + "played-segments" in extensions:
        assert SEGMENTS.fullmatch(extensions[EXTENSION + "played-segments"])
    if "duration" in result:
        assert DURATION.fullmatch(result["duration"]) and result["completion"] is True


def _values(value: object) -> list[str]:
    if isinstance(value, dict):
        return [each for part in value.values() for each in _values(part)]
    if isinstance(value, list):
        return [each for part in value for each in _values(part)]
    return ["null"] if value is None else []
