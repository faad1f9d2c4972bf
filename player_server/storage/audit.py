"""The audit trail: who did what, when, with which result. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import audit

_INSERT = insert(audit)


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
    await record_many(
        conn,
        [
            row(
                at=at,
                actor=actor,
                action=action,
                result=result,
                institution_id=institution_id,
                target=target,
                address=address,
            )
        ],
    )


def row(
    *,
    at: int,
    actor: str,
    action: str,
    result: str,
    institution_id: int | None = None,
    target: str | None = None,
    address: str | None = None,
) -> dict[str, Any]:
    """One row for `record_many`; what its parts are stands at `record`."""
    return {
        "at": at,
        "actor": actor,
        "institution_id": institution_id,
        "action": action,
        "target": target,
        "result": result,
        "address": address,
    }


async def record_many(conn: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows (from `row`) in one statement, in the transaction of what they tell about."""
    if rows:
        await conn.execute(_INSERT, rows)
