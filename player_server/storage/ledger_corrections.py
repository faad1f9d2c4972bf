"""Ledger entries that people decide on: reversals, and hours that an appeal makes up. Added, never changed.

What belongs here: SQL. When such an entry may be written is decided in `learning/reversals.py` and `appeals.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.ledger import Evidence, Pair, Subject
from player_server.storage.person_tables import appeal
from player_server.storage.tables import ledger_entry
from player_server.storage.upsert import insert

#: `ledger_entry.source` of entries made here; `source_row` is the id of what they follow from.
FROM_REVERSAL = "reversal"
FROM_APPEAL = "appeal"
FROM_MOVE = "move"


class Entry(NamedTuple):
    """One entry with hours. `hours` in hundredths; `video_id` None: not the credit of a video's round.

    `occurred_at` in UTC ms.
    """

    id: int
    learner_id: int
    institution_id: int
    course_id: int | None
    video_id: int | None
    kind: str
    subject: str
    hours: int
    round: int
    occurred_at: int
    is_reversed: bool


def is_reversed() -> ColumnElement[bool]:
    """Whether another entry takes `ledger_entry` back."""
    other = ledger_entry.alias("other")
    # A reversal is its learner's own; entries are found by learner, not by what they reverse.
    same = (other.c.learner_id == ledger_entry.c.learner_id, other.c.reverses == ledger_entry.c.id)
    return exists().where(*same).correlate(ledger_entry)


async def find_credit(conn: AsyncConnection, entry_id: int, learner_id: int) -> Entry | None:
    """The entry if it gave this learner hours; None for a reversal, a foreign or an absent one."""
    found = (await conn.execute(_credits(learner_id).where(ledger_entry.c.id == entry_id))).one_or_none()
    return None if found is None else Entry(**found._mapping)


async def unreversed_credits(conn: AsyncConnection, learner_id: int) -> list[Entry]:
    """Everything that counts for this learner, oldest first."""
    query = _credits(learner_id).where(~is_reversed()).order_by(ledger_entry.c.id)
    return [Entry(**row._mapping) for row in await conn.execute(query)]


def _credits(learner_id: int) -> Select[tuple[Any, ...]]:
    row = ledger_entry.c
    return select(
        row.id,
        row.learner_id,
        row.institution_id,
        row.course_id,
        row.video_id,
        row.kind,
        row.subject,
        row.hours,
        row.round,
        row.occurred_at,
        is_reversed().label("is_reversed"),
    ).where(row.learner_id == learner_id, row.entry_type == "credit")


async def add_reversal(
    conn: AsyncConnection, entry: Entry, *, evidence: dict[str, object], rule_version: str, now_ms: int
) -> int | None:
    """Take an entry back; the reversal's id, or None if it was taken back already."""
    return await _add(
        conn,
        learner_id=entry.learner_id,
        institution_id=entry.institution_id,
        course_id=entry.course_id,
        video_id=entry.video_id,
        kind=entry.kind,
        subject=entry.subject,
        hours=-entry.hours,
        round=entry.round,
        entry_type="reversal",
        rule_version=rule_version,
        occurred_at=now_ms,
        evidence=_json(evidence),
        reverses=entry.id,
        source=FROM_REVERSAL,
        source_row=str(entry.id),
    )


async def add_made_up(
    conn: AsyncConnection,
    pair: Pair,
    subject: Subject,
    evidence: Evidence,
    *,
    appeal_id: int,
    hours: int,
    whole: bool,
    rule_version: str,
    now_ms: int,
) -> int | None:
    """Hours (hundredths) that an appeal makes up; the entry's id, or None if this appeal or this round has its own.

    `whole`: with them the video has all its hours, so this is the credit of its round. Otherwise the round stays
    open, and `made_up_hours` keeps its own credit from giving them twice.
    """
    details = {**msgspec.to_builtins(evidence), "appeal": appeal_id, "video": pair.video_id}
    return await _add(
        conn,
        learner_id=pair.learner_id,
        institution_id=subject.institution_id,
        course_id=subject.course_id,
        video_id=pair.video_id if whole else None,
        kind="online",
        subject=subject.subject,
        hours=hours,
        round=pair.round,
        entry_type="credit",
        rule_version=rule_version,
        occurred_at=now_ms,
        evidence=_json(details),
        source=FROM_APPEAL,
        source_row=str(appeal_id),
    )


async def add_moved(
    conn: AsyncConnection,
    entry: Entry,
    *,
    new_learner_id: int,
    institution_id: int,
    evidence: dict[str, object],
    rule_version: str,
) -> int | None:
    """The hours of an entry at the person's new account, of the day on which they were earned; the entry's id.

    It names the course for its specialty, but no video: the new institution has videos of its own.
    """
    return await _add(
        conn,
        learner_id=new_learner_id,
        institution_id=institution_id,
        course_id=entry.course_id,
        video_id=None,
        kind=entry.kind,
        subject=entry.subject,
        hours=entry.hours,
        round=0,
        entry_type="credit",
        rule_version=rule_version,
        occurred_at=entry.occurred_at,
        evidence=_json(evidence),
        source=FROM_MOVE,
        source_row=str(entry.id),
    )


async def made_up_hours(conn: AsyncConnection, pair: Pair) -> int:
    """Hundredths that appeals gave for this round beside its own credit, and that nobody took back."""
    found = await conn.scalar(
        select(func.sum(ledger_entry.c.hours))
        .join(appeal, appeal.c.entry_id == ledger_entry.c.id)
        .where(
            appeal.c.learner_id == pair.learner_id,
            appeal.c.video_id == pair.video_id,
            appeal.c.round == pair.round,
            ledger_entry.c.video_id.is_(None),
            ~is_reversed(),
        )
    )
    return int(found or 0)


async def _add(conn: AsyncConnection, **values: object) -> int | None:
    entry_id: int | None = await conn.scalar(
        insert(conn, ledger_entry).values(**values).on_conflict_do_nothing().returning(ledger_entry.c.id)
    )
    return entry_id


def _json(content: dict[str, object]) -> str:
    return msgspec.json.encode(content, order="sorted").decode()
