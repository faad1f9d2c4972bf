"""Findings of use cases: evidence for people, counted per source. The beat path writes its own in batches."""

from __future__ import annotations

from sqlalchemy import case
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage import upsert
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
