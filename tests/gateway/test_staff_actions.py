"""What staff do reaches a page that plays: a real socket closes, and comes back where it may."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from player_server.learning.reversals import reverse_credit
from player_server.learning.rights import end_without_right
from player_server.learning.settle import settle
from player_server.learning.staff_actions import Hand, Outcome, set_disabled
from player_server.learning.staff_scope import StaffScope
from player_server.learning.video_actions import set_withdrawn
from player_server.storage.tables import learner, ledger_entry
from telemetry.messages import Close
from tests.gateway.conftest import Stage
from tests.support.school import DURATION_MS, add_progress, add_staff


@pytest.fixture
def parts() -> dict[str, Any]:
    """On a busy machine a page must not fall silent while staff act: it would be told that instead."""
    return {"watch": {"lock_ttl_s": 60.0}}


async def hand_of(stage: Stage) -> tuple[Hand, int]:
    """A member of staff of the pupil's institution, and that institution."""
    async with stage.services.db.read() as conn:
        institution_id = int(await conn.scalar(select(learner.c.institution_id)) or 0)
    staff_id = await add_staff(stage.services, institution_id)
    return Hand(StaffScope(staff_id, institution_id, None), "127.0.0.1", "核实过了"), institution_id


@pytest.mark.parametrize(("what", "code"), [("disable", Close.NOT_ALLOWED), ("withdraw", Close.NO_COURSE)])
async def test_disabling_and_withdrawing_close_the_live_player_and_keep_what_it_earned(
    stage: Stage, what: str, code: Close
) -> None:
    hand, institution_id = await hand_of(stage)
    page = await stage.playing()
    ack = await page.play(0.4)
    if what == "disable":
        done = await set_disabled(stage.services, hand, stage.pupil.learner_id, disabled=True)
    else:
        done = await set_withdrawn(stage.services, hand, institution_id, stage.video_id, withdrawn=True)
    assert done is Outcome.DONE
    # The worker looks every two seconds; what it does then is this.
    assert await end_without_right(stage.services) == 1
    assert await page.close_code() == code
    assert (await stage.row()).frontier_ms >= round(ack["frontier"] * 1000)


async def test_a_reversal_sends_a_live_player_back_to_the_beginning_of_a_new_round(stage: Stage) -> None:
    hand, _ = await hand_of(stage)
    last = stage.lessons.video_ids[-1]
    await add_progress(stage.services, stage.pupil.learner_id, last, DURATION_MS, watched_at=1_000)
    assert await settle(stage.services, stage.pupil.learner_id, last, 1)
    page = await stage.page(video_id=last)
    assert (await page.hello())["credited"] is True
    async with stage.services.db.read() as conn:
        entry_id = int(await conn.scalar(select(ledger_entry.c.id)) or 0)
    assert await reverse_credit(stage.services, hand, stage.pupil.learner_id, entry_id) is Outcome.DONE
    assert await page.close_code() == Close.SILENT, "a close after which the page comes back"
    again = await stage.page(video_id=last)
    welcome = await again.hello()
    assert (welcome["credited"], welcome["watched"], welcome["frontier"]) == (False, False, 0)
    assert (await stage.row()).round == 2
    ack = await again.play(0.4)
    assert 0 < ack["frontier"] < 2
