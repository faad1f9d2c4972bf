"""Findings: evidence for people, which never changes credit. Recorded by use cases, worked out by a job, and shown.

The beat path writes its own in batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import case
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import FINDING_OPENED, emit
from player_server.learning.services import Services
from player_server.policy.findings import (
    HOUR_MS,
    Rating,
    Stretch,
    china_day,
    day_start_ms,
    earned_on,
    rate,
)
from player_server.storage import upsert
from player_server.storage.clock import wall_ms
from player_server.storage.findings import DayOfKind, StoredFinding, days_of_kinds, set_long_day
from player_server.storage.outbox import told_already
from player_server.storage.segments import busy_persons, stretches_of
from player_server.storage.tables import finding
from telemetry.findings import FindingKind


async def record_finding(
    conn: AsyncConnection,
    kind: FindingKind,
    *,
    source: str,
    person_id: int,
    at: int,
    learner_id: int | None = None,
    video_id: int | None = None,
    measure: int = 0,
) -> None:
    """Count one finding of `kind` about a person. The same source counts up one row instead of filling the table.

    `source` must name the person as well where one event concerns several. `at` is UTC ms, `measure` see
    telemetry.findings.
    """
    first = upsert.insert(conn, finding).values(
        session_id=source,
        kind=kind.value,
        person_id=person_id,
        learner_id=learner_id,
        video_id=video_id,
        count=1,
        worst=measure,
        first_at=at,
        last_at=at,
    )
    worst = case((finding.c.worst < measure, measure), else_=finding.c.worst)
    again = {"count": finding.c.count + 1, "worst": worst, "last_at": at}
    await conn.execute(first.on_conflict_do_update(index_elements=["session_id", "kind"], set_=again))


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything of one kind about one person on one China calendar day. Times in UTC ms."""

    kind: FindingKind
    rating: Rating
    count: int
    measure: int
    first_at: int
    last_at: int
    video_titles: tuple[str, ...]
    video_ids: tuple[int, ...] = ()

    @property
    def day(self) -> int:
        """The China calendar day, as a number of days."""
        return china_day(self.last_at)


def by_day(rows: Sequence[StoredFinding]) -> tuple[Observed, ...]:
    """The rows of one person, put together by kind and day and rated; newest first."""
    groups: dict[tuple[int, str], list[StoredFinding]] = {}
    for row in rows:
        groups.setdefault((china_day(row.last_at), row.kind), []).append(row)
    observed = []
    for (_day, name), group in groups.items():
        kind = FindingKind(name)
        count, measure = sum(row.times for row in group), max(row.measure for row in group)
        observed.append(
            Observed(
                kind=kind,
                rating=rate(kind, count, measure),
                count=count,
                measure=measure,
                first_at=min(row.first_at for row in group),
                last_at=max(row.last_at for row in group),
                video_titles=tuple(dict.fromkeys(row.video_title for row in group if row.video_title is not None)),
                video_ids=tuple(dict.fromkeys(row.video_id for row in group if row.video_id is not None)),
            )
        )
    return tuple(sorted(observed, key=lambda each: each.last_at, reverse=True))


async def note_long_days(services: Services) -> int:
    """For the worker: note who earned more than the set hours today or yesterday. Returns how many days changed."""
    limit_ms = round(services.settings.findings.long_day_hours * HOUR_MS)
    now = wall_ms()
    changed = 0
    for day in (china_day(now) - 1, china_day(now)):
        start, end = day_start_ms(day), day_start_ms(day + 1)
        async with services.db.read() as conn:
            persons = await busy_persons(conn, start, end, limit_ms)
        for person_id in persons:
            async with services.db.write() as conn:
                rows = await stretches_of(conn, person_id, start, end)
                earned = earned_on(day, [Stretch(row.earned_ms, row.started_at, row.ended_at) for row in rows])
                learners = {row.learner_id for row in rows}
                if earned > limit_ms:
                    changed += await set_long_day(
                        conn,
                        source=f"long-day:{person_id}:{day}",
                        person_id=person_id,
                        # A day that was spent at two institutions belongs to none of them alone.
                        learner_id=learners.pop() if len(learners) == 1 else None,
                        measure=earned,
                        at=min(now, end - 1),
                    )
    return changed


async def open_findings(services: Services) -> int:
    """For the worker: tell other systems what people should look at, once for each account, kind and China day.

    It is told when its rating is first more than informational. Returns how many were told now.
    """
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        found = await days_of_kinds(conn, day_start_ms(china_day(now) - 1))
        rated = {f"finding:{each.learner_id}:{each.kind}:{each.day}": each for each in found}
        worth = {source: each for source, each in rated.items() if _rating(each) is not Rating.INFORMATIONAL}
        told = await told_already(conn, worth)
    opened = 0
    for source, each in worth.items():
        if source in told:
            continue
        data = {
            "kind": each.kind,
            "rating": _rating(each).value,
            "count": each.times,
            "measure": each.measure,
            "day": (date(1970, 1, 1) + timedelta(days=each.day)).isoformat(),
        }
        async with services.db.write() as conn:
            opened += await emit(
                conn,
                FINDING_OPENED,
                institution_id=each.institution_id,
                learner_id=each.learner_id,
                data=data,
                now_ms=now,
                source=source,
            )
    return opened


def _rating(each: DayOfKind) -> Rating:
    return rate(FindingKind(each.kind), each.times, each.measure)
