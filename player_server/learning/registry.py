"""The registry's batches: everybody whose programme is complete and who was not handed over yet.

A batch takes the finished since the last one, once: an enrolment and the periods that its programme asked for stand
in exactly one batch, whatever runs twice. What was true when it was collected is kept with it, so that its file can
be made again and says the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning import jobs
from player_server.learning.certificates import content_for, decode, encode, ledger_of
from player_server.learning.export_rows import registry_headings, registry_row
from player_server.learning.exports import (
    KIND,
    PAGE,
    NotAllowed,
    keep,
    learners_in_pages,
    open_arguments,
    seal,
    who_of,
)
from player_server.learning.jobs import JobRun
from player_server.learning.programme_hours import programme_hours
from player_server.learning.roster import Filters, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.certificates import covers
from player_server.storage import audit
from player_server.storage.certificate_tables import registry_batch, registry_batch_entry
from player_server.storage.sheets import Cell, Format
from player_server.storage.tables import enrolment, institution, learner, person
from player_server.storage.upsert import insert

REGISTRY = "registry"
RECENT = 20


class NoInstitution(Exception):
    """A batch is an institution's; who looks at all of them at once makes none."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. `count` of enrolments; `closed` once it is collected; times in UTC ms."""

    id: int
    number: int
    asked_by: str
    opened_at: int
    closed: bool
    count: int


async def ask_batch(
    services: Services,
    scope: StaffScope,
    form: Format,
    filters: Filters,
    *,
    may_read_ids: bool,
    batch_id: int | None = None,
    address: str,
) -> str | None:
    """Ask for the next batch, or for the file of an older one again; the job's id, None if there is no such batch.

    The registry needs whole ID numbers, so only who may read them can ask. Raises NotAllowed, NoInstitution.
    """
    if not may_read_ids:
        raise NotAllowed
    if scope.institution_id is None:
        raise NoInstitution
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        if batch_id is None:
            batch_id = await _open_batch(conn, scope, now)
        elif not await _is_own(conn, scope, batch_id):
            return None
        job_id = await jobs.submit(
            services,
            conn,
            kind=KIND + REGISTRY,
            institution_id=scope.institution_id,
            asked_by=scope.actor,
            arguments={**seal(services, scope, form, True, filters), "batch": batch_id},
        )
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action=KIND + REGISTRY,
            target=f"registry_batch:{batch_id}",
            result=f"{form}, ID numbers whole",
            address=address,
        )
    await jobs.wake(services)
    return job_id


async def _open_batch(conn: AsyncConnection, scope: StaffScope, now: int) -> int:
    # Two at once: the second one waits for the institution's row and gets the next number.
    await conn.execute(select(institution.c.id).where(institution.c.id == scope.institution_id).with_for_update())
    unclosed = select(registry_batch.c.id).where(
        registry_batch.c.institution_id == scope.institution_id, registry_batch.c.closed_at.is_(None)
    )
    # One that is still being collected takes everybody there is; a second one could only be empty.
    found: int | None = await conn.scalar(unclosed)
    if found is not None:
        return found
    last = await conn.scalar(
        select(func.max(registry_batch.c.number)).where(registry_batch.c.institution_id == scope.institution_id)
    )
    made = await conn.execute(
        insert(conn, registry_batch)
        .values(
            institution_id=scope.institution_id,
            number=1 + (last or 0),
            asked_by=scope.actor,
            opened_at=now,
        )
        .returning(registry_batch.c.id)
    )
    return int(made.scalar_one())


async def _is_own(conn: AsyncConnection, scope: StaffScope, batch_id: int) -> bool:
    query = select(registry_batch.c.id).where(
        registry_batch.c.id == batch_id, registry_batch.c.institution_id == scope.institution_id
    )
    return await conn.scalar(query) is not None


