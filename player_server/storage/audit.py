"""The audit trail: who did what, when, with which result. Rows are only ever added."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import audit


async def record(
    conn: AsyncConnection,
    *,
    at: int,
    actor: str,
    action: str,
    result: str,
    institution_id: int | None = None,
    target: str | None = None,
    address: str | None = None,
) -> None:
    """Add one row, in the transaction of what it tells about.

    `at` is a reading of the store's clock; `actor` and `target` are `person:1`, `learner:1`, `staff:2`,
    `client:exam`, `system` or `anonymous`: never a name, an ID number or a secret.
    """
    await conn.execute(
        insert(audit).values(
            at=at,
            actor=actor,
            action=action,
            result=result,
            institution_id=institution_id,
            target=target,
            address=address,
        )
    )
