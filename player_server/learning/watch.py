"""Opening, finishing and ending the one live player of a person. Counting itself is `telemetry.session`.

Every accepted hello is one fenced update of the person's playback row in a transaction that holds its row lock: the
epoch grows, so whatever an older page still has in flight can never be written.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs
from redis.exceptions import RedisError
from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning import challenges
from player_server.learning.enrolments import Refusal, may_watch
from player_server.learning.findings import record_finding
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.observe import log, metrics, session_label
from player_server.policy.challenges import is_phone
from player_server.storage.challenges import answered_since
from player_server.storage.clock import Reading, monotonic_ms, wall_ms
from player_server.storage.findings import findings_of_session
from player_server.storage.hints import Hint
from player_server.storage.playback import FindingRow, SegmentRow
from player_server.storage.progress import VideoProgress, video_progress
from player_server.storage.segments import add_segments
from player_server.storage.session_lock import Held, SessionLock
from player_server.storage.tables import login_session, playback
from player_server.storage.tickets import Ticket
from player_server.storage.upsert import insert
from player_server.storage.watch_progress import store_frontier
from telemetry.findings import FindingKind
from telemetry.messages import ChallengeNotice
from telemetry.session import Draw, Session

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """The page plays now. `session` counts; `login_hash` says whose log-in it lives by."""

    person_id: int
    learner_id: int
    video_id: int
    round: int
    session_id: str
    epoch: int
    session: Session
    recovered: bool
    challenge: ChallengeNotice | None
    quiz: str | None
    login_hash: str
    device: str  # the browser's own description
    since: int
    findings: tuple[FindingRow, ...] = ()  # of this session so far; the player counts on from here


@dataclass(frozen=True, slots=True)
class Occupied:
    """Another page plays, since `since_s` seconds, on `device`."""

    since_s: float
    device: str


@dataclass(frozen=True, slots=True)
class Refused:
    """This learner may not watch this video; `code` is one of enrolments.Refusal, or `signed_out`."""

    code: str


@dataclass(frozen=True, slots=True)
class _Page:
    """The page that says hello: what it proves, the session it would get, and what is known of it."""

    proof: str | None
    candidate: str
    force: bool
    lock_known: bool
    device: str


class TryLater(Exception):
    """The database is away, or Redis cannot be asked who plays and this page cannot prove that it is the one."""


def draw(services: Services) -> Draw:
    """Randomness for the next challenge: its id, and after how much earned time the one after it is due."""
    limits = services.settings.challenges
    return Draw(secrets.token_urlsafe(16), due_ms(limits.earliest_s, limits.latest_s))


def due_ms(earliest_s: float, latest_s: float) -> int:
    """A uniformly random time of earned study, in milliseconds, from the system's secure source."""
    earliest, latest = round(earliest_s * 1000), round(latest_s * 1000)
    return earliest + secrets.randbelow(latest - earliest + 1)


