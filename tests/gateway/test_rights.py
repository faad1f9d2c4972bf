"""A right that goes away while somebody plays ends the player within seconds, and keeps what was earned."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, update

from player_server.learning.rights import end_without_right
from player_server.storage.progress import video_progress
from player_server.storage.tables import course, enrolment, learner, login_session, video
from telemetry.messages import Close
from tests.gateway.conftest import Stage


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        (enrolment, {"withdrawn_at": 1}, Close.NO_COURSE),
        (enrolment, {"offline_missing": True}, Close.NO_COURSE),
        (course, {"closed_at": 1}, Close.NO_COURSE),
        (video, {"withdrawn_at": 1}, Close.NO_COURSE),
        (learner, {"disabled_at": 1}, Close.NOT_ALLOWED),
        (login_session, {"expires_at": 1}, Close.NOT_ALLOWED),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else getattr(value, "name", None),
)
async def test_a_player_ends_with_its_right(
    stage: Stage, table: Table, change: dict[str, Any], code: Close
) -> None:
    page = await stage.playing()
    ack = await page.play(0.4)
    assert await end_without_right(stage.services) == 0, "whoever may play plays on"
    assert (await page.acked(ack["frontier"]))["seq"] == page.seq
    async with stage.services.db.write() as conn:
        await conn.execute(update(table).values(**change))
    assert await end_without_right(stage.services) == 1
    assert await page.close_code() == code
    assert await end_without_right(stage.services) == 0
    async with stage.services.db.read() as conn:
        progress = await video_progress(conn, stage.pupil.learner_id, stage.video_id)
    assert progress is not None and progress.frontier_ms >= round(ack["frontier"] * 1000)
