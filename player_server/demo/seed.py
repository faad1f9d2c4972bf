"""`./run seed`: a large made-up institution, to look at the dashboard with and to measure it.

The people, their progress, attempts, credits and findings are invented here and written straight into the tables,
because going through the use cases would take a day for a hundred thousand learners. The rows are those that the
use cases leave behind. Nobody's real data is in it: all ID numbers lie in an area that was never given to any
district.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table, func, insert, select

from player_server.auth.identity import id_columns
from player_server.auth.passwords import hash_password
from player_server.demo.seed_people import Pupil, SeedCourse, SeedVideo, id_number_of, invent
from player_server.learning.course_import import import_course
from player_server.learning.services import Services
from player_server.policy.quiz_content import decode
from player_server.policy.roles import Role
from player_server.storage.bulk import add_rows, take_ids
from player_server.storage.clock import wall_ms
from player_server.storage.tables import (
    attempt,
    challenge,
    course,
    enrolment,
    enrolment_course,
    finding,
    institution,
    learner,
    ledger_entry,
    media,
    person,
    quiz_version,
    staff,
    video,
    watch_progress,
    watch_segment,
)

DEMO_COURSE = Path(__file__).parent / "course"
INSTITUTION = "规模演示培训中心"
SPECIALTIES = ("建筑工程", "市政公用工程", "机电工程", "公路工程")
#: What each seeded course has: as many videos as the measurements ask for, an hour each.
VIDEOS = 40
HOURS = 100
#: Learners written in one transaction. On SQLite few, so that the live players' commits are not kept waiting.
CHUNK = {"sqlite": 100, "postgresql": 2000}


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made. `password` is only for a member of staff who was made now, else None."""

    institution_id: int
    username: str
    password: str | None
    learners: int
    rows: int


async def seed(
    services: Services,
    learners: int,
    classes: int,
    *,
    name: str = INSTITUTION,
    random_seed: int = 1,
    say: Callable[[int, int], None] = lambda done, total: None,
) -> Seeded:
    """Add so many learners in so many classes to the institution `name`, which is made if it is not there."""
    institution_id, username, password = await _institution(services, name)
    courses = await _courses(services, institution_id)
    dice = random.Random(random_seed)  # noqa: S311  # Made-up data; the same seed gives the same school.
    now = wall_ms()
    chunk, rows, done = CHUNK[services.db.kind], 0, 0
    async with services.db.read() as conn:
        taken = int(await conn.scalar(select(func.count()).select_from(learner)) or 0)
    while done < learners:
        pupils = [
            invent(dice, taken + done + each, classes, courses, now) for each in range(min(chunk, learners - done))
        ]
        rows += await _write(services, institution_id, pupils, now)
        done += len(pupils)
        say(done, learners)
    return Seeded(institution_id, username, password, done, rows)


async def _institution(services: Services, name: str) -> tuple[int, str, str | None]:
    async with services.db.read() as conn:
        found = await conn.scalar(select(institution.c.id).where(institution.c.name == name))
    if found is not None:
        return found, f"seed-{found}", None
    password = secrets.token_urlsafe(9)
    password_hash = await hash_password(password)
    now = wall_ms()
    async with services.db.write() as conn:
        made = await conn.execute(insert(institution).values(name=name, created_at=now).returning(institution.c.id))
        institution_id = int(made.scalar_one())
        await conn.execute(
            insert(staff).values(
                institution_id=institution_id,
                username=f"seed-{institution_id}",
                name="赵主任",
                role=Role.OWNER,
                password_hash=password_hash,
                created_at=now,
            )
        )
    return institution_id, f"seed-{institution_id}", password


async def _courses(services: Services, institution_id: int) -> list[SeedCourse]:
    """One course of VIDEOS for each specialty; its videos are those of the demo course again and again."""
    imported = await import_course(
        services.db, services.settings.media_folder, DEMO_COURSE, institution_id, wall_ms()
    )
    if imported.course_id is None:
        raise ValueError("; ".join(each.text("en") for each in imported.errors))
    async with services.db.read() as conn:
        clips = (await conn.execute(select(video).where(video.c.course_id == imported.course_id))).all()
        versions = (await conn.execute(select(quiz_version.c.sha, quiz_version.c.content))).all()
    right = {row.sha: [list(each.right) for each in decode(row.content).questions] for row in versions}
    clips = [each for each in clips if each.quiz_sha is not None]
    made = []
    for specialty in SPECIALTIES:
        title = f"{specialty}继续教育（{VIDEOS} 讲）"
        async with services.db.write() as conn:
            course_id = await conn.scalar(
                select(course.c.id).where(course.c.institution_id == institution_id, course.c.title == title)
            )
            if course_id is None:
                new = insert(course).values(
                    institution_id=institution_id,
                    title=title,
                    specialty=specialty,
                    subject="professional",
                    created_at=wall_ms(),
                )
                course_id = (await conn.execute(new.returning(course.c.id))).scalar_one()
                await conn.execute(
                    insert(video),
                    [
                        {
                            "course_id": course_id,
                            "position": number + 1,
                            "title": f"第{number + 1}讲",
                            "hours": HOURS,
                            "media_sha": clips[number % len(clips)].media_sha,
                            "captions_sha": clips[number % len(clips)].captions_sha,
                            "quiz_sha": clips[number % len(clips)].quiz_sha,
                            "created_at": wall_ms(),
                        }
                        for number in range(VIDEOS)
                    ],
                )
            query = select(video.c.id, video.c.media_sha, video.c.quiz_sha, media.c.duration_ms).join(
                media, media.c.sha == video.c.media_sha
            )
            lessons = (
                await conn.execute(query.where(video.c.course_id == course_id).order_by(video.c.position))
            ).all()
        videos = tuple(
            SeedVideo(row.id, row.media_sha, row.duration_ms, row.quiz_sha, right[row.quiz_sha]) for row in lessons
        )
        made.append(SeedCourse(course_id, specialty, videos))
    return made


