"""A learner's study record: what counted when, why it stopped, and what was noticed."""

from __future__ import annotations

from dataclasses import dataclass

from player_server.learning.findings import Observed, by_day
from player_server.learning.services import Services
from player_server.policy.findings import china_day
from player_server.storage.findings import findings_of
from player_server.storage.segments import StoredSegment, segments_of

#: The newest stretches that are shown: more than a week of diligent study.
MOST_SEGMENTS = 300
#: The newest findings that are put together. Honest learners have a handful.
MOST_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class Uncounted:
    """A while in which nothing counted, in UTC ms. `until` None: counting never went on in that session."""

    reason: str  # see telemetry.segments
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One stretch that counted. Places in the video in ms, moments in UTC ms; `after`: what ended it."""

    segment_id: int
    video_id: int
    video_title: str
    round: int
    from_ms: int
    to_ms: int
    started_at: int
    ended_at: int
    after: Uncounted


@dataclass(frozen=True, slots=True)
class Day:
    """One China calendar day, its stretches newest first, and what they sum up to in ms."""

    stretches: tuple[Counted, ...]
    total_ms: int


@dataclass(frozen=True, slots=True)
class MyRecords:
    """Days newest first; findings newest first. `shortened`: older stretches exist and are not shown."""

    days: tuple[Day, ...]
    findings: tuple[Observed, ...]
    shortened: bool


async def my_records(services: Services, person_id: int, learner_id: int) -> MyRecords:
    """What this learner's pages earned and why they did not, at this institution."""
    async with services.db.read() as conn:
        segments = await segments_of(conn, learner_id, MOST_SEGMENTS)
        findings = await findings_of(conn, person_id, learner_id, MOST_FINDINGS)
    days: dict[int, list[Counted]] = {}
    following: dict[str, StoredSegment] = {}
    for each in segments:
        # From the newest back, so the one that followed in the same session is known already.
        after = following.get(each.session_id)
        following[each.session_id] = each
        days.setdefault(china_day(each.ended_at), []).append(
            Counted(
                each.id,
                each.video_id,
                each.video_title,
                each.round,
                each.from_ms,
                each.to_ms,
                each.started_at,
                each.ended_at,
                Uncounted(each.reason, each.ended_at, after.started_at if after else None),
            )
        )
    return MyRecords(
        tuple(Day(tuple(group), sum(each.to_ms - each.from_ms for each in group)) for group in days.values()),
        by_day(findings),
        shortened=len(segments) == MOST_SEGMENTS,
    )
