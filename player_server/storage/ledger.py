"""The ledger's rows and what has to be read to write them. Entries are added, never updated, never deleted.

What belongs here: SQL. When an entry may be written is decided in `learning/settle.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import (
    attempt,
    challenge,
    course,
    learner,
    ledger_entry,
    media,
    playback,
    video,
    watch_progress,
    watch_segment,
)
from player_server.storage.upsert import insert
from telemetry.rules import WATCHED_TOLERANCE_MS, WATCHED_TOLERANCE_SHARE

#: Newest ids of each kind that one entry names. An honest round has a handful; the bound keeps somebody who
#: reconnects all day from writing megabytes into a row that is kept for ever.
EVIDENCE_IDS = 200
#: `ledger_entry.source` of hours that a passed exam brings; `source_row` is the result's id and the rule's name.
FROM_EXAM = "exam"


class Pair(NamedTuple):
    """What hours are credited for: a learner and a video, once a round."""

    learner_id: int
    video_id: int
    round: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A video as the ledger sees it, and whose hours they would be. Hours are hundredths."""

    person_id: int
    institution_id: int
    course_id: int
    subject: str
    hours: int
    quiz_sha: str | None


class Evidence(msgspec.Struct, frozen=True):
    """What an entry can be checked against; ids only, newest last."""

    sessions: list[str]
    challenges: list[str]
    attempt: str | None


async def find_subject(conn: AsyncConnection, learner_id: int, video_id: int) -> Subject | None:
    """None if the video is not of the learner's institution."""
    row = (
        await conn.execute(
            select(
                learner.c.person_id,
                learner.c.institution_id,
                video.c.course_id,
                course.c.subject,
                video.c.hours,
                video.c.quiz_sha,
            )
            .select_from(
                learner.join(course, course.c.institution_id == learner.c.institution_id).join(
                    video, video.c.course_id == course.c.id
                )
            )
            .where(learner.c.id == learner_id, video.c.id == video_id)
        )
    ).one_or_none()
    return None if row is None else Subject(*row)


async def add_credit(
    conn: AsyncConnection, pair: Pair, subject: Subject, evidence: Evidence, *, rule_version: str, now_ms: int
) -> int | None:
    """Write the one credit of this pair; the entry's id, or None if there was one already.

    On PostgreSQL a second writer waits here until the first one has committed.
    """
    entry_id: int | None = await conn.scalar(
        insert(conn, ledger_entry)
        .values(
            learner_id=pair.learner_id,
            institution_id=subject.institution_id,
            course_id=subject.course_id,
            video_id=pair.video_id,
            kind="online",
            subject=subject.subject,
            hours=subject.hours,
            round=pair.round,
            entry_type="credit",
            rule_version=rule_version,
            occurred_at=now_ms,
            evidence=msgspec.json.encode(evidence, order="sorted").decode(),
        )
        .on_conflict_do_nothing(
            index_elements=[
                ledger_entry.c.learner_id,
                ledger_entry.c.video_id,
                ledger_entry.c.round,
                ledger_entry.c.entry_type,
            ]
        )
        .returning(ledger_entry.c.id)
    )
    return entry_id


async def gather_evidence(
    conn: AsyncConnection, pair: Pair, attempt_id: str | None, live_session: str | None
) -> Evidence:
    """The watch sessions and challenges of this round. `live_session` plays now and may have no segment yet."""
    of_pair = and_(watch_segment.c.learner_id == pair.learner_id, watch_segment.c.video_id == pair.video_id)
    newest = (
        await conn.scalars(
            select(watch_segment.c.session_id)
            .where(of_pair, watch_segment.c.round == pair.round)
            .group_by(watch_segment.c.session_id)
            .order_by(func.max(watch_segment.c.id).desc())
            .limit(EVIDENCE_IDS)
        )
    ).all()
    sessions = list(reversed(newest))
    if live_session is not None and live_session not in sessions:
        sessions.append(live_session)
    # A challenge does not know its round; what another round's sessions were asked does not belong here.
    elsewhere = select(watch_segment.c.session_id).where(of_pair, watch_segment.c.round != pair.round)
    asked = (
        await conn.scalars(
            select(challenge.c.id)
            .where(
                challenge.c.learner_id == pair.learner_id,
                challenge.c.video_id == pair.video_id,
                challenge.c.session_id.not_in(elsewhere),
            )
            .order_by(challenge.c.sequence.desc())
            .limit(EVIDENCE_IDS)
        )
    ).all()
    return Evidence(sessions=sessions, challenges=list(reversed(asked)), attempt=attempt_id)


async def mark_credited(conn: AsyncConnection, pair: Pair, now_ms: int) -> None:
    """Note in the stored progress that the ledger has this pair's hours."""
    row = watch_progress.c
    await conn.execute(
        update(watch_progress)
        .where(row.learner_id == pair.learner_id, row.video_id == pair.video_id, row.round == pair.round)
        .where(row.credited_at.is_(None))
        .values(credited_at=now_ms, updated_at=now_ms)
    )


