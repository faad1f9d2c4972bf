"""The ledger of learners as the evaluator wants it: every entry, each reversal with the entry that it cancels.

What belongs here: the one query for it and what a reversal means. What counts is decided in `policy/hours.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.observe import log
from player_server.policy.eligibility import CreditFacts
from player_server.policy.hours import Entry
from player_server.storage.id_lists import one_of
from player_server.storage.tables import course, ledger_entry


async def read_credits(conn: AsyncConnection, ids: Any) -> dict[int, list[CreditFacts]]:
    """The whole ledger of these learners (`ids` as made by `storage.id_lists.ids_of`), by learner, oldest first."""
    return _credits((await conn.execute(_entries(conn.dialect.name), {"ids": ids})).all())


@cache
def _entries(kind: str) -> Select[Any]:
    row = ledger_entry.c
    return (
        select(
            row.id,
            row.learner_id,
            row.video_id,
            row.round,
            row.kind,
            row.subject,
            row.hours,
            row.entry_type,
            row.occurred_at,
            row.reverses,
            course.c.specialty,
        )
        .outerjoin_from(ledger_entry, course, course.c.id == row.course_id)
        .where(one_of(kind, row.learner_id))
        .order_by(row.id)
    )


def _credits(rows: Sequence[Any]) -> dict[int, list[CreditFacts]]:
    # Rows are taken apart in one go: a look at a column by its name costs as much as all that is done with it.
    found: dict[int, list[CreditFacts]] = defaultdict(list)
    given: dict[tuple[int, int | None, int], int] = {}
    for entry_id, learner_id, video_id, round_, kind, subject, hours, entry_type, at, reverses, specialty in rows:
        if entry_type == "credit":
            if video_id is not None:
                given[learner_id, video_id, round_] = entry_id
        elif reverses is None:
            # Hours of a video are credited once a round, so a reversal that names no entry can mean nothing
            # else. It was written later, and rows come in the order in which they were written.
            reverses = given.get((learner_id, video_id, round_))
            if reverses is None:
                log.error("reversal_without_entry", entry=entry_id, learner_id=learner_id)
        entry = Entry(entry_id, at, kind, subject, hours, specialty, reverses)
        found[learner_id].append(CreditFacts(entry, video_id, round_))
    return found
