"""Imports: a sheet comes in, a worker checks it, somebody sees what it would do and confirms, a worker applies it.

What belongs here: the story of one import and who may do what to it. What a sheet may say is checked in
`import_check.py`, what applying does stands in `import_apply.py` and `import_hours.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning import jobs
from player_server.learning.import_apply import apply_learners, undo_learners
from player_server.learning.import_check import Checked, Checker, parse_rows
from player_server.learning.import_hours import apply_hours
from player_server.learning.jobs import JobFailed, JobRun
from player_server.learning.services import Services
from player_server.learning.sheet_reader import UnreadableSheet, read_table
from player_server.policy.periods import china_day
from player_server.policy.sheets import Fault, Kind, find_columns
from player_server.storage import audit, import_rows
from player_server.storage.files import FileTooLarge, file_info, read_file_parts, write_file

CHECK, APPLY = "import_check", "import_apply"
#: How long an uploaded sheet is kept: it holds whole ID numbers.
KEEP_FILE_MS = 7 * 86_400_000
#: How long the preview and the sheet of initial secrets can be opened.
KEEP_ROWS_MS = 30 * 86_400_000
#: Rows that are read between two looks at the clock, and rows checked and kept in one transaction.
PARSE_AT_ONCE = 1000
STAGE_AT_ONCE = 250
#: Faults kept: nobody reads more before correcting the sheet.
MOST_PROBLEMS = 5000
#: States in which an import can still be thrown away.
OPEN_STATES = ("checking", "checked", "faulty", "unreadable", "failed")


class UploadTooLarge(Exception):
    """The file is larger than `imports.largest_mb`."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who acts, at which institution, from where."""

    staff_id: int
    institution_id: int
    address: str


async def receive(
    services: Services, who: Uploader, kind: Kind, chunks: AsyncIterable[bytes], file_name: str
) -> tuple[int, str]:
    """Take a sheet in and have it checked; (import, job). Raises UploadTooLarge."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
    try:
        file_id = await write_file(
            services.db,
            chunks,
            name=file_name,
            content_type="application/octet-stream",
            institution_id=who.institution_id,
            expires_at=now + KEEP_FILE_MS,
            limit_bytes=services.settings.imports.largest_mb * 1024 * 1024,
        )
    except FileTooLarge:
        raise UploadTooLarge from None
    async with services.db.write() as conn:
        import_id = await import_rows.add_run(
            conn,
            institution_id=who.institution_id,
            staff_id=who.staff_id,
            kind=kind,
            file_id=file_id,
            file_name=file_name,
            created_at=now,
        )
        job_id = await _submit(services, conn, who, CHECK, import_id)
        await _note(conn, who, now, "upload_import", import_id, kind)
    await jobs.wake(services)
    return import_id, job_id


async def check_import(services: Services, run: JobRun) -> dict[str, object]:
    """The job of checking: rows and problems are kept for the preview, nothing else is changed."""
    import_id = int(run.arguments["import"])
    done: dict[str, object] = {"page": f"/staff/imports/{import_id}"}
    async with services.db.read() as conn:
        found = await import_rows.find_run(conn, import_id, run.institution_id)
        now = (await services.clock.read(conn)).ms
    if found is None or found["state"] != "checking":
        return done
    # What an earlier try has left.
    await import_rows.clear_staged(services.db, import_id)
    try:
        counts = await _check(services, run, found, now)
    except UnreadableSheet as error:
        async with services.db.write() as conn:
            await import_rows.stage(conn, [], [(import_id, 0, None, None, error.code, error.detail)])
            await import_rows.change_run(
                conn, import_id, ("checking",), state="unreadable", fault=error.code, problem_count=1
            )
        return done
    async with services.db.write() as conn:
        state = "faulty" if counts["problem_count"] else "checked"
        await import_rows.change_run(conn, import_id, ("checking",), state=state, **counts)
    return done


async def confirm(services: Services, who: Uploader, import_id: int) -> str | None:
    """Have a checked import applied, or one whose job ended before it was through; the job, or None if it is not
    there or not to be applied."""
    async with services.db.write() as conn:
        found = await import_rows.find_run(conn, import_id, who.institution_id)
        if found is None:
            return None
        now = (await services.clock.read(conn)).ms
        # One that is being applied already gets a new job only if the former one is over (`dedupe`).
        if not await import_rows.change_run(conn, import_id, ("checked", "applying"), state="applying"):
            return None
        job_id = await _submit(services, conn, who, APPLY, import_id)
        await _note(conn, who, now, "confirm_import", import_id, f"{found['row_count']} rows")
    await jobs.wake(services)
    return job_id


async def apply_import(services: Services, run: JobRun) -> dict[str, object]:
    """The job of applying: all of it becomes visible at one moment, or nothing of it ever does."""
    import_id = int(run.arguments["import"])
    async with services.db.read() as conn:
        found = await import_rows.find_run(conn, import_id, run.institution_id)
    if found is None:
        raise JobFailed("import_gone")
    try:
        apply = apply_learners if found["kind"] == "learners" else apply_hours
        figures = await apply(services, run, found)
    except JobFailed as error:
        await undo_learners(services, found)
        async with services.db.write() as conn:
            await import_rows.change_run(conn, import_id, ("applying",), state="failed", fault=str(error))
        # The import's page says what it was.
        return {"page": f"/staff/imports/{import_id}", "failed": str(error)}
    return {"page": f"/staff/imports/{import_id}", **figures}


async def discard(services: Services, who: Uploader, import_id: int) -> bool:
    """Throw away an import that was not applied, with all that was read of it; whether it could be."""
    async with services.db.write() as conn:
        found = await import_rows.find_run(conn, import_id, who.institution_id)
        if found is None or not await import_rows.change_run(conn, import_id, OPEN_STATES, state="discarded"):
            return False
        if found["state"] == "checking" and found["job_id"]:
            await jobs.cancel(services, conn, found["job_id"])
        now = (await services.clock.read(conn)).ms
        await _note(conn, who, now, "discard_import", import_id, found["kind"])
    await import_rows.clear_staged(services.db, import_id)
    return True


async def forget_old(services: Services) -> int:
    """Remove the checked rows of imports that are long over: they hold ID numbers, if only encrypted."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        old = await import_rows.old_runs_with_rows(conn, now - KEEP_ROWS_MS, limit=10)
    for import_id in old:
        await import_rows.clear_staged(services.db, import_id)
    return len(old)


