"""Answering appeals: reading one beside its evidence, and an answer that may make hours up.

What belongs here: the institution's side. Hours are made up through the ledger, by an entry that names the appeal,
and never for more than the video has left to give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.appeals import Appeal, State, appeal_of, select_appeals
from player_server.learning.events import tell_of_entries
from player_server.learning.findings import Observed, by_day
from player_server.learning.one_learner import Asked, checks_of
from player_server.learning.records import MOST_FINDINGS
from player_server.learning.reversals import lock_person
from player_server.learning.services import Services
from player_server.learning.settle import Credit, announce
from player_server.learning.staff_actions import Action, Hand, Outcome
from player_server.learning.staff_scope import StaffScope
from player_server.policy.findings import china_day
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.storage import audit, staff_actions
from player_server.storage.findings import findings_of
from player_server.storage.ledger import Pair, Subject, find_subject, gather_evidence, mark_credited
from player_server.storage.ledger_corrections import add_made_up, made_up_hours
from player_server.storage.person_tables import appeal
from player_server.storage.progress import video_progress
from player_server.storage.segments import StoredSegment, segments_of
from player_server.storage.tables import learner
from player_server.storage.watch_progress import open_round

#: Stands in entries that make hours up: when the conditions change it gets a new name.
RULE_VERSION = "appeal-1"

PAGE_SIZE = 50
#: The newest stretches up to the appeal that are shown beside it.
BESIDE = 20
#: Checks so long before and after are shown with them.
AROUND_MS = 30 * 60 * 1000


@dataclass(frozen=True, slots=True)
class StaffAppeal:
    """An appeal with whose it is, masked."""

    appeal: Appeal
    masked_name: str
    masked_id: str
    class_name: str | None


@dataclass(frozen=True, slots=True)
class AppealsPage:
    """PAGE_SIZE appeals; `total` of this state, `open` of all that wait for an answer."""

    appeals: tuple[StaffAppeal, ...]
    total: int
    open: int
    number: int
    pages: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside an appeal for whoever answers. `rest`: hundredths that may be made up, 0 if none."""

    appeal: StaffAppeal
    segments: tuple[StoredSegment, ...]
    asked: tuple[Asked, ...]  # checks within AROUND_MS
    findings: tuple[Observed, ...]  # of the same day
    rest: int
    video_hours: int
    credited: bool


async def count_open(conn: AsyncConnection, scope: StaffScope) -> int:
    """How many appeals wait for an answer of whoever has this scope."""
    query = select(func.count()).select_from(appeal.join(learner, learner.c.id == appeal.c.learner_id))
    return int(await conn.scalar(query.where(appeal.c.state == State.OPEN.value, *scope.learners())) or 0)


async def appeals_page(
    services: Services, scope: StaffScope, *, state: State | None, number: int, address: str
) -> AppealsPage:
    """Appeals of this state (None: all). Those that wait come oldest first, so that nobody is left waiting."""
    where = scope.learners()
    if state is not None:
        where.append(appeal.c.state == state.value)
    oldest_first = state is State.OPEN
    order = (appeal.c.made_at, appeal.c.id) if oldest_first else (appeal.c.made_at.desc(), appeal.c.id.desc())
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        joined = appeal.join(learner, learner.c.id == appeal.c.learner_id)
        total = int(await conn.scalar(select(func.count()).select_from(joined).where(*where)) or 0)
        waiting = await count_open(conn, scope)
        pages = max(1, -(-total // PAGE_SIZE))
        number = max(1, min(number, pages))
        query = select_appeals(*where).order_by(*order).limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)
        rows = (await conn.execute(query)).all()
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            action="list_appeals",
            result=f"{len(rows)} of {total}",
            institution_id=scope.institution_id,
            address=address,
        )
    return AppealsPage(tuple(_of_staff(services, row) for row in rows), total, waiting, number, pages)


