"""The rows of imports: the run, its checked rows, its problems. SQL only; the story is in `learning/imports.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.bulk import add_rows
from player_server.storage.database import Database
from player_server.storage.import_tables import import_problem, import_row, import_run

ROW_COLUMNS = (
    "import_id",
    "number",
    "id_hash",
    "id_tail_hash",
    "id_cipher",
    "name",
    "mobile_cipher",
    "data",
    "outcome",
    "learner_id",
    "new_person",
    "applied",
)
PROBLEM_COLUMNS = ("import_id", "position", "number", "heading", "code", "detail")
#: Rows deleted in one transaction.
DELETE_AT_ONCE = 2000


async def old_runs_with_rows(conn: AsyncConnection, before: int, *, limit: int) -> list[int]:
    """Imports that came before (UTC ms), are not being applied, and still have rows or problems."""
    run = import_run.c
    left = or_(
        exists().where(import_row.c.import_id == run.id), exists().where(import_problem.c.import_id == run.id)
    )
    query = select(run.id).where(run.created_at < before, run.state.not_in(("checking", "applying")), left)
    return list((await conn.scalars(query.limit(limit))).all())


async def add_run(conn: AsyncConnection, **values: Any) -> int:
    """A new import that waits to be checked; returns its id."""
    made = await conn.execute(insert(import_run).values(state="checking", **values).returning(import_run.c.id))
    import_id: int = made.scalar_one()
    return import_id


async def find_run(conn: AsyncConnection, import_id: int, institution_id: int | None = None) -> RowMapping | None:
    """One import, of this institution if one is given."""
    query = select(import_run).where(import_run.c.id == import_id)
    if institution_id is not None:
        query = query.where(import_run.c.institution_id == institution_id)
    return (await conn.execute(query)).mappings().one_or_none()


async def change_run(conn: AsyncConnection, import_id: int, states: Sequence[str], **values: Any) -> bool:
    """Change an import that is in one of these states; whether it was."""
    changed = await conn.execute(
        update(import_run).where(import_run.c.id == import_id, import_run.c.state.in_(states)).values(**values)
    )
    return changed.rowcount == 1


async def newest_runs(conn: AsyncConnection, institution_id: int, limit: int) -> Sequence[RowMapping]:
    """The institution's imports, the newest first."""
    query = (
        select(import_run)
        .where(import_run.c.institution_id == institution_id)
        .order_by(import_run.c.created_at.desc(), import_run.c.id.desc())
        .limit(limit)
    )
    return (await conn.execute(query)).mappings().all()


async def stage(conn: AsyncConnection, rows: Sequence[Sequence[Any]], problems: Sequence[Sequence[Any]]) -> None:
    """Keep checked rows and problems (see ROW_COLUMNS and PROBLEM_COLUMNS)."""
    await add_rows(conn, import_row, ROW_COLUMNS, rows)
    await add_rows(conn, import_problem, PROBLEM_COLUMNS, problems)


async def clear_staged(db: Database, import_id: int) -> None:
    """Remove rows and problems of an import, some at a time."""
    for table, key in ((import_row, import_row.c.number), (import_problem, import_problem.c.position)):
        while True:
            async with db.write() as conn:
                some = select(key).where(table.c.import_id == import_id).limit(DELETE_AT_ONCE)
                gone = await conn.execute(delete(table).where(table.c.import_id == import_id, key.in_(some)))
            if gone.rowcount < DELETE_AT_ONCE:
                break


async def waiting_rows(
    conn: AsyncConnection, import_id: int, outcome: str, *, after: int, limit: int
) -> Sequence[RowMapping]:
    """The next rows of this outcome that are not applied yet, in the sheet's order; `after`: a row's number."""
    row = import_row.c
    query = (
        select(import_row)
        .where(row.import_id == import_id, row.number > after, row.outcome == outcome, ~row.applied)
        .order_by(row.number)
        .limit(limit)
    )
    return (await conn.execute(query)).mappings().all()


async def waiting_numbers(conn: AsyncConnection, import_id: int) -> list[tuple[int, int]]:
    """(learner, row number) of all new rows that are not applied yet: each learner's together."""
    row = import_row.c
    query = (
        select(row.learner_id, row.number)
        .where(row.import_id == import_id, row.outcome == "new", ~row.applied)
        .order_by(row.learner_id, row.number)
    )
    return [(each.learner_id, each.number) for each in await conn.execute(query)]


async def rows_of(conn: AsyncConnection, import_id: int, numbers: Sequence[int]) -> Sequence[RowMapping]:
    """These rows, those that are applied already left out."""
    row = import_row.c
    query = select(import_row).where(row.import_id == import_id, row.number.in_(numbers), ~row.applied)
    return (await conn.execute(query)).mappings().all()


async def mark_applied(conn: AsyncConnection, import_id: int, rows: Sequence[tuple[int, int, bool]]) -> None:
    """Note (number, learner, whether the person is new) of rows that this transaction has applied."""
    if not rows:
        return
    statement = (
        "UPDATE import_row SET applied = {yes}, learner_id = {a}, new_person = {b} "
        "WHERE import_id = {c} AND number = {d}"
    )
    if conn.dialect.name == "sqlite":
        text = statement.format(yes=1, a="?", b="?", c="?", d="?")
    else:
        text = statement.format(yes="true", a="$1", b="$2", c="$3", d="$4")
    await conn.exec_driver_sql(text, [(learner_id, new, import_id, number) for number, learner_id, new in rows])


async def count_applied(conn: AsyncConnection, import_id: int) -> int:
    """How many rows are applied."""
    query = select(func.count()).where(import_row.c.import_id == import_id, import_row.c.applied)
    return int(await conn.scalar(query) or 0)


async def problems_page(conn: AsyncConnection, import_id: int, *, offset: int, limit: int) -> Sequence[RowMapping]:
    """Problems in the order of the sheet."""
    query = (
        select(import_problem)
        .where(import_problem.c.import_id == import_id)
        .order_by(import_problem.c.position)
        .offset(offset)
        .limit(limit)
    )
    return (await conn.execute(query)).mappings().all()


async def first_rows(conn: AsyncConnection, import_id: int, limit: int) -> Sequence[RowMapping]:
    """The first checked rows, for the preview."""
    query = select(import_row).where(import_row.c.import_id == import_id).order_by(import_row.c.number).limit(limit)
    return (await conn.execute(query)).mappings().all()
