"""Submissions of quizzes: one row each, written once, under the id of the sheet that was shown."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.tables import attempt, learner
from player_server.storage.upsert import insert


@dataclass(frozen=True, slots=True)
class Failures:
    """Submissions of one learner, video and round that were not all right. `last_ms` is of the store's clock."""

    count: int
    last_ms: int


async def take_turn(conn: AsyncConnection, learner_id: int) -> None:
    """Make the submissions of one learner wait for each other until this transaction ends.

    The learner's row is locked and not the playback row: beats never wait for a quiz, and the row always exists.
    Rows that refer to the learner can still be written by others.
    """
    await conn.execute(select(learner.c.id).where(learner.c.id == learner_id).with_for_update(key_share=True))


async def find_attempt(conn: AsyncConnection, attempt_id: str) -> Any:
    """The row of this submission, or None."""
    return (await conn.execute(select(attempt).where(attempt.c.id == attempt_id))).one_or_none()


async def add_attempt(conn: AsyncConnection, answers: Sequence[Set[int]], **values: Any) -> bool:
    """Write a submission unless its id has one already; tells whether it was written.

    `answers` are option indexes in the author's order; `values` are the table's other columns.
    """
    text = msgspec.json.encode([sorted(answer) for answer in answers]).decode()
    written = await conn.scalar(
        insert(conn, attempt)
        .values(answers=text, **values)
        .on_conflict_do_nothing(index_elements=[attempt.c.id])
        .returning(attempt.c.id)
    )
    return written is not None


def answers_of(row: Any) -> list[frozenset[int]]:
    """The answers of a row as they were given to `add_attempt`."""
    return [frozenset(answer) for answer in msgspec.json.decode(row.answers, type=list[list[int]])]


async def passed_attempt(conn: AsyncConnection, learner_id: int, video_id: int, round_: int) -> str | None:
    """The id of the first submission of this round that was all right, or None."""
    found: str | None = await conn.scalar(
        select(attempt.c.id)
        .where(
            attempt.c.learner_id == learner_id,
            attempt.c.video_id == video_id,
            attempt.c.round == round_,
            attempt.c.passed,
        )
        .order_by(attempt.c.submitted_at, attempt.c.id)
        .limit(1)
    )
    return found


async def failures(conn: AsyncConnection, learner_id: int, video_id: int, round_: int) -> Failures:
    """How often this round was not all right, and when last."""
    count, last = (
        await conn.execute(
            select(func.count(), func.max(attempt.c.submitted_at)).where(
                attempt.c.learner_id == learner_id,
                attempt.c.video_id == video_id,
                attempt.c.round == round_,
                ~attempt.c.passed,
            )
        )
    ).one()
    return Failures(count, last or 0)
