"""The rows the bench needs, thousands at a time: one long video, and people who are enrolled and logged in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Table, insert

from player_server.learning.services import Services
from player_server.storage import tickets
from player_server.storage.clock import wall_ms
from player_server.storage.tables import (
    course,
    enrolment,
    enrolment_course,
    institution,
    learner,
    login_session,
    media,
    person,
    video,
)
from player_server.storage.tickets import Ticket

VIDEO_ID = 1
#: Long enough that nobody comes to its end, in milliseconds.
_DURATION_MS = 24 * 60 * 60 * 1000
_LOG_IN_MS = 60 * 60 * 1000
_SHA = "0" * 64


async def found(services: Services, people: int) -> None:
    """Fill the empty database: people number 1 to `people`, each with one account, enrolled for the video."""
    now = wall_ms()
    numbers = range(1, people + 1)
    every: list[tuple[Table, Sequence[dict[str, Any]]]] = [
        (institution, [{"id": 1, "name": "学校", "created_at": now}]),
        (
            media,
            [
                {
                    "sha": _SHA,
                    "duration_ms": _DURATION_MS,
                    "width": 640,
                    "height": 360,
                    "video_codec": "h264",
                    "created_at": now,
                }
            ],
        ),
        (
            course,
            [
                {
                    "id": 1,
                    "institution_id": 1,
                    "title": "安全生产",
                    "specialty": "建筑工程",
                    "subject": "professional",
                    "created_at": now,
                }
            ],
        ),
        (
            video,
            [
                {
                    "id": VIDEO_ID,
                    "course_id": 1,
                    "position": 1,
                    "title": "第1讲",
                    "hours": 100,
                    "media_sha": _SHA,
                    "created_at": now,
                }
            ],
        ),
        (
            person,
            [
                {"id": n, "id_hash": f"hash-{n}", "id_cipher": "none", "name": "张伟", "created_at": now}
                for n in numbers
            ],
        ),
        (learner, [{"id": n, "institution_id": 1, "person_id": n, "created_at": now} for n in numbers]),
        (
            enrolment,
            [{"id": n, "learner_id": n, "programme": "jiangsu-constructor-2", "created_at": now} for n in numbers],
        ),
        (enrolment_course, [{"enrolment_id": n, "course_id": 1} for n in numbers]),
        (
            login_session,
            [
                {
                    "token_hash": _log_in(n),
                    "person_id": n,
                    "learner_id": n,
                    "must_change": False,
                    "created_at": now,
                    "expires_at": now + _LOG_IN_MS,
                }
                for n in numbers
            ],
        ),
    ]
    async with services.db.write() as conn:
        for table, rows in every:
            await conn.execute(insert(table), rows)


def ticket_office(services: Services, first_person: int) -> Callable[[int], Awaitable[str]]:
    """Gives tickets to the people from `first_person` on, as the POST does for a page."""

    async def ticket(number: int) -> str:
        n = first_person + number
        return await tickets.issue(services.redis, Ticket(n, n, VIDEO_ID, _log_in(n)))

    return ticket


def _log_in(number: int) -> str:
    return f"{number:064d}"