class Watching:
    """The use cases of one server process; `node` is its name in the session lock."""

    def __init__(self, services: Services, node: str) -> None:
        self.services = services
        self.node = node
        self.rules = services.settings.watch.rules()
        self.lock = SessionLock(services.redis, node, self.rules.lock_ttl_ms)

    async def open(
        self, ticket: Ticket, video_id: int, proof: str | None, takeover: bool, device: str
    ) -> Opened | Occupied | Refused:
        """Become the player. `proof` is the session that this page was told before, or None.

        Raises TryLater when the database is away, and when Redis is and the page cannot prove to be the one that
        plays already.
        """
        policy = self.rules.second_page
        force = policy == "newest" or (takeover and policy == "ask")
        candidate = secrets.token_urlsafe(16)
        locked: str | None = None
        try:
            answer = await self.lock.acquire(
                ticket.person_id, candidate, proof=proof, force=force, device=device, now_ms=wall_ms()
            )
        except (RedisError, OSError):
            # Closed for newcomers, open for the page that the row names: no second player can slip in.
            metrics.redis_failures.labels("lock").inc()
        else:
            if isinstance(answer, Held):
                return Occupied(max(0, wall_ms() - answer.since) / 1000, answer.device)
            locked = answer.session
        page = _Page(proof, candidate, force, locked is not None, device)
        try:
            result = await self._open_row(ticket, video_id, page)
        except (SQLAlchemyError, OSError) as error:
            log.warning("hello_failed", error=repr(error), session=session_label(proof or candidate))
            if locked == candidate:
                # Nobody plays by this lock; without this the page would find itself busy when it comes back.
                await self.release(ticket.person_id, candidate)
            raise TryLater from error
        if locked is not None:
            await self._settle_lock(ticket.person_id, locked, result, device)
        if isinstance(result, Opened) and not result.recovered:
            await self.services.hints.publish(Hint(ticket.person_id, "displaced", session=result.session_id))
        return result

    async def _settle_lock(
        self, person_id: int, locked: str, result: Opened | Occupied | Refused, device: str
    ) -> None:
        """Make the lock, which names `locked` now, name what SQL decided."""
        try:
            if not isinstance(result, Opened):
                await self.lock.release(person_id, locked)
            elif result.session_id != locked:
                await self.lock.acquire(
                    person_id, result.session_id, proof=None, force=True, device=device, now_ms=wall_ms()
                )
        except (RedisError, OSError):
            metrics.redis_failures.labels("lock").inc()

    async def _open_row(self, ticket: Ticket, video_id: int, page: _Page) -> Opened | Occupied | Refused:
        services = self.services
        async with services.db.write() as conn:
            row = await lock_playback(conn, ticket.person_id)
            now = await services.clock.read(conn)
            if not await _still_signed_in(conn, ticket, now):
                return Refused("signed_out")
            right = await may_watch(conn, ticket.learner_id, video_id)
            if isinstance(right, Refusal):
                return Refused(right.value)
            gap = now.since(row.clock_domain, row.clock_ms)
            # The gap is known only between two readings of one clock; without it the page is as good as new.
            same = (
                page.proof is not None
                and gap is not None
                and page.proof == row.session_id
                and (row.learner_id, row.video_id) == (ticket.learner_id, video_id)
                and row.ended_reason in (None, "silent")
            )
            if not same and not page.lock_known:
                raise TryLater
            live = row.ended_reason is None and row.session_id is not None
            if live and not same and not page.force and gap is not None and gap < self.rules.lock_ttl_ms:
                return Occupied((now.ms - (row.since or now.ms)) / 1000, row.device or "")
            # A pause that may have ended with a lost beat; but time in which a challenge was open never counts.
            unsure = same and not row.playing and row.held_challenge_id is None
            returned = unsure and not await answered_since(conn, row.person_id, row.clock_ms)
            opened = await self._take(conn, row, ticket, right.progress, same, now, page)
            held = opened.session.held
            challenge = (
                await challenges.notice(services, conn, held, on_phone=is_phone(page.device)) if held else None
            )
        # The clock that counts starts when the update is done, so no time before it is ever counted twice.
        started = monotonic_ms() - (gap or 0) if same else monotonic_ms()
        session = structs.replace(opened.session, last_tick_ms=started, returned=returned)
        return replace(opened, session=session, challenge=challenge)

    async def _take(
        self,
        conn: AsyncConnection,
        row: Any,
        ticket: Ticket,
        progress: VideoProgress,
        same: bool,
        now: Reading,
        page: _Page,
    ) -> Opened:
        """Write the row for this page and build the state it counts with."""
        if row.session_id is not None and (row.learner_id, row.video_id) != (ticket.learner_id, progress.video_id):
            await store_frontier(conn, row, now.ms)
        next_draw = draw(self.services)
        frontier = min(progress.frontier_ms, progress.duration_ms)
        session = Session(
            duration_ms=progress.duration_ms,
            frontier_ms=frontier,
            position_ms=min(progress.position_ms, frontier),
            last_tick_ms=0,
            draw=next_draw,
            until_challenge_ms=next_draw.next_due_ms if row.until_challenge_ms is None else row.until_challenge_ms,
            carry_ms=row.carry_ms if same else 0,
            playing=bool(row.playing) if same else False,
            held=row.held_challenge_id,
            watched=progress.watched,
            credited=progress.credited,
        )
        session_id = page.proof if same and page.proof else page.candidate
        since = row.since if same and row.since else now.ms
        # The clock of the last beat stays as it is for the same page: the gap is measured from it.
        clock = {} if same else {"clock_domain": now.domain, "clock_ms": now.ms}
        epoch = await conn.scalar(
            update(playback)
            .where(playback.c.person_id == ticket.person_id)
            .values(
                epoch=playback.c.epoch + 1,
                session_id=session_id,
                learner_id=ticket.learner_id,
                video_id=progress.video_id,
                round=progress.round,
                media_sha=progress.media_sha,
                login_hash=ticket.login_hash,
                node=self.node,
                device=page.device,
                since=since,
                frontier_ms=session.frontier_ms,
                position_ms=session.position_ms,
                carry_ms=session.carry_ms,
                playing=session.playing,
                until_challenge_ms=session.until_challenge_ms,
                ended_reason=None,
                **clock,
            )
            .returning(playback.c.epoch)
        )
        return Opened(
            person_id=ticket.person_id,
            learner_id=ticket.learner_id,
            video_id=progress.video_id,
            round=progress.round,
            session_id=session_id,
            epoch=int(epoch or 0),
            session=session,
            recovered=same,
            challenge=None,
            quiz=f"/quiz/{progress.video_id}" if progress.quiz_sha else None,
            login_hash=ticket.login_hash,
            device=page.device,
            since=since,
            findings=await findings_of_session(conn, session_id) if same else (),
        )

    async def finish(self, person_id: int, learner_id: int, video_id: int, round_: int) -> bool:
        """The video is watched to its end: remember it for good and credit the hours if nothing is missing.

        Returns whether the hours are credited now.
        """
        async with self.services.db.write() as conn:
            row = await lock_playback(conn, person_id)
            if (row.learner_id, row.video_id, row.round) == (learner_id, video_id, round_):
                now = await self.services.clock.read(conn)
                await store_frontier(conn, row, now.ms)
        await settle(self.services, learner_id, video_id, round_)
        async with self.services.db.read() as conn:
            progress = await video_progress(conn, learner_id, video_id)
        return progress is not None and progress.round == round_ and progress.credited

    async def note_second_page(self, ticket: Ticket) -> None:
        """A second page wanted to play: informational, one row a day and person."""
        at = wall_ms()
        async with self.services.db.write() as conn:
            await record_finding(
                conn,
                FindingKind.SECOND_PAGE,
                source=f"second-page:{ticket.person_id}:{at // DAY_MS}",
                person_id=ticket.person_id,
                learner_id=ticket.learner_id,
                video_id=ticket.video_id,
                at=at,
            )

    async def end(self, person_id: int, epoch: int, session_id: str, reason: str) -> None:
        """The player of this epoch is over (`bye` or `silent`): its frontier moves to the stored progress.

        After `silent` the row still names the session, so that the same page gets its grace when it comes back.
        """
        async with self.services.db.write() as conn:
            row = await lock_playback(conn, person_id)
            if row.epoch != epoch or row.ended_reason is not None:
                return
            now = await self.services.clock.read(conn)
            await end_row(conn, row, reason, now.ms)
        await self.release(person_id, session_id)

    async def keep_segments(self, rows: Sequence[SegmentRow]) -> None:
        """Remember stretches that ended without a beat. For time lines only: no credit hangs on them."""
        async with self.services.db.write() as conn:
            await add_segments(conn, rows)

    async def release(self, person_id: int, session_id: str) -> None:
        """Give the session lock back. Without Redis it ends by itself."""
        try:
            await self.lock.release(person_id, session_id)
        except (RedisError, OSError):
            metrics.redis_failures.labels("lock").inc()


