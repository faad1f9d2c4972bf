"""Ledger entries that come from sheets: hours in class and hours run by an employer. Added, never changed.

One entry a learner, day and subject: `source` and `source_row` name it, so a sheet that comes twice adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.bulk import add_rows, take_ids
from player_server.storage.tables import ledger_entry

#: Stands in every entry: when the conditions change it gets a new name.
RULE_VERSION = "import-1"
_NOON_MS = 4 * 3_600_000  # 12:00 in China, in UTC
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_AT_ONCE = 500
_COLUMNS = (
    "id",
    "learner_id",
    "institution_id",
    "course_id",
    "video_id",
    "kind",
    "subject",
    "hours",
    "round",
    "entry_type",
    "rule_version",
    "occurred_at",
    "evidence",
    "source",
    "source_row",
)


class OutsideHours(NamedTuple):
    """Hours (hundredths) of one day that were not earned here. `evidence`: ids and names, as JSON."""

    learner_id: int
    institution_id: int
    kind: str  # offline | employer
    subject: str
    hours: int
    day: date
    evidence: dict[str, object]


class KnownEntry(NamedTuple):
    """What the ledger has for a learner, day and subject."""

    hours: int
    reversed: bool


def source_of(kind: str) -> str:
    """`ledger_entry.source` of a kind."""
    return f"sheet:{kind}"


def source_row_of(learner_id: int, day: date, subject: str) -> str:
    """`ledger_entry.source_row`: what may be recorded once."""
    return f"{learner_id}:{day.isoformat()}:{subject}"


async def known_entries(conn: AsyncConnection, kind: str, learner_ids: Sequence[int]) -> dict[str, KnownEntry]:
    """source_row → what is recorded for these learners."""
    found: dict[str, KnownEntry] = {}
    row = ledger_entry.c
    for start in range(0, len(learner_ids), _AT_ONCE):
        # Reversals are looked for among the same learners' entries: asking for each entry whether another one names
        # it would read the whole ledger each time.
        query = select(row.id, row.source, row.source_row, row.hours, row.reverses).where(
            row.learner_id.in_(learner_ids[start : start + _AT_ONCE])
        )
        entries = (await conn.execute(query)).all()
        gone = {each.reverses for each in entries if each.reverses is not None}
        found |= {
            each.source_row: KnownEntry(each.hours, each.id in gone)
            for each in entries
            if each.source == source_of(kind)
        }
    return found


async def add_outside_hours(conn: AsyncConnection, hours: Sequence[OutsideHours]) -> list[tuple[int, OutsideHours]]:
    """Write the entries that are not there yet; (id, hours) of each one that was written."""
    if not hours:
        return []
    known = await known_entries(conn, hours[0].kind, sorted({each.learner_id for each in hours}))
    new = [each for each in hours if source_row_of(each.learner_id, each.day, each.subject) not in known]
    ids = await take_ids(conn, ledger_entry, len(new))
    await add_rows(
        conn, ledger_entry, _COLUMNS, [_row(number, each) for number, each in zip(ids, new, strict=True)]
    )
    return list(zip(ids, new, strict=True))


def _row(number: int, each: OutsideHours) -> tuple[Any, ...]:
    return (
        number,
        each.learner_id,
        each.institution_id,
        None,
        None,
        each.kind,
        each.subject,
        each.hours,
        1,
        "credit",
        RULE_VERSION,
        (each.day - _EPOCH).days * _DAY_MS + _NOON_MS,
        msgspec.json.encode(each.evidence, order="sorted").decode(),
        source_of(each.kind),
        source_row_of(each.learner_id, each.day, each.subject),
    )
