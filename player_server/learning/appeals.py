"""Appeals 申诉: a learner objects to a stretch that did not count, or to a finding.

What belongs here: what may be objected to, making an appeal once, reading one's own. How the institution reads and
answers them is in `appeal_answers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.findings import by_day
from player_server.learning.records import MOST_FINDINGS
from player_server.learning.services import Services
from player_server.learning.staff_actions import Outcome
from player_server.storage import audit
from player_server.storage.findings import findings_of
from player_server.storage.person_tables import appeal
from player_server.storage.progress import video_progress
from player_server.storage.segments import segment_of
from player_server.storage.tables import learner, person, staff, video
from player_server.storage.upsert import insert


class State(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Appeal:
    """One appeal. Times in UTC ms; `until` None: counting never went on. `hours` made up, in hundredths."""

    id: int
    learner_id: int
    about: str  # stretch | finding
    subject: str
    what: str
    video_id: int | None
    video_title: str | None
    round: int | None
    since: int
    until: int | None
    words: str
    made_at: int
    state: State
    answer: str | None
    answered_at: int | None
    answered_by: str | None
    entry_id: int | None


@dataclass(frozen=True, slots=True)
class Question:
    """What an appeal would be about, before it is made."""

    about: str
    subject: str
    what: str
    video_id: int | None
    video_title: str | None
    round: int | None
    since: int
    until: int | None


def stretch_subject(segment_id: int) -> str:
    """The name of the time after this stretch."""
    return f"stretch:{segment_id}"


def finding_subject(kind: str, day: int) -> str:
    """The name of everything of this kind on this China calendar day."""
    return f"finding:{kind}:{day}"


async def question_of(services: Services, person_id: int, learner_id: int, subject: str) -> Question | None:
    """What this learner may object to under this name; None if there is no such thing."""
    async with services.db.read() as conn:
        return await _question(conn, person_id, learner_id, subject)


async def make_appeal(
    services: Services,
    *,
    person_id: int,
    learner_id: int,
    institution_id: int,
    subject: str,
    words: str,
    address: str,
) -> Outcome:
    """Object to something once. `words` are tidy and not empty."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        question = await _question(conn, person_id, learner_id, subject)
        outcome = Outcome.ABSENT
        if question is not None:
            made = await conn.scalar(
                insert(conn, appeal)
                .values(
                    institution_id=institution_id,
                    learner_id=learner_id,
                    about=question.about,
                    subject=question.subject,
                    what=question.what,
                    video_id=question.video_id,
                    round=question.round,
                    since=question.since,
                    until=question.until,
                    words=words,
                    made_at=now,
                    state=State.OPEN.value,
                )
                .on_conflict_do_nothing(index_elements=[appeal.c.learner_id, appeal.c.subject])
                .returning(appeal.c.id)
            )
            outcome = Outcome.ALREADY if made is None else Outcome.DONE
        await audit.record(
            conn,
            at=now,
            actor=f"person:{person_id}",
            action="make_appeal",
            target=f"learner:{learner_id}",
            result=outcome.value,
            institution_id=institution_id,
            address=address,
        )
    return outcome


async def my_appeals(services: Services, learner_id: int) -> list[Appeal]:
    """All of a learner's appeals, newest first."""
    async with services.db.read() as conn:
        return await appeals_of(conn, learner_id)


async def appeals_of(conn: AsyncConnection, learner_id: int) -> list[Appeal]:
    """The same on the caller's connection."""
    query = select_appeals(appeal.c.learner_id == learner_id).order_by(appeal.c.made_at.desc(), appeal.c.id.desc())
    return [appeal_of(row) for row in await conn.execute(query)]


async def _question(conn: AsyncConnection, person_id: int, learner_id: int, subject: str) -> Question | None:
    about, _, rest = subject.partition(":")
    if about == "stretch" and rest.isdecimal() and len(rest) < 19:
        found = await segment_of(conn, learner_id, int(rest))
        if found is None or found[0].reason == "watched":
            return None
        segment, until = found
        return Question(
            about,
            stretch_subject(segment.id),
            segment.reason,
            segment.video_id,
            segment.video_title,
            segment.round,
            segment.ended_at,
            until,
        )
    if about == "finding":
        for each in by_day(await findings_of(conn, person_id, learner_id, MOST_FINDINGS)):
            if finding_subject(each.kind.value, each.day) != subject:
                continue
            # A finding over several videos belongs to none of them alone, so nothing can be made up for it.
            only = each.video_ids[0] if len(each.video_ids) == 1 else None
            progress = None if only is None else await video_progress(conn, learner_id, only)
            return Question(
                about,
                subject,
                each.kind.value,
                None if progress is None else progress.video_id,
                None if progress is None else progress.title,
                None if progress is None else progress.round,
                each.first_at,
                each.last_at,
            )
    return None


def select_appeals(*where: ColumnElement[bool]) -> Any:
    """Every appeal with its video, its learner and who answered it."""
    return (
        select(
            appeal,
            video.c.title.label("video_title"),
            staff.c.name.label("staff_name"),
            learner.c.class_name,
            learner.c.person_id,
            person.c.name,
            person.c.id_cipher,
        )
        .join(learner, learner.c.id == appeal.c.learner_id)
        .join(person, person.c.id == learner.c.person_id)
        .outerjoin(video, video.c.id == appeal.c.video_id)
        .outerjoin(staff, staff.c.id == appeal.c.answered_by)
        .where(*where)
    )


def appeal_of(row: Any) -> Appeal:
    """A row of `select_appeals`."""
    return Appeal(
        id=row.id,
        learner_id=row.learner_id,
        about=row.about,
        subject=row.subject,
        what=row.what,
        video_id=row.video_id,
        video_title=row.video_title,
        round=row.round,
        since=row.since,
        until=row.until,
        words=row.words,
        made_at=row.made_at,
        state=State(row.state),
        answer=row.answer,
        answered_at=row.answered_at,
        answered_by=row.staff_name,
        entry_id=row.entry_id,
    )
