"""One learner as staff see them: who, hours rule by rule, the time line of each video, sessions, ledger, history.

What belongs here: reading, in one go and with one row in the audit. What may be done is in `staff_actions.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.appeals import Appeal, appeals_of
from player_server.learning.enrolments import LearnerCourse, courses_of
from player_server.learning.findings import Observed, by_day
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.records import MOST_FINDINGS
from player_server.learning.services import Services
from player_server.learning.staff_actions import find_learner_in
from player_server.learning.staff_scope import StaffScope
from player_server.policy.devices import device_name
from player_server.policy.id_number import mask_id_number
from player_server.policy.masked_address import mask_address
from player_server.policy.names import mask_name
from player_server.storage import audit
from player_server.storage.clock import wall_ms
from player_server.storage.findings import findings_of
from player_server.storage.ledger_corrections import is_reversed
from player_server.storage.progress import VideoProgress
from player_server.storage.segments import StoredSegment, segments_of
from player_server.storage.staff_actions import StoredAction, actions_on_learner
from player_server.storage.tables import (
    attempt,
    challenge,
    course,
    enrolment,
    institution,
    ledger_entry,
    login_session,
    phone,
    playback,
    video,
)

#: The newest rows of each kind that one page shows; a year of diligent study stays below.
MOST_SEGMENTS = 2000
MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission of a quiz. `regraded`: a corrected answer key decided, not the one that was shown."""

    video_id: int
    round: int
    right: int
    total: int
    passed: bool
    regraded: bool
    at: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One check. Times in UTC ms; `outcome` None while it is open."""

    video_id: int
    kind: str
    issued_at: int
    answered_at: int | None
    outcome: str | None
    same_device: bool


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry. `hours` in hundredths, negative for a reversal; `source` None: earned here."""

    id: int
    occurred_at: int
    kind: str
    entry_type: str
    hours: int
    round: int
    video_id: int | None
    course_title: str | None
    video_title: str | None
    source: str | None
    is_reversed: bool


@dataclass(frozen=True, slots=True)
class VideoLine:
    """Everything about one video: newest first. `strip`: what was watched in this round, as (from, to) in ms."""

    course_title: str
    progress: VideoProgress
    strip: tuple[tuple[int, int], ...]
    segments: tuple[StoredSegment, ...]
    attempts: tuple[Attempt, ...]
    asked: tuple[Asked, ...]
    credits: tuple[LedgerLine, ...]

    @property
    def is_touched(self) -> bool:
        """Whether anything was ever done with it."""
        return bool(self.segments or self.attempts or self.asked or self.credits or self.progress.frontier_ms)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One enrolment; `deadline` in UTC ms."""

    id: int
    programme: str
    deadline: int | None
    withdrawn: bool
    offline_missing: bool
    issue_date: Any
    expiry_date: Any


@dataclass(frozen=True, slots=True)
class LogIn:
    """A log-in that still holds. The address is masked."""

    device: str
    address: str
    since: int


@dataclass(frozen=True, slots=True)
class LearnerRecord:
    """Names, ID number and addresses are masked. `playing`: the title of what is played right now."""

    learner_id: int
    masked_name: str
    masked_id: str
    class_name: str | None
    institution_name: str
    disabled_at: int | None
    created_at: int
    phone_device: str | None
    phone_since: int | None
    playing: str | None
    enrolments: tuple[Enrolled, ...]
    programmes: tuple[ProgrammeHours, ...]
    courses: tuple[LearnerCourse, ...]
    videos: tuple[VideoLine, ...]
    findings: tuple[Observed, ...]
    appeals: tuple[Appeal, ...]
    ledger: tuple[LedgerLine, ...]
    total: int
    log_ins: tuple[LogIn, ...]
    history: tuple[StoredAction, ...]


async def read_learner(
    services: Services, scope: StaffScope, learner_id: int, address: str
) -> LearnerRecord | None:
    """Everything about one learner; None alike for foreign and for absent ones. The reading is in the audit."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        row = await find_learner_in(conn, scope, learner_id)
        record = None if row is None else await _read(services, conn, row, now)
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=now,
            actor=scope.actor,
            action="read_learner",
            target=f"learner:{learner_id}",
            result="not_found" if record is None else "ok",
            institution_id=scope.institution_id,
            address=address,
        )
    return record