async def batches(services: Services, scope: StaffScope) -> list[Batch]:
    """The institution's batches, newest first."""
    if scope.institution_id is None:
        return []
    counted = (
        select(func.count())
        .where(registry_batch_entry.c.batch_id == registry_batch.c.id)
        .correlate(registry_batch)
        .scalar_subquery()
    )
    query = (
        select(registry_batch, counted.label("count"))
        .where(registry_batch.c.institution_id == scope.institution_id)
        .order_by(registry_batch.c.number.desc())
        .limit(RECENT)
    )
    async with services.db.read() as conn:
        rows = (await conn.execute(query)).all()
    return [
        Batch(row.id, row.number, row.asked_by, row.opened_at, row.closed_at is not None, row._mapping["count"])
        for row in rows
    ]


async def run_registry(services: Services, run: JobRun) -> dict[str, object]:
    """The job: collect whoever is complete unless that is done, then write the batch into a file.

    Run twice, or by two workers at once, it collects the same: an enrolment's periods stand in one batch only.
    """
    opened = await open_arguments(services, run)
    batch_id = int(run.arguments["batch"])
    async with services.db.read() as conn:
        batch = (await conn.execute(select(registry_batch).where(registry_batch.c.id == batch_id))).one()
    if batch.closed_at is None:
        where = roster_where(services, opened.scope, opened.filters)
        async for page in learners_in_pages(services, run, where, whole_ids=False):
            found = await _complete(services, page.conn, page.ids, batch.opened_at)
            if found:
                await _collect(services, batch_id, found)
        async with services.db.write() as conn:
            await conn.execute(
                update(registry_batch)
                .where(registry_batch.c.id == batch_id, registry_batch.c.closed_at.is_(None))
                .values(closed_at=(await services.clock.read(conn)).ms)
            )

    def pages() -> AsyncIterator[list[tuple[Cell, ...]]]:
        return _written(services, run, batch_id)

    result = await keep(services, run, f"上报名单第{batch.number}批", registry_headings(), opened.form, pages)
    return {**result, "batch": batch.number}


async def _complete(
    services: Services, conn: AsyncConnection, learner_ids: list[int], now_ms: int
) -> list[dict[str, object]]:
    """Rows of the enrolments that are complete on the day of the batch, delivered or not."""
    hours = [
        each
        for each in await programme_hours(conn, services.programmes, learner_ids, now_ms)
        if each.evaluation.complete
    ]
    if not hours:
        return []
    ledger = await ledger_of(conn, {each.learner_id for each in hours})
    of = select(enrolment).where(enrolment.c.id.in_([each.enrolment_id for each in hours]))
    enrolled = {row.id: row for row in await conn.execute(of)}
    return [
        {
            "learner_id": each.learner_id,
            "enrolment_id": each.enrolment_id,
            "programme": each.programme.id,
            "rule_version": each.programme.version,
            "covers": covers(each.evaluation),
            "content": encode(content_for(each, ledger.get(each.learner_id, {}), enrolled[each.enrolment_id])),
        }
        for each in hours
    ]


async def _collect(services: Services, batch_id: int, found: list[dict[str, object]]) -> None:
    async with services.db.write() as conn:
        await conn.execute(
            insert(conn, registry_batch_entry)
            .values([{**each, "batch_id": batch_id} for each in found])
            .on_conflict_do_nothing(index_elements=["enrolment_id", "covers"])
        )


async def _written(services: Services, run: JobRun, batch_id: int) -> AsyncIterator[list[tuple[Cell, ...]]]:
    counted = select(func.count()).where(registry_batch_entry.c.batch_id == batch_id)
    async with services.db.read() as conn:
        total = int(await conn.scalar(counted) or 0)
    done = last = 0
    await run.progress(0, total)
    while True:
        query = (
            select(registry_batch_entry, learner.c.class_name, person.c.name, person.c.id_cipher)
            .join(learner, learner.c.id == registry_batch_entry.c.learner_id)
            .join(person, person.c.id == learner.c.person_id)
            .where(registry_batch_entry.c.batch_id == batch_id, registry_batch_entry.c.id > last)
            .order_by(registry_batch_entry.c.id)
            .limit(PAGE)
        )
        async with services.db.read() as conn:
            rows = (await conn.execute(query)).all()
        if not rows:
            return
        last = rows[-1].id
        done += len(rows)
        await run.progress(done, total)
        yield [registry_row(who_of(services, row, whole_ids=True), row, decode(row.content)) for row in rows]
