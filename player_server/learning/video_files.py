"""Replacing the file of a video: what was uploaded is looked into, kept in the media store, and counts from now on.

What belongs here: the story of a replacement. Learners who started finish the file that they started with; credited
hours stay.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.learning.staff_actions import Action, Hand, Outcome
from player_server.learning.video_actions import lock_video
from player_server.policy.course_document import Place, Problem, errors, problem
from player_server.policy.course_folder import VideoFacts, video_problems
from player_server.storage import audit, staff_actions
from player_server.storage.media import BadMedia, MediaChanged, probe, store_video
from player_server.storage.tables import media, video
from player_server.storage.upsert import insert

#: Two hours in good quality; more fills the disk of whoever runs this.
LARGEST_FILE = 4 * 1024**3


class FileTooLarge(Exception):
    """An upload above LARGEST_FILE."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What came of it; `problems` say why a file cannot be used."""

    outcome: Outcome
    problems: tuple[Problem, ...] = ()


@asynccontextmanager
async def uploaded(services: Services, pieces: AsyncIterator[bytes]) -> AsyncIterator[Path]:
    """The pieces as a file beside the media store, gone afterwards. Raises FileTooLarge."""
    folder = services.settings.media_folder
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    number, name = await asyncio.to_thread(tempfile.mkstemp, dir=folder, prefix=".upload-", suffix=".mp4")
    path = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            size = 0
            async for piece in pieces:
                size += len(piece)
                if size > LARGEST_FILE:
                    raise FileTooLarge
                # A slow disk must not hold up everybody's beats.
                await asyncio.to_thread(file.write, piece)
        yield path
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def replace_file(services: Services, hand: Hand, institution_id: int, video_id: int, path: Path) -> Replaced:
    """Give a video this file. The same file again changes nothing."""
    # Looked at first: for somebody else's video nothing is read and nothing is stored.
    async with services.db.read() as conn:
        row = await lock_video(conn, institution_id, video_id)
    found: VideoFacts | tuple[Problem, ...] = ()
    if row is not None:
        found = await asyncio.to_thread(_look_into, path, services.settings.media_folder)
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        outcome = Outcome.ABSENT
        if isinstance(found, VideoFacts):
            outcome = await _replace_in(conn, hand, institution_id, video_id, found, now)
        elif found:
            outcome = Outcome.BAD_FILE
        await audit.record(
            conn,
            at=now,
            actor=hand.scope.actor,
            action=Action.REPLACE_VIDEO.value,
            target=f"video:{video_id}",
            result=outcome.value,
            institution_id=institution_id,
            address=hand.address,
        )
    return Replaced(outcome, () if isinstance(found, VideoFacts) else found)


async def _replace_in(
    conn: AsyncConnection, hand: Hand, institution_id: int, video_id: int, facts: VideoFacts, now: int
) -> Outcome:
    row = await lock_video(conn, institution_id, video_id)
    if row is None:
        return Outcome.ABSENT
    if row.media_sha == facts.sha256:
        return Outcome.ALREADY
    new = insert(conn, media).values(
        sha=facts.sha256,
        duration_ms=facts.duration_ms,
        width=facts.width,
        height=facts.height,
        video_codec=facts.video_codec,
        audio_codec=facts.audio_codec,
        created_at=now,
    )
    await conn.execute(new.on_conflict_do_nothing())
    was = await conn.scalar(select(media.c.duration_ms).where(media.c.sha == row.media_sha))
    await conn.execute(update(video).where(video.c.id == video_id).values(media_sha=facts.sha256))
    await staff_actions.add(
        conn,
        Action.REPLACE_VIDEO,
        institution_id=institution_id,
        staff_id=hand.scope.staff_id,
        video_id=video_id,
        reason=hand.reason,
        details={"from": row.media_sha, "to": facts.sha256, "from_ms": was, "to_ms": facts.duration_ms},
        at=now,
    )
    return Outcome.DONE


def _look_into(path: Path, media_dir: Path) -> VideoFacts | tuple[Problem, ...]:
    """What is in the file, once the store has it; or why it cannot be used."""
    place = Place(path.name)
    try:
        facts = probe(path)
        wrong = errors(video_problems(facts, place, path.name))
        if wrong:
            return wrong
        store_video(path, facts, media_dir)
    except BadMedia as error:
        return (problem(error.code, place, name=path.name),)
    except MediaChanged:
        return (problem("file_changed", place, name=path.name),)
    return facts