async def _read(services: Services, conn: AsyncConnection, row: Any, now: int) -> LearnerRecord:
    courses = tuple(await courses_of(conn, [row.id]))
    ledger = await _ledger(conn, row.id)
    own_phone = (
        await conn.execute(
            select(phone.c.device, phone.c.enrolled_at).where(
                phone.c.person_id == row.person_id, phone.c.revoked_at.is_(None)
            )
        )
    ).one_or_none()
    return LearnerRecord(
        learner_id=row.id,
        masked_name=mask_name(row.name),
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        class_name=row.class_name,
        institution_name=await conn.scalar(select(institution.c.name).where(institution.c.id == row.institution_id))
        or "",
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        phone_device=None if own_phone is None else device_name(own_phone.device),
        phone_since=None if own_phone is None else own_phone.enrolled_at,
        playing=await conn.scalar(
            select(video.c.title)
            .join(playback, playback.c.video_id == video.c.id)
            .where(
                playback.c.person_id == row.person_id,
                playback.c.learner_id == row.id,
                playback.c.ended_reason.is_(None),
            )
        ),
        enrolments=await _enrolments(conn, row.id),
        programmes=tuple(await programme_hours(conn, services.programmes, [row.id], wall_ms())),
        courses=courses,
        videos=await _videos(conn, row.person_id, row.id, courses, ledger),
        findings=by_day(await findings_of(conn, row.person_id, row.id, MOST_FINDINGS)),
        appeals=tuple(await appeals_of(conn, row.id)),
        ledger=ledger,
        total=sum(each.hours for each in ledger),
        log_ins=await _log_ins(conn, row.person_id, row.id, now),
        history=tuple(await actions_on_learner(conn, row.id, MOST_ROWS)),
    )


async def _videos(
    conn: AsyncConnection,
    person_id: int,
    learner_id: int,
    courses: Sequence[LearnerCourse],
    ledger: Sequence[LedgerLine],
) -> tuple[VideoLine, ...]:
    segments: dict[int, list[StoredSegment]] = defaultdict(list)
    for each in await segments_of(conn, learner_id, MOST_SEGMENTS):
        segments[each.video_id].append(each)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for sent in await _attempts(conn, learner_id):
        attempts[sent.video_id].append(sent)
    asked: dict[int, list[Asked]] = defaultdict(list)
    for check in await checks_of(conn, person_id, learner_id):
        asked[check.video_id].append(check)
    credits: dict[int, list[LedgerLine]] = defaultdict(list)
    for entry in ledger:
        if entry.video_id is not None:
            credits[entry.video_id].append(entry)
    lines = {}
    for one in courses:
        for progress in one.videos:
            key = progress.video_id
            strip = [(s.from_ms, s.to_ms) for s in segments[key] if s.round == progress.round]
            lines[key] = VideoLine(
                course_title=one.title,
                progress=progress,
                strip=merged(strip),
                segments=tuple(segments[key]),
                attempts=tuple(attempts[key]),
                asked=tuple(asked[key]),
                credits=tuple(credits[key]),
            )
    return tuple(lines.values())


def merged(stretches: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Stretches in their order, those that touch or overlap put together."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


async def _ledger(conn: AsyncConnection, learner_id: int) -> tuple[LedgerLine, ...]:
    row = ledger_entry.c
    query = (
        select(
            row.id,
            row.occurred_at,
            row.kind,
            row.entry_type,
            row.hours,
            row.round,
            row.video_id,
            course.c.title.label("course_title"),
            video.c.title.label("video_title"),
            row.source,
            is_reversed().label("is_reversed"),
        )
        .select_from(ledger_entry)
        .outerjoin(course, course.c.id == row.course_id)
        .outerjoin(video, video.c.id == row.video_id)
        .where(row.learner_id == learner_id)
        .order_by(row.occurred_at.desc(), row.id.desc())
    )
    return tuple(LedgerLine(**each) for each in (await conn.execute(query)).mappings())


async def _attempts(conn: AsyncConnection, learner_id: int) -> list[Attempt]:
    row = attempt.c
    query = (
        select(
            row.video_id,
            row.round,
            row.right_count,
            row.question_count,
            row.passed,
            row.graded_sha.is_not(None),
            row.submitted_at,
        )
        .where(row.learner_id == learner_id)
        .order_by(row.submitted_at.desc(), row.id)
        .limit(MOST_ROWS)
    )
    return [Attempt(*each) for each in await conn.execute(query)]


async def checks_of(conn: AsyncConnection, person_id: int, learner_id: int) -> list[Asked]:
    """The newest checks of a learner, newest first."""
    row = challenge.c
    query = (
        select(row.video_id, row.kind, row.issued_at, row.answered_at, row.outcome, row.same_device)
        .where(row.person_id == person_id, row.learner_id == learner_id)
        .order_by(row.sequence.desc())
        .limit(MOST_ROWS)
    )
    return [Asked(*each) for each in await conn.execute(query)]


async def _enrolments(conn: AsyncConnection, learner_id: int) -> tuple[Enrolled, ...]:
    row = enrolment.c
    query = (
        select(
            row.id,
            row.programme,
            row.deadline,
            row.withdrawn_at.is_not(None),
            row.offline_missing,
            row.issue_date,
            row.expiry_date,
        )
        .where(row.learner_id == learner_id)
        .order_by(row.id)
    )
    return tuple(Enrolled(*each) for each in await conn.execute(query))


async def _log_ins(conn: AsyncConnection, person_id: int, learner_id: int, now: int) -> tuple[LogIn, ...]:
    row = login_session.c
    query = (
        select(row.device, row.address, row.created_at)
        .where(row.person_id == person_id, row.learner_id == learner_id, row.expires_at > now)
        .order_by(row.created_at.desc())
        .limit(MOST_ROWS)
    )
    return tuple(
        LogIn(device_name(each.device), mask_address(each.address), each.created_at)
        for each in await conn.execute(query)
    )
