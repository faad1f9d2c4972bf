"""xAPI 1.0.3 statements of the Video Profile, made of watched stretches. Values in, statements out.

The profile: github.com/adlnet/xapi-authored-profiles, video/v1.0.3/video.jsonld. Its words are kept: `time` is a
place in the video in seconds, `played-segments` lists `from[.]to` in the order of watching, `progress` is a share
from 0 to 1. Nobody is named: the actor is an account whose name is `learner-` and our number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

VERSION = "1.0.3"
PROFILE = "https://w3id.org/xapi/video"
EXTENSION = f"{PROFILE}/extensions/"
ACTIVITY_TYPE = f"{PROFILE}/activity-type/video"
VERBS = {
    "initialized": "http://adlnet.gov/expapi/verbs/initialized",
    "played": f"{PROFILE}/verbs/played",
    "paused": f"{PROFILE}/verbs/paused",
    "seeked": f"{PROFILE}/verbs/seeked",
    "completed": "http://adlnet.gov/expapi/verbs/completed",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From where to where of the video (ms), and between which moments (UTC ms)."""

    from_ms: int
    to_ms: int
    started_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class Watching:
    """One stretch and what was before it.

    `source` names the stretch for ever. `earlier`: the stretches of the same learner, video and round before it, in
    their order; `previous`: the last one of the same session, None if the session begins with this one.
    `watched_ms`: from where on the video counts as watched. `home`: the public address of this installation.
    """

    home: str
    source: str
    learner_id: int
    video_id: int
    title: str
    length_ms: int
    watched_ms: int
    session_id: str
    stretch: Stretch
    earlier: Sequence[Stretch]
    previous: Stretch | None


def statements(of: Watching) -> list[dict[str, Any]]:
    """What this stretch tells, in order: initialized, seeked, played, paused, completed, as far as it happened."""
    now, made = of.stretch, []
    if of.previous is None:
        made.append(_statement(of, "initialized", now.started_at))
    elif of.previous.to_ms != now.from_ms:
        seeked = {"time-from": _seconds(of.previous.to_ms), "time-to": _seconds(now.from_ms)}
        made.append(_statement(of, "seeked", now.started_at, result=seeked))
    made.append(_statement(of, "played", now.started_at, result={"time": _seconds(now.from_ms)}))
    reached = max((each.to_ms for each in of.earlier), default=0)
    so_far = {
        "time": _seconds(now.to_ms),
        "progress": _share(max(reached, now.to_ms), of.length_ms),
        "played-segments": played_segments([*of.earlier, now]),
    }
    made.append(_statement(of, "paused", now.ended_at, result=so_far))
    if now.to_ms >= of.watched_ms > reached:
        took = sum(each.ended_at - each.started_at for each in (*of.earlier, now))
        outcome = {"completion": True, "duration": f"PT{_seconds(took):.2f}S"}
        made.append(_statement(of, "completed", now.ended_at, result=so_far, outcome=outcome))
    return made


def played_segments(stretches: Iterable[Stretch]) -> str:
    """`0.000[.]12.000[,]14.000[.]21.000`; stretches that go on from one another are one."""
    spans: list[list[int]] = []
    for each in stretches:
        if spans and spans[-1][1] == each.from_ms:
            spans[-1][1] = each.to_ms
        else:
            spans.append([each.from_ms, each.to_ms])
    return "[,]".join(f"{_seconds(begin):.3f}[.]{_seconds(end):.3f}" for begin, end in spans)


def _statement(
    of: Watching,
    verb: str,
    at: int,
    *,
    result: dict[str, Any] | None = None,
    outcome: dict[str, Any] | None = None,
) -> dict[str, Any]:
    context = {
        "session-id": _uuid(f"session {of.session_id}"),
        "length": _seconds(of.length_ms),
        "completion-threshold": _share(of.watched_ms, of.length_ms),
    }
    made: dict[str, Any] = {
        # The same stretch told again is the same statement, which a record store takes once.
        "id": _uuid(f"statement {of.source} {verb}"),
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
        "actor": {
            "objectType": "Agent",
            "account": {"homePage": of.home, "name": f"learner-{of.learner_id}"},
        },
        "verb": {"id": VERBS[verb], "display": {"en-US": verb}},
        "object": {
            "objectType": "Activity",
            "id": f"{of.home}/player/{of.video_id}",
            "definition": {"type": ACTIVITY_TYPE, "name": {"zh-CN": of.title}},
        },
        "context": {
            "contextActivities": {"category": [{"objectType": "Activity", "id": PROFILE}]},
            "extensions": _extensions(context),
        },
    }
    if result is not None:
        made["result"] = {**(outcome or {}), "extensions": _extensions(result)}
    return made


def _extensions(values: dict[str, Any]) -> dict[str, Any]:
    return {EXTENSION + name: value for name, value in values.items()}


def _seconds(ms: int) -> float:
    return ms / 1000


def _share(part: int, whole: int) -> float:
    return round(min(1.0, part / whole), 3) if whole > 0 else 1.0


def _uuid(text: str) -> str:
    """A UUID made of a text, in the form of version 4, which the profile asks of session ids."""
    return str(UUID(bytes=sha256(b"xueshi xapi " + text.encode()).digest()[:16], version=4))
