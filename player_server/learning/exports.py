"""Exports: asked for on a page, made by a worker, kept as a file for a week.

What belongs here: who may ask for what, and the job. Columns and rows are in `learning/export_rows.py`, what the
registry is handed in `learning/registry.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, func, select

from player_server.learning import jobs
from player_server.learning.export_rows import SOURCES, Page, Who
from player_server.learning.jobs import JobFailed, JobRun
from player_server.learning.roster import Filters, filters_from, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.id_number import mask_id_number
from player_server.policy.periods import china_day
from player_server.policy.roles import Permission, may, role_of
from player_server.storage import audit
from player_server.storage.files import write_file
from player_server.storage.job_tables import job
from player_server.storage.sheets import CONTENT_TYPES, Cell, Format, open_sheet
from player_server.storage.tables import learner, person, staff

#: Every export's job is of the kind `export.` and its name.
KIND = "export."
#: Learners that are read at once. Judging them takes a tenth of a second, and the worker has other things to do.
PAGE = 200
#: How long a file is kept. Whoever needs it later makes it again from the same ledger.
KEPT_MS = 7 * 86_400_000
RECENT = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `whole_ids`: ID numbers unmasked."""

    export: str
    form: Format
    filters: Filters
    whole_ids: bool


class NotAllowed(Exception):
    """Whole ID numbers were asked for without the permission to read them."""


@dataclass(frozen=True, slots=True)
class Recent:
    """A former export of the same member of staff. `state` as in learning.jobs; `rows` once it is done."""

    job_id: str
    export: str
    state: str
    rows: int | None
    file: bool
    created_at: int


async def ask(services: Services, scope: StaffScope, wish: Wish, *, may_read_ids: bool, address: str) -> str:
    """Ask a worker for an export; the job's id. It sees what this scope sees. Raises NotAllowed."""
    if wish.export not in SOURCES:
        raise ValueError(f"no such export: {wish.export}")
    if wish.whole_ids and not may_read_ids:
        raise NotAllowed
    async with services.db.write() as conn:
        job_id = await jobs.submit(
            services,
            conn,
            kind=KIND + wish.export,
            institution_id=scope.institution_id,
            asked_by=scope.actor,
            arguments=seal(services, scope, wish.form, wish.whole_ids, wish.filters),
        )
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action=KIND + wish.export,
            result=f"{wish.form}, ID numbers {'whole' if wish.whole_ids else 'masked'}, {_described(wish.filters)}",
            address=address,
        )
    await jobs.wake(services)
    return job_id


def seal(
    services: Services, scope: StaffScope, form: Format, whole_ids: bool, filters: Filters
) -> dict[str, object]:
    """The arguments of a job. A search holds a name, so filters are kept encrypted."""
    return {
        "staff": scope.staff_id,
        "classes": None if scope.classes is None else sorted(scope.classes),
        "form": form,
        "whole_ids": whole_ids,
        "filters": services.keys.encrypt(msgspec.json.encode(filters.query()).decode()),
    }


@dataclass(frozen=True, slots=True)
class Opened:
    """The arguments as they were sealed."""

    scope: StaffScope
    form: Format
    whole_ids: bool
    filters: Filters


async def open_arguments(services: Services, run: JobRun) -> Opened:
    """The reverse of `seal`. Raises JobFailed if whoever asked may not have it any more."""
    arguments = run.arguments
    classes = arguments["classes"]
    scope = StaffScope(arguments["staff"], run.institution_id, None if classes is None else frozenset(classes))
    async with services.db.read() as conn:
        row = (
            await conn.execute(select(staff.c.role, staff.c.disabled_at).where(staff.c.id == scope.staff_id))
        ).one_or_none()
    role = None if row is None or row.disabled_at is not None else role_of(row.role)
    needed = [Permission.EXPORT, *([Permission.READ_ID_NUMBERS] if arguments["whole_ids"] else [])]
    if role is None or not all(may(role, each) for each in needed):
        raise JobFailed("您的账户已没有导出权限。")
    filters = filters_from(msgspec.json.decode(services.keys.decrypt(arguments["filters"])))
    return Opened(scope, cast("Format", arguments["form"]), bool(arguments["whole_ids"]), filters)


