"""Many rows at once: COPY on PostgreSQL, one prepared statement on SQLite. For imports and for made-up schools.

What belongs here knows no table. The rows must be complete: no defaults are filled in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def take_ids(conn: AsyncConnection, table: Table, count: int) -> Sequence[int]:
    """So many automatic ids that nobody else gets. On SQLite only good in this write transaction."""
    if count == 0:
        return ()
    if conn.dialect.name == "sqlite":
        last = await conn.scalar(select(func.max(table.c.id))) or 0
        return range(last + 1, last + count + 1)
    query = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    return [row[0] for row in await conn.execute(query, {"name": table.name, "count": count})]


async def add_rows(
    conn: AsyncConnection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert complete rows; `columns` names their values in order. Raises what the database says of a bad row."""
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        names, marks = ", ".join(f'"{each}"' for each in columns), ", ".join("?" * len(columns))
        plain = [tuple(each.isoformat() if isinstance(each, date) else each for each in row) for row in rows]
        await conn.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', plain)  # noqa: S608
        return
    raw = await conn.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(table.name, records=rows, columns=list(columns))
