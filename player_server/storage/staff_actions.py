"""What staff did by hand, with the reason they gave: rows beside a learner or a video. They are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.storage.person_tables import staff_action
from player_server.storage.tables import staff


class Action(StrEnum):
    """Everything that staff can do by hand. The value stands in `staff_action.action` and in the audit."""

    NOTE = "note"
    NEW_SECRET = "issue_initial_secret"  # noqa: S105
    RESET_PHONE = "reset_phone"
    DISABLE = "disable_learner"
    ENABLE = "enable_learner"
    EXTEND_DEADLINE = "extend_deadline"
    REVERSE = "reverse_credit"
    MAKE_UP = "make_up_hours"
    OFFER_MOVE = "offer_move"
    END_OFFER = "end_move_offer"
    TAKE_MOVE = "take_move"
    ANSWER_APPEAL = "answer_appeal"
    WITHDRAW_VIDEO = "withdraw_video"
    RESTORE_VIDEO = "restore_video"
    REPLACE_VIDEO = "replace_video"
    CORRECT_KEY = "correct_answer_key"


class StoredAction(NamedTuple):
    """One row, with the name of who did it. `at` in UTC ms; `details`: what changed, from what to what."""

    action: str
    reason: str
    details: dict[str, object]
    at: int
    staff_name: str


async def add(
    conn: AsyncConnection,
    action: Action,
    *,
    institution_id: int,
    staff_id: int,
    reason: str,
    at: int,
    learner_id: int | None = None,
    video_id: int | None = None,
    details: dict[str, object] | None = None,
) -> None:
    """Add one row in the transaction of what it tells about. `details` never carry a name or an ID number."""
    await conn.execute(
        insert(staff_action).values(
            institution_id=institution_id,
            staff_id=staff_id,
            learner_id=learner_id,
            video_id=video_id,
            action=action.value,
            reason=reason,
            details=msgspec.json.encode(details or {}, order="sorted").decode(),
            at=at,
        )
    )


async def actions_on_learner(conn: AsyncConnection, learner_id: int, limit: int) -> Sequence[StoredAction]:
    """What was done about one learner, newest first."""
    return await _read(conn, staff_action.c.learner_id == learner_id, limit)


async def actions_on_video(
    conn: AsyncConnection, video_id: int, institution_id: int, limit: int
) -> Sequence[StoredAction]:
    """What was done about one video, newest first."""
    mine = staff_action.c.institution_id == institution_id
    return await _read(conn, (staff_action.c.video_id == video_id) & mine, limit)


async def _read(conn: AsyncConnection, where: ColumnElement[bool], limit: int) -> Sequence[StoredAction]:
    row = staff_action.c
    query = (
        select(row.action, row.reason, row.details, row.at, staff.c.name)
        .join(staff, staff.c.id == row.staff_id)
        .where(where)
        .order_by(row.at.desc(), row.id.desc())
        .limit(limit)
    )
    return [
        StoredAction(each.action, each.reason, msgspec.json.decode(each.details), each.at, each.name)
        for each in await conn.execute(query)
    ]