async def _write(services: Services, institution_id: int, pupils: list[Pupil], now: int) -> int:
    """All rows of these learners in one transaction; returns how many."""
    rows: dict[Table, tuple[tuple[str, ...], list[tuple[object, ...]]]] = {}

    def put(table: Table, **values: object) -> None:
        columns, kept = rows.setdefault(table, (tuple(values), []))
        kept.append(tuple(values[each] for each in columns))

    async with services.db.write() as conn:
        people = await take_ids(conn, person, len(pupils))
        accounts = await take_ids(conn, learner, len(pupils))
        enrolments = await take_ids(conn, enrolment, len(pupils))
        entries = iter(await take_ids(conn, ledger_entry, sum(len(each.lessons) + 2 for each in pupils)))
        segments = iter(await take_ids(conn, watch_segment, sum(len(each.lessons) for each in pupils)))
        findings = iter(await take_ids(conn, finding, len(pupils)))
        for pupil, person_id, learner_id, enrolment_id in zip(pupils, people, accounts, enrolments, strict=True):
            put(
                person,
                id=person_id,
                **id_columns(services.keys, id_number_of(person_id)),
                name=pupil.name,
                created_at=pupil.since,
            )
            put(
                learner,
                id=learner_id,
                institution_id=institution_id,
                person_id=person_id,
                class_name=pupil.class_name,
                created_at=pupil.since,
            )
            put(
                enrolment,
                id=enrolment_id,
                learner_id=learner_id,
                programme=pupil.programme,
                issue_date=pupil.issue_date,
                expiry_date=pupil.expiry_date,
                deadline=pupil.deadline,
                offline_missing=pupil.offline_missing,
                created_at=pupil.since,
            )
            put(enrolment_course, enrolment_id=enrolment_id, course_id=pupil.course.course_id)
            version = services.programmes[pupil.programme].version
            for hours, subject, kind, at in pupil.other_hours:
                put(
                    ledger_entry,
                    id=next(entries),
                    learner_id=learner_id,
                    institution_id=institution_id,
                    course_id=None,
                    video_id=None,
                    kind=kind,
                    subject=subject,
                    hours=hours,
                    round=1,
                    entry_type="credit",
                    rule_version=version,
                    occurred_at=at,
                    evidence="{}",
                )
            for lesson in pupil.lessons:
                session = f"seed-{learner_id}-{lesson.video_id}"
                put(
                    watch_progress,
                    learner_id=learner_id,
                    video_id=lesson.video_id,
                    round=1,
                    frontier_ms=lesson.frontier_ms,
                    position_ms=lesson.frontier_ms,
                    media_sha=lesson.media_sha,
                    watched_at=lesson.at if lesson.credited else None,
                    credited_at=lesson.at if lesson.credited else None,
                    updated_at=lesson.at,
                )
                if lesson.recent:
                    put(
                        watch_segment,
                        id=next(segments),
                        session_id=session,
                        number=1,
                        learner_id=learner_id,
                        video_id=lesson.video_id,
                        round=1,
                        from_ms=0,
                        to_ms=lesson.frontier_ms,
                        started_at=lesson.at - lesson.frontier_ms,
                        ended_at=lesson.at,
                        reason="bye",
                    )
                if not lesson.credited:
                    continue
                put(
                    attempt,
                    id=session,
                    learner_id=learner_id,
                    video_id=lesson.video_id,
                    round=1,
                    quiz_sha=lesson.quiz_sha,
                    answers=lesson.answers,
                    right_count=lesson.questions,
                    question_count=lesson.questions,
                    passed=True,
                    submitted_at=lesson.at,
                )
                put(
                    ledger_entry,
                    id=next(entries),
                    learner_id=learner_id,
                    institution_id=institution_id,
                    course_id=pupil.course.course_id,
                    video_id=lesson.video_id,
                    kind="online",
                    subject="professional",
                    hours=HOURS,
                    round=1,
                    entry_type="credit",
                    rule_version=version,
                    occurred_at=lesson.at,
                    evidence=f'{{"attempt":"{session}","challenges":[],"sessions":["{session}"]}}',
                )
            if pupil.check is not None:
                at, outcome = pupil.check
                put(
                    challenge,
                    id=f"seed-{learner_id}",
                    person_id=person_id,
                    sequence=1,
                    kind="attendance",
                    learner_id=learner_id,
                    video_id=pupil.course.videos[0].id,
                    session_id=f"seed-{learner_id}-{pupil.course.videos[0].id}",
                    issued_at=at,
                    deadline=at + 120_000,
                    answered_at=at + 30_000 if outcome == "answered" else None,
                    outcome=outcome,
                    same_device=False,
                )
            if pupil.finding is not None:
                kind, count, worst, at = pupil.finding
                put(
                    finding,
                    id=next(findings),
                    person_id=person_id,
                    learner_id=learner_id,
                    video_id=pupil.course.videos[0].id,
                    session_id=f"seed-{learner_id}",
                    kind=kind,
                    count=count,
                    worst=worst,
                    first_at=at,
                    last_at=at,
                )
        for table, (columns, kept) in rows.items():
            await add_rows(conn, table, columns, kept)
    return sum(len(kept) for _, kept in rows.values())
