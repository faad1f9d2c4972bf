"""Applying a checked roster: accounts are made hidden, some at a time, and then all shown at one moment.

The switch is `import_run.applied_at`: one row. Before it a failure takes away whatever was made; after it only the
marks are removed and known learners' changes follow, which cannot fail. Each step is a short transaction that notes
in `import_row` what it has done, so that another worker goes on where a dead one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, exists, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.import_check import LearnerPlan
from player_server.learning.import_hours import open_online
from player_server.learning.import_pace import FIRST_STEP_ROWS, Pace
from player_server.learning.jobs import JobFailed, JobRun
from player_server.learning.services import Services
from player_server.policy.names import same_name
from player_server.storage import audit, import_rows
from player_server.storage.bulk import add_rows, take_ids
from player_server.storage.import_tables import import_row
from player_server.storage.tables import enrolment, enrolment_course, learner, person
from player_server.storage.upsert import insert


async def apply_learners(services: Services, run: JobRun, found: RowMapping) -> dict[str, object]:
    """All of a checked roster. Raises JobFailed when a row cannot be applied any more; nothing is visible then."""
    pace = Pace(services.db.kind)
    total = found["new_count"] + found["changed_count"]
    async with services.db.read() as conn:
        done = await import_rows.count_applied(conn, found["id"])
    if found["applied_at"] is None:
        last = 0
        while rows := await _step(services, found, "new", last, pace, _make_learners):
            done, last = done + len(rows), rows[-1]["number"]
            await run.progress(done, max(total, done))
        await _show(services, found)
    last = 0
    while rows := await _step(services, found, "changed", last, pace, _change_learners):
        done, last = done + len(rows), rows[-1]["number"]
        await run.progress(done, max(total, done))
    while await _remove_marks(services, found["id"], pace):
        await run.keep()
    return {"longest_write_ms": round(pace.longest_s * 1000)}


async def undo_learners(services: Services, found: RowMapping) -> None:
    """Take away every account that an import has made and nobody has seen."""
    while True:
        async with services.db.write() as conn:
            rows = (
                await conn.execute(
                    select(learner.c.id, learner.c.person_id)
                    .where(learner.c.hidden_by_import == found["id"])
                    .limit(FIRST_STEP_ROWS)
                )
            ).all()
            if not rows:
                return
            ids, people = [row.id for row in rows], [row.person_id for row in rows]
            own = select(enrolment.c.id).where(enrolment.c.learner_id.in_(ids))
            await conn.execute(delete(enrolment_course).where(enrolment_course.c.enrolment_id.in_(own)))
            await conn.execute(delete(enrolment).where(enrolment.c.learner_id.in_(ids)))
            made = select(import_row.c.id_hash).where(
                import_row.c.import_id == found["id"], import_row.c.new_person, import_row.c.learner_id.in_(ids)
            )
            await conn.execute(delete(learner).where(learner.c.id.in_(ids)))
            await conn.execute(
                delete(person).where(
                    person.c.id.in_(people),
                    person.c.id_hash.in_(made),
                    ~exists().where(learner.c.person_id == person.c.id),
                )
            )


async def _step(
    services: Services, found: RowMapping, outcome: str, after: int, pace: Pace, work: Any
) -> Sequence[RowMapping]:
    """One transaction over the next rows of this outcome; returns them."""
    async with services.db.write() as conn:
        began = time.monotonic()
        rows = await import_rows.waiting_rows(conn, found["id"], outcome, after=after, limit=pace.rows)
        if rows:
            await work(services, conn, found, rows, (await services.clock.read(conn)).ms)
    pace.took(time.monotonic() - began, len(rows))
    return rows


async def _make_learners(
    services: Services, conn: AsyncConnection, found: RowMapping, rows: Sequence[RowMapping], now: int
) -> None:
    """Persons where there are none, hidden accounts, enrolments."""
    import_id, institution_id = found["id"], found["institution_id"]
    hashes = [row["id_hash"] for row in rows]
    known = {
        each.id_hash: each
        for each in await conn.execute(
            select(person.c.id, person.c.id_hash, person.c.name).where(person.c.id_hash.in_(hashes))
        )
    }
    fresh = [row for row in rows if row["id_hash"] not in known]
    people = dict(zip((row["id_hash"] for row in fresh), await take_ids(conn, person, len(fresh)), strict=True))
    await add_rows(
        conn,
        person,
        ("id", "id_hash", "id_tail_hash", "id_cipher", "name", "created_at"),
        [
            (people[row["id_hash"]], row["id_hash"], row["id_tail_hash"], row["id_cipher"], row["name"], now)
            for row in fresh
        ],
    )
    for row in rows:
        person_row = known.get(row["id_hash"])
        if person_row is not None:
            # Somebody else brought this person in after the check.
            if not same_name(person_row.name, row["name"]):
                raise JobFailed("name_differs")
            people[row["id_hash"]] = person_row.id
    taken = await conn.scalar(
        select(learner.c.id)
        .where(learner.c.institution_id == institution_id, learner.c.person_id.in_(people.values()))
        .limit(1)
    )
    if taken is not None:
        raise JobFailed("came_in_meanwhile")
    accounts = await take_ids(conn, learner, len(rows))
    enrolments = await take_ids(conn, enrolment, len(rows))
    plans = [msgspec.json.decode(row["data"], type=LearnerPlan) for row in rows]
    await add_rows(
        conn,
        learner,
        ("id", "institution_id", "person_id", "class_name", "mobile_cipher", "hidden_by_import", "created_at"),
        [
            (
                account,
                institution_id,
                people[row["id_hash"]],
                plan.class_name or None,
                row["mobile_cipher"],
                import_id,
                now,
            )
            for account, row, plan in zip(accounts, rows, plans, strict=True)
        ],
    )
    await _add_enrolments(conn, list(zip(enrolments, accounts, plans, strict=True)), now)
    new = {row["id_hash"] for row in fresh}
    marks = [(row["number"], account, row["id_hash"] in new) for row, account in zip(rows, accounts, strict=True)]
    await import_rows.mark_applied(conn, import_id, marks)


async def _change_learners(
    services: Services, conn: AsyncConnection, found: RowMapping, rows: Sequence[RowMapping], now: int
) -> None:
    """Known learners: class and telephone where the sheet names them, the enrolment's dates, further courses."""
    for row in rows:
        plan = msgspec.json.decode(row["data"], type=LearnerPlan)
        values: dict[str, Any] = {}
        if plan.class_name:
            values["class_name"] = plan.class_name
        if row["mobile_cipher"]:
            values["mobile_cipher"] = row["mobile_cipher"]
        own = (learner.c.id == row["learner_id"], learner.c.institution_id == found["institution_id"])
        if values:
            await conn.execute(update(learner).where(*own).values(**values))
        if plan.enrolment_id is None:
            ids = await take_ids(conn, enrolment, 1)
            await _add_enrolments(conn, [(ids[0], row["learner_id"], plan)], now)
            continue
        await conn.execute(
            update(enrolment)
            .where(enrolment.c.id == plan.enrolment_id, enrolment.c.learner_id == row["learner_id"])
            .values(issue_date=plan.issue_date, expiry_date=plan.expiry_date, deadline=plan.deadline)
        )
        for course_id in plan.course_ids:
            await conn.execute(
                insert(conn, enrolment_course)
                .values(enrolment_id=plan.enrolment_id, course_id=course_id)
                .on_conflict_do_nothing()
            )
    # Somebody who sat in class before the enrolment came has nothing to wait for.
    await open_online(services, conn, [row["learner_id"] for row in rows], now)
    await import_rows.mark_applied(conn, found["id"], [(row["number"], row["learner_id"], False) for row in rows])