async def retire_silent(services: Services, limit: int = 200) -> int:
    """For the worker: end players whose node is gone, so that their frontiers rest in the stored progress.

    A living node retires its own silent players first; this waits half a lock's life longer. Returns how many
    ended.
    """
    limit_ms = services.settings.watch.rules().lock_ttl_ms * 3 // 2
    async with services.db.read() as conn:
        now = await services.clock.read(conn)
        stale = or_(playback.c.clock_domain != now.domain, playback.c.clock_ms < now.ms - limit_ms)
        query = select(playback.c.person_id).where(playback.c.ended_reason.is_(None), stale).limit(limit)
        persons = (await conn.scalars(query)).all()
    ended = 0
    for person_id in persons:
        async with services.db.write() as conn:
            row = await lock_playback(conn, person_id)
            now = await services.clock.read(conn)
            silent = now.since(row.clock_domain, row.clock_ms)
            if row.ended_reason is None and (silent is None or silent > limit_ms):
                await end_row(conn, row, "silent", now.ms)
                ended += 1
    return ended


async def lock_playback(conn: AsyncConnection, person_id: int) -> Any:
    """The person's playback row, locked for this transaction; made if there is none yet."""
    query = select(playback).where(playback.c.person_id == person_id).with_for_update()
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        new = insert(conn, playback).values(person_id=person_id, epoch=0, frontier_ms=0, position_ms=0, carry_ms=0)
        await conn.execute(new.values(playing=False, challenge_sequence=0).on_conflict_do_nothing())
        row = (await conn.execute(query)).one()
    return row


async def player_row(services: Services, person_id: int) -> Any:
    """The person's playback row as it is now, or None."""
    async with services.db.read() as conn:
        return (await conn.execute(select(playback).where(playback.c.person_id == person_id))).one_or_none()


async def end_row(conn: AsyncConnection, row: Any, reason: str, now_ms: int) -> None:
    """Fence the row's player off and keep what it earned. The row must be locked."""
    await store_frontier(conn, row, now_ms)
    values: dict[str, Any] = {"epoch": playback.c.epoch + 1, "ended_reason": reason}
    if reason != "silent":
        values |= {"playing": False, "carry_ms": 0}
    await conn.execute(update(playback).where(playback.c.person_id == row.person_id).values(values))


async def _still_signed_in(conn: AsyncConnection, ticket: Ticket, now: Reading) -> bool:
    found = await conn.scalar(
        select(login_session.c.person_id).where(
            login_session.c.token_hash == ticket.login_hash,
            login_session.c.learner_id == ticket.learner_id,
            login_session.c.expires_at > now.ms,
        )
    )
    return found is not None
