"""Crediting hours: exactly once a round, when a video is watched, its quiz was all right and no check is open.

Whoever commits one of the three calls `settle` afterwards, in any order and as often as it likes: the last one to
commit sees all three, and the ledger's unique key lets one entry in. What a crash left between a commit and its
call, the worker's `sweep` finds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.events import tell_of_entries
from player_server.learning.services import Services
from player_server.observe import log, metrics
from player_server.policy.hours import as_decimal
from player_server.storage.attempts import passed_attempt, take_turn
from player_server.storage.clock import wall_ms
from player_server.storage.hints import Hint
from player_server.storage.ledger import (
    Pair,
    add_credit,
    find_subject,
    find_unsettled,
    gather_evidence,
    mark_credited,
)
from player_server.storage.ledger_corrections import made_up_hours
from player_server.storage.tables import playback, watch_progress
from player_server.storage.watch_progress import store_frontier

#: Stands in every entry: when the conditions below change it gets a new name, so that old entries stay explained.
RULE_VERSION = "online-1"

#: Pairs that one sweep or one cleared hold settles at most, so that a backlog never makes a run endless.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Credit:
    """Hours (hundredths) that were written just now; tell people after the commit, with `announce`."""

    person_id: int
    pair: Pair
    hours: int


async def settle(services: Services, learner_id: int, video_id: int, round_: int) -> bool:
    """Credit the hours of this video if nothing is missing any more; tells whether it was done just now."""
    async with services.db.write() as conn:
        credit = await settle_in(services, conn, learner_id, video_id, round_)
    if credit is None:
        return False
    await announce(services, credit)
    return True


async def settle_in(
    services: Services, conn: AsyncConnection, learner_id: int, video_id: int, round_: int
) -> Credit | None:
    """The same within the caller's write transaction. The caller calls `announce` once it has committed."""
    pair = Pair(learner_id, video_id, round_)
    subject = await find_subject(conn, learner_id, video_id)
    if subject is None:
        return None
    # The lock puts this in one order with beats, with checks that are issued or answered, and with other settlers.
    player = (
        await conn.execute(select(playback).where(playback.c.person_id == subject.person_id).with_for_update())
    ).one_or_none()
    if player is None:
        # Nobody ever played here, so no beat can come; other settlers still can.
        await take_turn(conn, learner_id)
    live_session: str | None = None
    if player is not None and (player.learner_id, player.video_id, player.round) == pair:
        live_session = player.session_id
        await store_frontier(conn, player, (await services.clock.read(conn)).ms)
    if not await _watched_and_uncredited(conn, pair):
        return None
    if player is not None and player.held_challenge_id is not None:
        return None
    attempt_id = await passed_attempt(conn, *pair)
    if subject.quiz_sha is not None and attempt_id is None:
        return None
    # What an appeal gave of this round already is not given twice.
    subject = replace(subject, hours=subject.hours - await made_up_hours(conn, pair))
    evidence = await gather_evidence(conn, pair, attempt_id, live_session)
    now_ms = wall_ms()
    entry_id = await add_credit(conn, pair, subject, evidence, rule_version=RULE_VERSION, now_ms=now_ms)
    await mark_credited(conn, pair, now_ms)
    if entry_id is None:
        return None
    await tell_of_entries(conn, services.programmes, [entry_id], now_ms)
    return Credit(subject.person_id, pair, subject.hours)


async def announce(services: Services, credit: Credit) -> None:
    """Tell the open player page and the metrics. If nobody hears it, the next look at the ledger shows it."""
    metrics.credits.inc()
    learner_id, video_id, round_ = credit.pair
    hours = as_decimal(credit.hours)
    log.info("credited", learner_id=learner_id, video_id=video_id, round=round_, hours=hours)
    await services.hints.publish(Hint(credit.person_id, "credited", video_id=video_id, hours=hours))


async def settle_person(services: Services, person_id: int) -> int:
    """After a hold was cleared: credit everything that waited for it. Returns the number of credits."""
    return await _settle_found(services, person_id)


async def sweep(services: Services) -> int:
    """Credit what a crash left behind, at most BATCH pairs; the worker calls it again and again."""
    return await _settle_found(services, None)


async def _settle_found(services: Services, person_id: int | None) -> int:
    async with services.db.read() as conn:
        pairs = await find_unsettled(conn, limit=BATCH, person_id=person_id)
    credits = 0
    for pair in pairs:
        try:
            credits += await settle(services, *pair)
        except SQLAlchemyError:
            # One pair that cannot be written must not keep the others waiting; the next sweep tries it again.
            log.exception("settle_failed", learner_id=pair.learner_id, video_id=pair.video_id)
    return credits


async def _watched_and_uncredited(conn: AsyncConnection, pair: Pair) -> bool:
    row = watch_progress.c
    found = await conn.scalar(
        select(row.round).where(
            row.learner_id == pair.learner_id,
            row.video_id == pair.video_id,
            row.round == pair.round,
            row.watched_at.is_not(None),
            row.credited_at.is_(None),
        )
    )
    return found is not None