async def course_hours(conn: AsyncConnection, learner_id: int, course_id: int) -> int | None:
    """The hours (hundredths) of the course if every video in it is credited in its newest round, else None."""
    newer = watch_progress.alias("newer")
    credited = exists().where(
        watch_progress.c.learner_id == learner_id,
        watch_progress.c.video_id == video.c.id,
        watch_progress.c.credited_at.is_not(None),
        ~exists().where(
            newer.c.learner_id == watch_progress.c.learner_id,
            newer.c.video_id == watch_progress.c.video_id,
            newer.c.round > watch_progress.c.round,
        ),
    )
    missing, hours = (
        await conn.execute(
            select(func.sum(case((credited, 0), else_=1)), func.sum(video.c.hours)).where(
                video.c.course_id == course_id, video.c.withdrawn_at.is_(None)
            )
        )
    ).one()
    return hours if missing == 0 else None


async def find_unsettled(conn: AsyncConnection, *, limit: int, person_id: int | None = None) -> list[Pair]:
    """Pairs that lack nothing but their credit: watched, all right or without a quiz, nobody held."""
    watched = (
        _pairs(watch_progress.c.learner_id, watch_progress.c.video_id, watch_progress.c.round)
        .join_from(watch_progress, learner, learner.c.id == watch_progress.c.learner_id)
        .join(video, video.c.id == watch_progress.c.video_id)
        .outerjoin(playback, playback.c.person_id == learner.c.person_id)
        .where(
            watch_progress.c.watched_at.is_not(None),
            watch_progress.c.credited_at.is_(None),
            _nothing_else_missing(watch_progress.c.round),
        )
    )
    # A player that crossed the end and was killed before that was noted.
    noted = exists().where(
        watch_progress.c.learner_id == playback.c.learner_id,
        watch_progress.c.video_id == playback.c.video_id,
        watch_progress.c.round == playback.c.round,
        watch_progress.c.watched_at.is_not(None),
    )
    live = (
        _pairs(playback.c.learner_id, playback.c.video_id, playback.c.round)
        .join_from(playback, learner, learner.c.id == playback.c.learner_id)
        .join(video, video.c.id == playback.c.video_id)
        .join(media, media.c.sha == playback.c.media_sha)
        .where(playback.c.frontier_ms >= _watched_from(), ~noted, _nothing_else_missing(playback.c.round))
    )
    if person_id is not None:
        watched = watched.where(learner.c.person_id == person_id)
        live = live.where(playback.c.person_id == person_id)
    rows = await conn.execute(union_all(watched, live).limit(limit))
    return [Pair(*row) for row in rows]


def _pairs(
    learner_id: ColumnElement[int], video_id: ColumnElement[int], round_: ColumnElement[int]
) -> Select[int, int, int]:
    return select(learner_id.label("learner_id"), video_id.label("video_id"), round_.label("round"))


def _nothing_else_missing(round_: ColumnElement[int]) -> ColumnElement[bool]:
    all_right = exists().where(
        attempt.c.learner_id == learner.c.id,
        attempt.c.video_id == video.c.id,
        attempt.c.round == round_,
        attempt.c.passed,
    )
    return and_(playback.c.held_challenge_id.is_(None), or_(video.c.quiz_sha.is_(None), all_right))


def _watched_from() -> ColumnElement[int]:
    """`telemetry.rules.watched_from_ms` in SQL, so that no batch is filled with pairs that are not watched yet."""
    share = media.c.duration_ms // round(1 / WATCHED_TOLERANCE_SHARE)
    return media.c.duration_ms - case((share < WATCHED_TOLERANCE_MS, share), else_=WATCHED_TOLERANCE_MS)


async def add_test_hours(
    conn: AsyncConnection,
    *,
    result_id: int,
    rule: str,
    learner_id: int,
    institution_id: int,
    course_id: int | None,
    subject: str,
    hours: int,
    evidence: dict[str, object],
    rule_version: str,
    now_ms: int,
) -> int | None:
    """Hours (hundredths) that a passed exam brings by one rule; the entry's id, None if this result brought them.

    `course_id` only says of which specialty they are; None: they count for every one.
    """
    entry_id: int | None = await conn.scalar(
        insert(conn, ledger_entry)
        .values(
            learner_id=learner_id,
            institution_id=institution_id,
            course_id=course_id,
            kind="test",
            subject=subject,
            hours=hours,
            round=1,
            entry_type="credit",
            rule_version=rule_version,
            occurred_at=now_ms,
            evidence=msgspec.json.encode(evidence, order="sorted").decode(),
            source=FROM_EXAM,
            source_row=f"{result_id}:{rule}",
        )
        .on_conflict_do_nothing()
        .returning(ledger_entry.c.id)
    )
    return entry_id


async def entries_of_result(conn: AsyncConnection, result_id: int, learner_id: int) -> list[int]:
    """The entries that this result brought, in order."""
    row = ledger_entry.c
    # The learner's entries are few and found by index; the source is then compared among them.
    query = select(row.id, row.source, row.source_row).where(row.learner_id == learner_id, row.kind == "test")
    return [
        each.id
        for each in await conn.execute(query.order_by(row.id))
        if each.source == FROM_EXAM and each.source_row.partition(":")[0] == str(result_id)
    ]
