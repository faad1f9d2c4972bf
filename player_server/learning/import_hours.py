"""Applying checked hours from a class ledger or an employer: ledger entries, events, online study that opens.

A confirmed sheet is always applied to its end, and each learner's rows in one transaction: nobody ever has a part
of what the sheet says about them. Whatever is in the ledger already is left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import COMPLETED, CREDITED, emit, emit_many
from player_server.learning.import_check import HoursPlan
from player_server.learning.import_pace import Pace
from player_server.learning.jobs import JobRun
from player_server.learning.programme_hours import programme_hours
from player_server.learning.services import Services
from player_server.policy.hours import as_decimal
from player_server.storage import audit, import_rows
from player_server.storage.ledger_imports import OutsideHours, add_outside_hours
from player_server.storage.tables import enrolment, learner

#: Rows in one transaction at the most: SQLite takes some thousand parameters in one statement.
MOST_NUMBERS = 1000


async def apply_hours(services: Services, run: JobRun, found: RowMapping) -> dict[str, object]:
    """All of a checked sheet of hours."""
    pace = Pace(services.db.kind)
    async with services.db.read() as conn:
        done = await import_rows.count_applied(conn, found["id"])
        waiting = await import_rows.waiting_numbers(conn, found["id"])
    while waiting:
        size = min(pace.rows, MOST_NUMBERS)
        # A learner's rows are never parted.
        while size < len(waiting) and waiting[size][0] == waiting[size - 1][0]:
            size += 1
        await _step(services, found, [number for _, number in waiting[:size]], pace)
        done, waiting = done + len(waiting[:size]), waiting[size:]
        await run.progress(done, max(found["new_count"], done))
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        if await import_rows.change_run(conn, found["id"], ("applying",), state="applied", applied_at=now):
            await audit.record(
                conn,
                at=now,
                actor=f"staff:{found['staff_id']}",
                institution_id=found["institution_id"],
                action="import_hours",
                target=f"import:{found['id']}",
                result=f"{found['kind']}: {found['new_count']} entries",
            )
    return {"longest_write_ms": round(pace.longest_s * 1000)}


async def open_online(services: Services, conn: AsyncConnection, learner_ids: Sequence[int], now: int) -> list[Any]:
    """Open online study where the programme's hours in class are recorded now; returns how everybody stands."""
    judged = await programme_hours(conn, services.programmes, learner_ids, now)
    opened = [each.enrolment_id for each in judged if each.evaluation.online_open]
    if opened:
        await conn.execute(
            update(enrolment)
            .where(enrolment.c.id.in_(opened), enrolment.c.offline_missing)
            .values(offline_missing=False)
        )
    return list(judged)


async def _step(services: Services, found: RowMapping, numbers: Sequence[int], pace: Pace) -> None:
    async with services.db.write() as conn:
        began = time.monotonic()
        rows = await import_rows.rows_of(conn, found["id"], numbers)
        if rows:
            now = (await services.clock.read(conn)).ms
            await _record(services, conn, found, rows, now)
            await import_rows.mark_applied(
                conn, found["id"], [(row["number"], row["learner_id"], False) for row in rows]
            )
    pace.took(time.monotonic() - began, len(rows))


async def _record(
    services: Services, conn: AsyncConnection, found: RowMapping, rows: Sequence[RowMapping], now: int
) -> None:
    ids = sorted({row["learner_id"] for row in rows})
    # In one order, and before the ledger: whoever judges a learner's hours at the same moment waits here.
    await conn.execute(
        select(learner.c.id).where(learner.c.id.in_(ids)).order_by(learner.c.id).with_for_update(key_share=True)
    )
    wanted = []
    for row in rows:
        plan = msgspec.json.decode(row["data"], type=HoursPlan)
        evidence: dict[str, object] = {"import": found["id"], "row": row["number"]}
        if plan.employer:
            evidence["employer"] = plan.employer
        wanted.append(
            OutsideHours(
                row["learner_id"],
                found["institution_id"],
                found["kind"],
                plan.subject,
                plan.hours,
                plan.day,
                evidence,
            )
        )
    added = await add_outside_hours(conn, wanted)
    await emit_many(conn, CREDITED, [_credited(entry_id, each) for entry_id, each in added], now)
    after = await open_online(services, conn, ids, now)
    if any(each.evaluation.exam or each.evaluation.complete for each in after):
        entries = frozenset(entry_id for entry_id, _ in added)
        before = await programme_hours(conn, services.programmes, ids, now, without=entries)
        await _tell_completed(conn, found["institution_id"], before, after, now)


def _credited(entry_id: int, each: OutsideHours) -> tuple[int, int, dict[str, Any]]:
    """(institution, learner, what the event says), as `events.tell_of_entries` says it."""
    data = {
        "entry": entry_id,
        "course": None,
        "video": None,
        "round": 1,
        "kind": each.kind,
        "subject": each.subject,
        "hours": as_decimal(each.hours),
    }
    return each.institution_id, each.learner_id, data


async def _tell_completed(
    conn: AsyncConnection, institution_id: int, before: Sequence[Any], after: Sequence[Any], now: int
) -> None:
    """`hours.completed` for each gate that these entries have completed, as `events.tell_of_entries` says it."""
    for was, is_now in zip(before, after, strict=True):
        gates = (
            ("exam", was.evaluation.exam, is_now.evaluation.exam),
            ("cycle", was.evaluation.complete, is_now.evaluation.complete),
        )
        for gate, had, has in gates:
            if has and not had:
                await emit(
                    conn,
                    COMPLETED,
                    institution_id=institution_id,
                    learner_id=is_now.learner_id,
                    data={"enrolment": is_now.enrolment_id, "programme": is_now.programme.id, "gate": gate},
                    now_ms=now,
                )
