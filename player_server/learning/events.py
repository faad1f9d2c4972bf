"""Events for other systems: what they are called, what they carry, and when the ledger's are told.

An event is a row of the outbox, written in the transaction that it tells about; webhooks and the feed deliver it.
It carries ids and hours, never a name or an ID number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.programme_hours import programme_hours
from player_server.learning.programmes import Programmes
from player_server.learning.services import Services
from player_server.policy.hours import as_decimal
from player_server.storage import outbox
from player_server.storage.ledger import course_hours
from player_server.storage.tables import ledger_entry, video
from player_server.storage.webhooks import feed, oldest_position

CREDITED = "hours.credited"
COMPLETED = "hours.completed"
REVERSED = "hours.reversed"
EXAM_RESULT = "exam.result"
FINDING_OPENED = "finding.opened"
DEADLINE_NEAR = "deadline.near"

#: Every topic that institutions and their services may ask for.
TOPICS = (CREDITED, COMPLETED, REVERSED, EXAM_RESULT, FINDING_OPENED, DEADLINE_NEAR)


async def emit(
    conn: AsyncConnection,
    topic: str,
    *,
    institution_id: int,
    learner_id: int,
    data: dict[str, Any],
    now_ms: int,
    source: str | None = None,
) -> bool:
    """Leave an event in the caller's transaction; `now_ms` in UTC ms is when it happened.

    `source` names what it tells of where a job may look at it twice: the second event of one source is not written,
    and the answer is False. Raises ValueError for a topic that is not listed above.
    """
    if topic not in TOPICS:
        raise ValueError(f"no such event: {topic}")
    payload = {"institution": institution_id, "learner": learner_id, "occurred_at": now_ms} | data
    return await outbox.put(
        conn,
        topic,
        institution_id=institution_id,
        learner_id=learner_id,
        payload=payload,
        source=source,
        now_ms=now_ms,
    )


def message_id(event_id: int) -> str:
    """What a receiver tells events apart by; the same in every attempt, and in the feed."""
    return f"evt_{event_id}"


def envelope(event_id: int, topic: str, at: int, payload: str) -> bytes:
    """An event as it is sent and as the feed shows it: JSON with `id`, `type`, `timestamp` and `data`."""
    document = {
        "id": message_id(event_id),
        "type": topic,
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
        "data": msgspec.Raw(payload.encode()),
    }
    return msgspec.json.encode(document)


@dataclass(frozen=True, slots=True)
class Feed:
    """Events behind a position, in the order in which everybody sees them. `body` is a webhook's, byte for byte.

    `forgotten`: some behind that position were deleted since (`webhooks.keep_days`), so the reader has missed them.
    """

    events: tuple[tuple[int, bytes], ...]  # (position, body)
    forgotten: bool


async def events_after(services: Services, institution_id: int | None, *, after: int, limit: int) -> Feed:
    """At most `limit` events behind position `after` (0: from the beginning), of one institution or (None) of all.

    An event is in the feed about a second after its commit, and never before one that has a lower position.
    """
    async with services.db.read() as conn:
        found = await feed(conn, institution_id, TOPICS, after=after, limit=limit)
        oldest = await oldest_position(conn)
    events = tuple((each.position, envelope(each.id, each.topic, each.created_at, each.payload)) for each in found)
    return Feed(events, forgotten=oldest is not None and after + 1 < oldest)


async def emit_many(
    conn: AsyncConnection, topic: str, events: Sequence[tuple[int, int, dict[str, Any]]], now_ms: int
) -> None:
    """Leave many events of one topic at once: (institution, learner, data) each. For imports of a whole sheet."""
    if topic not in TOPICS:
        raise ValueError(f"no such event: {topic}")
    rows = [
        (
            institution_id,
            learner_id,
            {"institution": institution_id, "learner": learner_id, "occurred_at": now_ms} | data,
        )
        for institution_id, learner_id, data in events
    ]
    await outbox.put_many(conn, topic, rows, now_ms)


async def tell_of_entries(
    conn: AsyncConnection, programmes: Programmes, entry_ids: Collection[int], now_ms: int
) -> None:
    """Leave the events of ledger entries that this transaction has just written, all of one learner.

    Each credit is `hours.credited`, each reversal `hours.reversed`. Then `hours.completed` comes once for each
    course and for each gate of an enrolment's programme (`exam`, `cycle`) that was not complete without these
    entries and is complete with them. An entry that comes after a completion completes nothing.
    """
    columns = ledger_entry.c
    query = (
        select(ledger_entry, video.c.withdrawn_at)
        .outerjoin_from(ledger_entry, video, video.c.id == columns.video_id)
        .where(columns.id.in_(entry_ids))
        .order_by(columns.id)
    )
    entries = (await conn.execute(query)).all()
    if not entries:
        return
    institution_id, learner_id = entries[0].institution_id, entries[0].learner_id
    for each in entries:
        data = {
            "entry": each.id,
            "course": each.course_id,
            "video": each.video_id,
            "round": each.round,
            "kind": each.kind,
            "subject": each.subject,
            "hours": as_decimal(each.hours),
        }
        if each.entry_type == "reversal":
            data["reverses"] = each.reverses
        topic = REVERSED if each.entry_type == "reversal" else CREDITED
        await emit(conn, topic, institution_id=institution_id, learner_id=learner_id, data=data, now_ms=now_ms)

    async def completed(data: dict[str, Any]) -> None:
        await emit(conn, COMPLETED, institution_id=institution_id, learner_id=learner_id, data=data, now_ms=now_ms)

    # A withdrawn video is not part of its course any more, so its credit completes nothing.
    courses = {
        each.course_id
        for each in entries
        if each.entry_type == "credit" and each.video_id is not None and each.withdrawn_at is None
    }
    for course_id in sorted(courses):
        hours = await course_hours(conn, learner_id, course_id)
        if hours is not None:
            await completed({"course": course_id, "hours": as_decimal(hours)})
    after = await programme_hours(conn, programmes, [learner_id], now_ms)
    if not any(each.evaluation.exam or each.evaluation.complete for each in after):
        return
    without = await programme_hours(conn, programmes, [learner_id], now_ms, without=frozenset(entry_ids))
    for was, now in zip(without, after, strict=True):
        gates = (
            ("exam", was.evaluation.exam, now.evaluation.exam),
            ("cycle", was.evaluation.complete, now.evaluation.complete),
        )
        for gate, before, done in gates:
            if done and not before:
                await completed({"enrolment": now.enrolment_id, "programme": now.programme.id, "gate": gate})