async def _add_enrolments(conn: AsyncConnection, wanted: Sequence[tuple[int, int, LearnerPlan]], now: int) -> None:
    await add_rows(
        conn,
        enrolment,
        (
            "id",
            "learner_id",
            "programme",
            "issue_date",
            "expiry_date",
            "deadline",
            "offline_missing",
            "created_at",
        ),
        [
            (
                number,
                learner_id,
                plan.programme,
                plan.issue_date,
                plan.expiry_date,
                plan.deadline,
                plan.offline_missing,
                now,
            )
            for number, learner_id, plan in wanted
        ],
    )
    await add_rows(
        conn,
        enrolment_course,
        ("enrolment_id", "course_id"),
        [(number, course_id) for number, _, plan in wanted for course_id in plan.course_ids],
    )


async def _show(services: Services, found: RowMapping) -> None:
    """The switch: from this commit on everything the import brought is there."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        if await import_rows.change_run(conn, found["id"], ("applying",), state="applied", applied_at=now):
            await audit.record(
                conn,
                at=now,
                actor=f"staff:{found['staff_id']}",
                institution_id=found["institution_id"],
                action="import_learners",
                target=f"import:{found['id']}",
                result=f"{found['new_count']} new, {found['changed_count']} changed",
            )


async def _remove_marks(services: Services, import_id: int, pace: Pace) -> int:
    """Forget that some of the learners were hidden; they have been visible since the switch."""
    async with services.db.write() as conn:
        began = time.monotonic()
        some = select(learner.c.id).where(learner.c.hidden_by_import == import_id).limit(pace.rows)
        changed = await conn.execute(update(learner).where(learner.c.id.in_(some)).values(hidden_by_import=None))
    pace.took(time.monotonic() - began, changed.rowcount)
    return changed.rowcount
