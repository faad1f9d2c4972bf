"""Findings of use cases: the day's hours of a person, and how rows are put together for people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import Row, select

from player_server.learning.findings import by_day, note_long_days
from player_server.learning.services import Services
from player_server.policy.findings import DAY_MS, HOUR_MS, Rating, china_day, day_start_ms
from player_server.storage.clock import wall_ms
from player_server.storage.findings import StoredFinding
from player_server.storage.playback import SegmentRow
from player_server.storage.segments import add_segments
from player_server.storage.tables import finding
from telemetry.findings import FindingKind
from tests.support import school
from tests.support.services import close_services, make_services


@dataclass
class Room:
    services: Services
    pupil: school.Pupil
    video_id: int
    numbers: int = 0

    async def earn(self, hours: float, started_at: int, *, learner_id: int | None = None) -> None:
        """One stretch in real time."""
        self.numbers += 1
        length = round(hours * HOUR_MS)
        row = SegmentRow(
            session_id="s",
            number=self.numbers,
            learner_id=learner_id or self.pupil.learner_id,
            video_id=self.video_id,
            round=1,
            from_ms=0,
            to_ms=length,
            started_at=started_at,
            ended_at=started_at + length,
            reason="pause",
        )
        async with self.services.db.write() as conn:
            await add_segments(conn, [row])

    async def found(self) -> list[Row[Any]]:
        async with self.services.db.read() as conn:
            return list((await conn.execute(select(finding).order_by(finding.c.last_at))).all())


@pytest_asyncio.fixture
async def room(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Room]:
    services = await make_services(database_url, valkey_url, tmp_path)
    at = await school.add_institution(services, "示例")
    lessons = await school.add_course(services, at)
    yield Room(services, await school.add_learner(services, at), lessons.video_ids[0])
    await close_services(services)


def yesterday() -> int:
    """When yesterday began in China, UTC ms."""
    return day_start_ms(china_day(wall_ms()) - 1)


async def test_a_day_longer_than_the_limit_is_noted_once_and_grows(room: Room) -> None:
    await room.earn(6, yesterday() + HOUR_MS)
    await room.earn(4, yesterday() + 8 * HOUR_MS)
    assert await note_long_days(room.services) == 0 and await room.found() == []
    await room.earn(0.5, yesterday() + 13 * HOUR_MS)
    assert await note_long_days(room.services) == 1
    assert await note_long_days(room.services) == 0
    await room.earn(1, yesterday() + 14 * HOUR_MS)
    assert await note_long_days(room.services) == 1
    [row] = await room.found()
    assert (row.kind, row.person_id, row.learner_id) == ("long_day", room.pupil.person_id, room.pupil.learner_id)
    assert (row._mapping["count"], row.worst) == (1, round(11.5 * HOUR_MS))
    assert china_day(row.last_at) == china_day(yesterday())


async def test_two_long_evenings_over_midnight_are_no_long_day(room: Room) -> None:
    await room.earn(11, yesterday() - 11 * HOUR_MS // 2)
    assert await note_long_days(room.services) == 0


async def test_the_hours_of_all_institutions_of_a_person_are_one_day(room: Room) -> None:
    other = await school.add_institution(room.services, "另一家")
    elsewhere = await school.add_learner(room.services, other, person_id=room.pupil.person_id)
    await room.earn(6, yesterday() + HOUR_MS)
    await room.earn(6, yesterday() + 8 * HOUR_MS, learner_id=elsewhere.learner_id)
    assert await note_long_days(room.services) == 1
    [row] = await room.found()
    assert (row.learner_id, row.worst) == (None, 12 * HOUR_MS)


def test_rows_of_one_kind_and_day_are_rated_together() -> None:
    noon = yesterday() + 12 * HOUR_MS
    missed = [StoredFinding("challenge_missed", 1, 0, noon + n, noon + n, "第1讲") for n in range(5)]
    before = StoredFinding("challenge_missed", 1, 0, noon - DAY_MS, noon - DAY_MS, "第2讲")
    other = StoredFinding("second_page", 2, 0, noon - 1, noon - 1, None)
    today, tabs, earlier = by_day([*missed, before, other])
    assert (today.kind, today.count, today.rating) == (FindingKind.CHALLENGE_MISSED, 5, Rating.REVIEW)
    assert (today.first_at, today.last_at, today.video_titles) == (noon, noon + 4, ("第1讲",))
    assert (tabs.kind, tabs.count, tabs.video_titles) == (FindingKind.SECOND_PAGE, 2, ())
    assert (earlier.count, earlier.rating) == (1, Rating.INFORMATIONAL)