async def _check(services: Services, run: JobRun, found: RowMapping, now: int) -> dict[str, int]:
    import_id, kind = found["id"], found["kind"]
    if await file_info(services.db, found["file_id"], found["institution_id"]) is None:
        raise UnreadableSheet("file_gone")
    data = b"".join([part async for part in read_file_parts(services.db, found["file_id"])])
    most_rows = services.settings.imports.most_rows
    table = await asyncio.to_thread(read_table, data, most_rows)
    if not table.rows:
        raise UnreadableSheet("empty_file")
    columns, missing = find_columns(kind, table.rows[0])
    if missing:
        return await _stage_headings(services, import_id, missing)
    rows = list(enumerate(table.rows[1:], 2))
    checker = Checker(services, found["institution_id"], kind)
    async with services.db.read() as conn:
        await checker.prepare(conn)
    keeper = _Keeper(services, import_id)
    today = china_day(now)
    for start in range(0, len(rows), PARSE_AT_ONCE):
        await run.progress(start, len(rows))
        piece = rows[start : start + PARSE_AT_ONCE]
        parsed = await asyncio.to_thread(parse_rows, kind, services.keys, columns, piece, today)
        for first in range(0, len(parsed), STAGE_AT_ONCE):
            async with services.db.read() as conn:
                good, faults = await checker.check(conn, parsed[first : first + STAGE_AT_ONCE])
            await keeper.keep(good, faults)
    if keeper.counts["row_count"] == 0:
        raise UnreadableSheet("no_rows")
    await run.progress(len(rows), len(rows))
    return keeper.counts


class _Keeper:
    """Writes checked rows and faults down, and counts them."""

    def __init__(self, services: Services, import_id: int) -> None:
        self._services, self._import_id = services, import_id
        self.counts = {"row_count": 0, "new_count": 0, "changed_count": 0, "same_count": 0, "problem_count": 0}

    async def keep(self, good: Sequence[Checked], faults: Sequence[tuple[int, Fault]]) -> None:
        before = self.counts["problem_count"]
        self.counts["row_count"] += len(good) + len({number for number, _ in faults})
        self.counts["problem_count"] += len(faults)
        for each in good:
            self.counts[f"{each.outcome}_count"] += 1
        problems = [
            (self._import_id, before + index, number, fault.heading, fault.code, fault.detail)
            for index, (number, fault) in enumerate(faults)
            if before + index < MOST_PROBLEMS
        ]
        rows = [
            (
                self._import_id,
                each.number,
                each.columns["id_hash"],
                each.columns["id_tail_hash"],
                each.columns["id_cipher"],
                each.name,
                each.mobile_cipher,
                each.data,
                each.outcome,
                each.learner_id,
                False,
                False,
            )
            for each in good
        ]
        async with self._services.db.write() as conn:
            await import_rows.stage(conn, rows, problems)


async def _stage_headings(services: Services, import_id: int, missing: Sequence[Fault]) -> dict[str, int]:
    problems = [(import_id, at, 1, each.heading, each.code, each.detail) for at, each in enumerate(missing)]
    async with services.db.write() as conn:
        await import_rows.stage(conn, [], problems)
    return {"problem_count": len(problems)}


async def _submit(services: Services, conn: AsyncConnection, who: Uploader, kind: str, import_id: int) -> str:
    job_id = await jobs.submit(
        services,
        conn,
        kind=kind,
        institution_id=who.institution_id,
        asked_by=f"staff:{who.staff_id}",
        arguments={"import": import_id},
        dedupe=str(import_id),
    )
    await import_rows.change_run(conn, import_id, ("checking", "applying"), job_id=job_id)
    return job_id


async def _note(conn: AsyncConnection, who: Uploader, now: int, action: str, import_id: int, result: Any) -> None:
    await audit.record(
        conn,
        at=now,
        actor=f"staff:{who.staff_id}",
        institution_id=who.institution_id,
        action=action,
        target=f"import:{import_id}",
        result=str(result),
        address=who.address,
    )
