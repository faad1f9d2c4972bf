"""Imports a course folder: all of it or nothing.

What belongs here: the story of an import. The folder is read by ``course_folder.py``, judged by
``policy/course_folder.py``, and its files are kept by ``storage/media.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.policy.course_document import Place, Problem, errors, problem
from player_server.policy.course_folder import COURSE_FILE, CoursePlan, VideoPlan
from player_server.policy.quiz_content import encode, version_of
from player_server.storage.database import Database
from player_server.storage.media import BadMedia, MediaChanged, store_caption, store_video
from player_server.storage.tables import course, institution, media, quiz_version, video
from player_server.storage.upsert import insert as upsert

from .course_folder import CheckedFolder, Progress, check_folder

What = Literal["added", "title", "position", "hours", "file", "captions", "quiz", "withdrawn", "restored"]

# The columns an import may change, and what a change of each is called.
_CHANGES: Mapping[str, What] = {
    "title": "title",
    "position": "position",
    "hours": "hours",
    "media_sha": "file",
    "captions_sha": "captions",
    "quiz_sha": "quiz",
    "withdrawn_at": "restored",
}


@dataclass(frozen=True, slots=True)
class VideoChange:
    """What an import did to one video."""

    video_id: int
    title: str
    what: tuple[What, ...]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of an import. Without a ``course_id`` there were errors and nothing was imported."""

    course_id: int | None
    created: bool
    course_changes: tuple[str, ...]
    video_changes: tuple[VideoChange, ...]
    problems: tuple[Problem, ...]

    @property
    def changed(self) -> bool:
        """Whether the database is different now."""
        return self.created or bool(self.course_changes) or bool(self.video_changes)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those problems that stopped the import."""
        return errors(self.problems)


async def import_course(
    db: Database,
    media_dir: Path,
    folder: Path,
    institution_id: int,
    now_ms: int,
    progress: Progress | None = None,
) -> ImportResult:
    """Bring the institution's course of this title to what the folder says.

    The course is found by its title within the institution. A video is found by its title, or else by its
    file, and keeps its id, so that progress and credit stay with it; videos the folder no longer has are
    withdrawn, not deleted. The same folder a second time changes nothing. ``progress`` is called from
    another thread. Raises LookupError for an unknown institution, and OSError when the media store cannot
    be written.
    """
    checked = await asyncio.to_thread(_check_and_store, folder, media_dir, progress)
    if checked.plan is None:
        return ImportResult(None, False, (), (), checked.problems)
    # The files are in the store by now; a crash before the commit leaves files there that nobody names, which
    # the next import of the same folder finds and uses.
    async with db.write() as conn:
        # Two imports for one institution wait for each other here.
        found = await conn.execute(
            select(institution.c.id).where(institution.c.id == institution_id).with_for_update()
        )
        if found.first() is None:
            raise LookupError(f"institution {institution_id}")
        await _keep_versions(conn, checked.plan, now_ms)
        course_id, created, course_changes = await _keep_course(conn, checked.plan, institution_id, now_ms)
        video_changes = await _keep_videos(conn, checked.plan.videos, course_id, now_ms)
    return ImportResult(course_id, created, course_changes, video_changes, checked.problems)


def _check_and_store(folder: Path, media_dir: Path, progress: Progress | None) -> CheckedFolder:
    checked = check_folder(folder, progress)
    if checked.plan is None:
        return checked
    found: list[Problem] = []
    for planned in checked.plan.videos:
        place = Place(COURSE_FILE)
        try:
            store_video(folder / planned.file, planned.facts, media_dir)
            if planned.caption:
                store_caption(folder / planned.caption.path, planned.caption.sha256, media_dir)
        except (MediaChanged, FileNotFoundError):
            found.append(problem("file_changed", place, name=planned.file))
        except BadMedia as error:
            found.append(problem(error.code, place, name=planned.file))
    return CheckedFolder(None, (*checked.problems, *found)) if found else checked


async def _keep_versions(conn: AsyncConnection, plan: CoursePlan, now_ms: int) -> None:
    """Versions are named after what is in them, so one that is there already is the same one."""
    files: dict[str, dict[str, Any]] = {
        planned.facts.sha256: {
            "duration_ms": planned.facts.duration_ms,
            "width": planned.facts.width,
            "height": planned.facts.height,
            "video_codec": planned.facts.video_codec,
            "audio_codec": planned.facts.audio_codec,
        }
        for planned in plan.videos
    }
    quizzes: dict[str, dict[str, Any]] = {
        version_of(planned.quiz): {"content": encode(planned.quiz).decode()}
        for planned in plan.videos
        if planned.quiz
    }
    # Two institutions may import the same files at once; in the same order they cannot block each other.
    for table, versions in ((media, files), (quiz_version, quizzes)):
        for sha, columns in sorted(versions.items()):
            row = {"sha": sha, "created_at": now_ms, **columns}
            await conn.execute(upsert(conn, table).values(row).on_conflict_do_nothing())


async def _keep_course(
    conn: AsyncConnection, plan: CoursePlan, institution_id: int, now_ms: int
) -> tuple[int, bool, tuple[str, ...]]:
    wanted = {"specialty": plan.specialty, "subject": plan.subject}
    same = (course.c.institution_id == institution_id) & (course.c.title == plan.title)
    row = (await conn.execute(select(course).where(same))).first()
    if row is None:
        values = {"institution_id": institution_id, "title": plan.title, "created_at": now_ms, **wanted}
        made = await conn.execute(insert(course).values(values).returning(course.c.id))
        return int(made.scalar_one()), True, ()
    changes = tuple(name for name, value in wanted.items() if row._mapping[name] != value)
    if changes:
        await conn.execute(update(course).where(course.c.id == row.id).values(wanted))
    return int(row.id), False, changes


async def _keep_videos(
    conn: AsyncConnection, plans: Sequence[VideoPlan], course_id: int, now_ms: int
) -> tuple[VideoChange, ...]:
    rows = (await conn.execute(select(video).where(video.c.course_id == course_id).order_by(video.c.id))).all()
    pairs = _paired(plans, rows)
    changes: list[VideoChange] = []
    for position, planned in enumerate(plans, 1):
        wanted = _columns(planned, position)
        row = pairs.get(planned.title)
        if row is None:
            values = {"course_id": course_id, "created_at": now_ms, **wanted}
            made = await conn.execute(insert(video).values(values).returning(video.c.id))
            changes.append(VideoChange(int(made.scalar_one()), planned.title, ("added",)))
            continue
        what = tuple(name for column, name in _CHANGES.items() if row._mapping[column] != wanted[column])
        if what:
            await conn.execute(update(video).where(video.c.id == row.id).values(wanted))
            changes.append(VideoChange(int(row.id), planned.title, what))
    kept = {row.id for row in pairs.values()}
    for row in rows:
        if row.id not in kept and row.withdrawn_at is None:
            await conn.execute(update(video).where(video.c.id == row.id).values(withdrawn_at=now_ms))
            changes.append(VideoChange(int(row.id), row.title, ("withdrawn",)))
    return tuple(changes)


def _paired(plans: Sequence[VideoPlan], rows: Sequence[Row[Any]]) -> dict[str, Row[Any]]:
    """The row of each planned video that has one, by the planned title.

    Titles go first. A row whose title is gone may then be the same file under a new title; since no row has
    that new title, renaming it cannot collide.
    """
    by_title = {row.title: row for row in rows}
    pairs = {planned.title: by_title[planned.title] for planned in plans if planned.title in by_title}
    taken = {row.id for row in pairs.values()}
    for planned in plans:
        if planned.title in pairs:
            continue
        # A file may stand in a course twice; each row is taken once, those still shown first.
        same = [row for row in rows if row.media_sha == planned.facts.sha256 and row.id not in taken]
        if same:
            row = min(same, key=lambda row: (row.withdrawn_at is not None, row.position))
            pairs[planned.title] = row
            taken.add(row.id)
    return pairs


def _columns(planned: VideoPlan, position: int) -> dict[str, Any]:
    return {
        "title": planned.title,
        "position": position,
        "hours": planned.hours_hundredths,
        "media_sha": planned.facts.sha256,
        "captions_sha": planned.caption.sha256 if planned.caption else None,
        "quiz_sha": version_of(planned.quiz) if planned.quiz else None,
        "withdrawn_at": None,
    }