async def find_appeal(services: Services, scope: StaffScope, appeal_id: int, address: str) -> Beside | None:
    """One appeal with its evidence; None alike for foreign and for absent ones."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        row = (await conn.execute(select_appeals(appeal.c.id == appeal_id, *scope.learners()))).one_or_none()
        if row is None:
            return None
        until = row.until or row.since
        segments = await segments_of(conn, row.learner_id, BESIDE, video_id=row.video_id, before=until)
        checks = await checks_of(conn, row.person_id, row.learner_id)
        findings = by_day(await findings_of(conn, row.person_id, row.learner_id, MOST_FINDINGS))
        rest, hours, credited = await _rest(conn, row)
    near = [each for each in checks if row.since - AROUND_MS <= each.issued_at <= until + AROUND_MS]
    same_day = [each for each in findings if each.day == china_day(row.since)]
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            action="read_appeal",
            target=f"learner:{row.learner_id}",
            result="ok",
            institution_id=row.institution_id,
            address=address,
        )
    return Beside(_of_staff(services, row), tuple(segments), tuple(near), tuple(same_day), rest, hours, credited)


async def answer_appeal(services: Services, hand: Hand, appeal_id: int, *, accept: bool, hours: int = 0) -> Outcome:
    """Answer an appeal, once; the hand's reason is the answer, which the learner reads.

    `hours` (hundredths) are made up through the ledger, only with an accepted appeal about a video, and never more
    than that video has left to give in this round.
    """
    credit: Credit | None = None
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = (await conn.execute(select_appeals(appeal.c.id == appeal_id, *hand.scope.learners()))).one_or_none()
        outcome = Outcome.ABSENT
        if row is not None:
            outcome, credit = await _answer_in(services, conn, hand, row, accept=accept, hours=hours, now=now)
        await audit.record(
            conn,
            at=now,
            actor=hand.scope.actor,
            action=Action.ANSWER_APPEAL.value,
            target=None if row is None else f"learner:{row.learner_id}",
            result=outcome.value,
            institution_id=hand.scope.institution_id,
            address=hand.address,
        )
    if credit is not None:
        await announce(services, credit)
    return outcome


async def _answer_in(
    services: Services, conn: AsyncConnection, hand: Hand, row: Any, *, accept: bool, hours: int, now: int
) -> tuple[Outcome, Credit | None]:
    await lock_person(conn, row.person_id, row.learner_id)
    if hours and not (accept and row.video_id is not None and 0 < hours <= (await _rest(conn, row))[0]):
        return Outcome.TOO_MANY_HOURS, None
    # The condition decides between two who answer at once; everything else follows from having won.
    won = await conn.execute(
        update(appeal)
        .where(appeal.c.id == row.id, appeal.c.state == State.OPEN.value)
        .values(
            state=(State.ACCEPTED if accept else State.DECLINED).value,
            answer=hand.reason,
            answered_by=hand.scope.staff_id,
            answered_at=now,
        )
    )
    if won.rowcount != 1:
        return Outcome.ALREADY, None
    details: dict[str, object] = {"appeal": row.id, "accepted": accept}
    credit = None
    if hours:
        credit, entry_id = await _make_up(services, conn, row, hours, now)
        details |= {"hours": hours, "entry": entry_id, "video": row.video_id}
    await staff_actions.add(
        conn,
        Action.MAKE_UP if hours else Action.ANSWER_APPEAL,
        institution_id=row.institution_id,
        staff_id=hand.scope.staff_id,
        learner_id=row.learner_id,
        reason=hand.reason,
        details=details,
        at=now,
    )
    return Outcome.DONE, credit


async def _make_up(services: Services, conn: AsyncConnection, row: Any, hours: int, now: int) -> tuple[Credit, int]:
    """Write the entry, under the person's lock and within what the video has left."""
    pair = Pair(row.learner_id, row.video_id, row.round)
    subject = await _subject(conn, row)
    rest = (await _rest(conn, row))[0]
    whole = hours == rest
    evidence = await gather_evidence(conn, pair, None, None)
    entry_id = await add_made_up(
        conn,
        pair,
        subject,
        evidence,
        appeal_id=row.id,
        hours=hours,
        whole=whole,
        rule_version=RULE_VERSION,
        now_ms=now,
    )
    if entry_id is None:
        # The lock and the condition above leave no way here; if there is one, nothing may be half done.
        raise RuntimeError(f"appeal {row.id} has an entry already")
    if whole:
        await open_round(conn, *pair, now)
        await mark_credited(conn, pair, now)
    await conn.execute(update(appeal).where(appeal.c.id == row.id).values(entry_id=entry_id))
    await tell_of_entries(conn, services.programmes, [entry_id], now)
    return Credit(subject.person_id, pair, hours), entry_id


async def _rest(conn: AsyncConnection, row: Any) -> tuple[int, int, bool]:
    """(hundredths that may be made up, hundredths of the video, whether this round has its credit).

    Only the newest round can be made up: an older one was credited and taken back.
    """
    if row.video_id is None:
        return 0, 0, False
    progress = await video_progress(conn, row.learner_id, row.video_id)
    if progress is None:
        return 0, 0, False
    made_up = await made_up_hours(conn, Pair(row.learner_id, row.video_id, progress.round))
    current = progress.round == row.round and not progress.credited
    return (progress.hours - made_up if current else 0), progress.hours, progress.credited


async def _subject(conn: AsyncConnection, row: Any) -> Subject:
    subject = await find_subject(conn, row.learner_id, row.video_id)
    if subject is None:
        raise LookupError(f"video {row.video_id} is not of the learner's institution")
    return subject


def _of_staff(services: Services, row: Any) -> StaffAppeal:
    return StaffAppeal(
        appeal_of(row),
        masked_name=mask_name(row.name),
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        class_name=row.class_name,
    )