async def run_export(services: Services, run: JobRun) -> dict[str, object]:
    """The job: read, write, keep. It changes nothing else, so it may run twice."""
    source = SOURCES[run.kind.removeprefix(KIND)]
    opened = await open_arguments(services, run)
    where = roster_where(services, opened.scope, opened.filters)

    async def pages() -> AsyncIterator[list[tuple[Cell, ...]]]:
        async for page in learners_in_pages(services, run, where, whole_ids=opened.whole_ids):
            yield await source.read(page)

    return await keep(services, run, source.title, source.headings, opened.form, pages)


async def learners_in_pages(
    services: Services, run: JobRun, where: list[ColumnElement[bool]], *, whole_ids: bool
) -> AsyncIterator[Page]:
    """The learners that fit, PAGE at a time, each page in a read transaction of its own; tells the progress."""
    joined = learner.join(person, person.c.id == learner.c.person_id)
    async with services.db.read() as conn:
        now_ms = (await services.clock.read(conn)).ms
        total = int(await conn.scalar(select(func.count()).select_from(learner).where(*where)) or 0)
    done = last = 0
    await run.progress(0, total)
    while True:
        query = (
            select(learner.c.id, learner.c.class_name, person.c.name, person.c.id_cipher)
            .select_from(joined)
            .where(*where, learner.c.id > last)
            .order_by(learner.c.id)
            .limit(PAGE)
        )
        async with services.db.read() as conn:
            rows = (await conn.execute(query)).all()
            if not rows:
                return
            who = {row.id: who_of(services, row, whole_ids=whole_ids) for row in rows}
            yield Page(services, conn, who, now_ms)
        last = rows[-1].id
        done += len(rows)
        # Learners who come while it runs do not make it more than whole.
        await run.progress(min(done, total), total)


def who_of(services: Services, row: Any, *, whole_ids: bool) -> Who:
    """A row with id, class_name, name and id_cipher → how export rows begin."""
    number = services.keys.decrypt(row.id_cipher)
    return Who(row.id, row.class_name or "", row.name, number if whole_ids else mask_id_number(number))


async def keep(
    services: Services,
    run: JobRun,
    title: str,
    headings: tuple[str, ...],
    form: Format,
    pages: Callable[[], AsyncIterator[list[tuple[Cell, ...]]]],
) -> dict[str, object]:
    """Write the pages into a stored file; the job's result. Nothing is left behind when it fails."""
    sheet = open_sheet(form, title, headings)
    count = 0
    try:
        async for rows in pages():
            count += len(rows)
            await sheet.add(rows)
        await sheet.finish()
        await run.keep()
        async with services.db.read() as conn:
            now = (await services.clock.read(conn)).ms
        file_id = await write_file(
            services.db,
            sheet.chunks(),
            name=f"{title}-{china_day(now).isoformat()}.{form}",
            content_type=CONTENT_TYPES[form],
            institution_id=run.institution_id,
            expires_at=now + KEPT_MS,
        )
    finally:
        sheet.drop()
    return {"file": file_id, "rows": count}


async def recent_exports(services: Services, scope: StaffScope) -> list[Recent]:
    """What this member of staff asked for lately, newest first."""
    query = (
        select(job.c.id, job.c.kind, job.c.state, job.c.result, job.c.created_at)
        .where(job.c.asked_by == scope.actor, job.c.kind.startswith(KIND, autoescape=True))
        .order_by(job.c.created_at.desc())
        .limit(RECENT)
    )
    if scope.institution_id is not None:
        query = query.where(job.c.institution_id == scope.institution_id)
    async with services.db.read() as conn:
        rows = (await conn.execute(query)).all()
        now = (await services.clock.read(conn)).ms
    found = []
    for row in rows:
        result = msgspec.json.decode(row.result)
        kept = row.state == "done" and row.created_at + KEPT_MS > now
        found.append(
            Recent(row.id, row.kind.removeprefix(KIND), row.state, result.get("rows"), kept, row.created_at)
        )
    return found


def _described(filters: Filters) -> str:
    # What was searched for is part of a name; the audit keeps names of learners out.
    named = {key: "…" if key == "q" else value for key, value in filters.query().items()}
    return " ".join(f"{key}={value}" for key, value in named.items()) or "everybody"
