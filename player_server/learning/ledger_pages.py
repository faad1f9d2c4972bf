"""What other services read a page at a time: a learner's ledger entries, and the events of an institution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from player_server.auth.service_clients import ServiceClient
from player_server.learning.events import Feed, events_after
from player_server.learning.services import Services
from player_server.storage import audit
from player_server.storage.ledger_log_tables import ledger_leaf
from player_server.storage.tables import learner, ledger_entry

LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and where to go on; `next` None: there are no more now."""

    rows: Sequence[Any]
    next: int | None


async def read_page(
    services: Services, client: ServiceClient, learner_id: int, *, after: int, limit: int, address: str
) -> Page | None:
    """Entries with an id above `after`; None for a learner that is not there or not this client's."""
    mine = [learner.c.id == learner_id]
    if client.institution_id is not None:
        mine.append(learner.c.institution_id == client.institution_id)
    entry = ledger_entry.c
    query = (
        select(ledger_entry, ledger_leaf.c.position)
        .outerjoin_from(ledger_entry, ledger_leaf, ledger_leaf.c.entry_id == entry.id)
        .where(entry.learner_id == learner_id, entry.id > after)
        .order_by(entry.id)
        .limit(limit + 1)
    )
    async with services.db.snapshot() as conn:
        found = await conn.scalar(select(learner.c.id).where(*mine)) is not None
        rows = (await conn.execute(query)).all() if found else []
        now = (await services.clock.read(conn)).ms
    await _note(services, client, "hours.read", f"learner:{learner_id}", found, now, address)
    if not found:
        return None
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


async def read_events(services: Services, client: ServiceClient, *, after: int, limit: int, address: str) -> Feed:
    """Events behind the position `after`, of the client's institution."""
    found = await events_after(services, client.institution_id, after=after, limit=limit)
    if found.events:
        # A feed is asked again and again; that there was nothing to read is not worth a row.
        async with services.db.read() as conn:
            now = (await services.clock.read(conn)).ms
        target = f"events:{found.events[0][0]}-{found.events[-1][0]}"
        await _note(services, client, "events.read", target, True, now, address)
    return found


async def _note(
    services: Services, client: ServiceClient, action: str, target: str, found: bool, now: int, address: str
) -> None:
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=client.actor,
            institution_id=client.institution_id,
            action=action,
            target=target,
            result="done" if found else "not_found",
            address=address,
        )
