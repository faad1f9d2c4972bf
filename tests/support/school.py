"""A small school in the database, row by row, for tests that do not care how people and courses got there."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.storage.clock import wall_ms
from player_server.storage.staff_tables import staff_class
from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    institution,
    learner,
    ledger_entry,
    media,
    person,
    playback,
    quiz_version,
    staff,
    video,
    watch_progress,
)

DURATION_MS = 60_000
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Pupil:
    person_id: int
    learner_id: int


@dataclass(frozen=True, slots=True)
class Lessons:
    course_id: int
    video_ids: tuple[int, ...]


async def add_institution(services: Services, name: str) -> int:
    return await _add(services, institution, name=name, created_at=wall_ms())


async def add_person(services: Services, name: str = "张伟", id_number: str | None = None) -> int:
    number = id_number or f"test-{next(_numbers)}"
    return await _add(
        services,
        person,
        id_hash=services.keys.mac("id number", number),
        id_cipher=services.keys.encrypt(number),
        name=name,
        created_at=wall_ms(),
    )


async def add_learner(
    services: Services,
    institution_id: int,
    *,
    person_id: int | None = None,
    name: str = "张伟",
    class_name: str | None = None,
) -> Pupil:
    person_id = person_id or await add_person(services, name)
    learner_id = await _add(
        services,
        learner,
        institution_id=institution_id,
        person_id=person_id,
        class_name=class_name,
        created_at=wall_ms(),
    )
    return Pupil(person_id, learner_id)


async def add_staff(
    services: Services,
    institution_id: int | None,
    username: str = "staff",
    *,
    role: str = "owner",
    classes: tuple[str, ...] = (),
    name: str = "王老师",
) -> int:
    staff_id = await _add(
        services,
        staff,
        institution_id=institution_id,
        username=username,
        name=name,
        role=role,
        password_hash="none",
        created_at=wall_ms(),
    )
    async with services.db.write() as conn:
        for each in classes:
            await conn.execute(insert(staff_class).values(staff_id=staff_id, class_name=each))
    return staff_id


async def add_media(services: Services, *, duration_ms: int = DURATION_MS, sha: str | None = None) -> str:
    sha = sha or hashlib.sha256(f"media {next(_numbers)}".encode()).hexdigest()
    row = {"sha": sha, "duration_ms": duration_ms, "width": 640, "height": 360, "video_codec": "h264"}
    async with services.db.write() as conn:
        await conn.execute(insert(media).values(**row, created_at=wall_ms()))
    return sha


async def add_course(
    services: Services,
    institution_id: int,
    title: str = "安全生产",
    *,
    specialty: str = "建筑工程",
    hours: tuple[int, ...] = (100, 50),
) -> Lessons:
    """A course of one video for each of `hours` (hundredths), each of DURATION_MS, the last one without a quiz."""
    course_id = await _add(
        services,
        course,
        institution_id=institution_id,
        title=title,
        specialty=specialty,
        subject="professional",
        created_at=wall_ms(),
    )
    sha = hashlib.sha256(f"quiz {next(_numbers)}".encode()).hexdigest()
    async with services.db.write() as conn:
        await conn.execute(insert(quiz_version).values(sha=sha, content='{"questions":[]}', created_at=wall_ms()))
    video_ids = [
        await _add(
            services,
            video,
            course_id=course_id,
            position=number,
            title=f"第{number}讲",
            hours=each,
            media_sha=await add_media(services),
            quiz_sha=sha if number < len(hours) else None,
            created_at=wall_ms(),
        )
        for number, each in enumerate(hours, 1)
    ]
    return Lessons(course_id, tuple(video_ids))


async def add_enrolment(
    services: Services,
    learner_id: int,
    *course_ids: int,
    programme: str = "jiangsu-constructor-2",
    issue_date: date | None = None,
    expiry_date: date | None = None,
    deadline: int | None = None,
    offline_missing: bool = False,
    withdrawn_at: int | None = None,
) -> int:
    enrolment_id = await _add(
        services,
        enrolment,
        learner_id=learner_id,
        programme=programme,
        issue_date=issue_date,
        expiry_date=expiry_date,
        deadline=deadline,
        offline_missing=offline_missing,
        withdrawn_at=withdrawn_at,
        created_at=wall_ms(),
    )
    async with services.db.write() as conn:
        for course_id in course_ids:
            await conn.execute(insert(enrolment_course).values(enrolment_id=enrolment_id, course_id=course_id))
    return enrolment_id


async def add_progress(
    services: Services,
    learner_id: int,
    video_id: int,
    frontier_ms: int,
    *,
    round: int = 1,
    media_sha: str = "",
    watched_at: int | None = None,
    credited_at: int | None = None,
) -> None:
    async with services.db.write() as conn:
        sha = media_sha or await _media_of(conn, video_id)
        await conn.execute(
            insert(watch_progress).values(
                learner_id=learner_id,
                video_id=video_id,
                round=round,
                frontier_ms=frontier_ms,
                position_ms=frontier_ms,
                media_sha=sha,
                watched_at=watched_at,
                credited_at=credited_at,
                updated_at=1_000,
            )
        )


async def add_playback(
    services: Services, pupil: Pupil, video_id: int, frontier_ms: int, *, round: int = 1, media_sha: str = ""
) -> None:
    async with services.db.write() as conn:
        sha = media_sha or await _media_of(conn, video_id)
        await conn.execute(
            insert(playback).values(
                person_id=pupil.person_id,
                epoch=1,
                session_id="s",
                learner_id=pupil.learner_id,
                video_id=video_id,
                round=round,
                media_sha=sha,
                frontier_ms=frontier_ms,
                position_ms=frontier_ms,
                carry_ms=0,
                playing=True,
                challenge_sequence=0,
                clock_ms=2_000,
            )
        )


async def add_entry(
    services: Services,
    learner_id: int,
    lessons: Lessons,
    video_id: int,
    hours: int,
    *,
    institution_id: int,
    round: int = 1,
    entry_type: str = "credit",
    occurred_at: int = 1_000,
    kind: str = "online",
    subject: str = "professional",
    reverses: int | None = None,
) -> int:
    return await _add(
        services,
        ledger_entry,
        learner_id=learner_id,
        institution_id=institution_id,
        course_id=lessons.course_id,
        video_id=video_id,
        kind=kind,
        subject=subject,
        hours=hours,
        round=round,
        entry_type=entry_type,
        reverses=reverses,
        rule_version="1",
        occurred_at=occurred_at,
        evidence="{}",
    )


async def media_of(services: Services, video_id: int) -> str:
    async with services.db.read() as conn:
        return await _media_of(conn, video_id)


async def _media_of(conn: AsyncConnection, video_id: int) -> str:
    sha: str = (await conn.execute(select(video.c.media_sha).where(video.c.id == video_id))).scalar_one()
    return sha


async def _add(services: Services, table: Table, **values: object) -> int:
    async with services.db.write() as conn:
        row = await conn.execute(insert(table).values(**values).returning(table.c.id))
        return int(row.scalar_one())
