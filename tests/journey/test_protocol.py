"""The main job without a browser: log-in, player, phone and quiz through the doors of real processes.

One story a database: real processes, two real clips, an HTTP client for the pages and a WebSocket client for the
player. What was earned is read from the store and from the exam service, never from a live answer alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from player_server.storage.progress import VideoProgress, video_progress
from player_server.storage.tables import challenge, finding, ledger_entry, outbox, phone, playback
from telemetry.messages import Close
from tests.support.course_folders import Clip, write_course
from tests.support.learner import PHONE_AGENT, Learner, learner, play_until
from tests.support.product import product
from tests.support.quizzes import CONTENT
from tests.support.watch_client import WatchClient

FIRST = Clip("高处作业", 5, hours=1, quiz=CONTENT)
SECOND = Clip("起重吊装", 3, hours=0.5)
BEAT_EVERY_S = 0.5
SETTINGS: dict[str, Any] = {
    "watch": {"beat_every_s": BEAT_EVERY_S, "gap_grace_s": 3, "jitter_s": 0.5, "lock_ttl_s": 5, "busy_wait_s": 5},
    # Twice within the first video, however coarse the beats are, and not again before its end.
    "challenges": {"earliest_s": 1.7, "latest_s": 1.7, "show_link": True},
}


@dataclass
class Story:
    """The learner in front of the running product, and what was seen so far."""

    who: Learner
    videos: tuple[int, int]
    began: float = 0.0  # when the first player was welcomed
    challenges: int = 0  # answered

    async def progress(self, video_id: int) -> VideoProgress:
        """What the store says, live or stored."""
        async with self.who.product.services.db.read() as conn:
            found = await video_progress(conn, self.who.account.learner_id, video_id)
        assert found is not None
        return found

    async def entries(self) -> list[Any]:
        """The learner's ledger."""
        async with self.who.product.services.db.read() as conn:
            query = select(ledger_entry).where(ledger_entry.c.learner_id == self.who.account.learner_id)
            return list((await conn.execute(query.order_by(ledger_entry.c.id))).all())

    async def to_the_end(self, page: WatchClient) -> dict[str, Any]:
        """Watch on in real time, answering every challenge on the phone; returns the message `watched`."""
        message = await play_until(page, "watched", "challenge", start=page.welcome["position"])
        while message["type"] == "challenge":
            page.inbox.clear()
            await self.answer(message)
            start = (await page.had("resume"))["position"]
            # The beat that was due for the challenge may have been the last one: then it is watched already.
            watched = next((each for each in page.inbox if each["type"] == "watched"), None)
            message = watched or await play_until(page, "watched", "challenge", start=start)
        return message

    async def is_held(self) -> bool:
        """A challenge is open."""
        async with self.who.product.services.db.read() as conn:
            return await conn.scalar(select(playback.c.held_challenge_id)) is not None

    async def answer(self, asked: dict[str, Any]) -> None:
        await self.who.answer(asked)
        self.challenges += 1


@pytest_asyncio.fixture
async def story(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Story]:
    course = write_course(tmp_path / "course", FIRST, SECOND)
    data = tmp_path / "data"
    data.mkdir()
    async with product(database_url, valkey_url, data, course, **SETTINGS) as running:
        account = await running.add_learner("欧阳小明", 1)
        async with learner(running, account) as who:
            yield Story(who, (running.video_ids[0], running.video_ids[1]))


async def test_a_learner_earns_the_hours_of_a_course(story: Story) -> None:
    await the_initial_secret_opens_only_the_change_password_page(story)
    assert not await story.who.is_eligible()
    page = await a_jump_ahead_is_rewound(story)
    page = await a_second_page_is_busy_and_takes_over(story, page)
    await the_identity_check_binds_the_phone(story, page)
    await only_that_phone_confirms_attendance(story, page)
    page = await a_reload_goes_on_within_one_beat(story, page)
    await the_end_opens_the_quiz_and_gives_no_hours_yet(story, page)
    await wrong_answers_give_nothing_and_right_ones_the_hours_once(story, page)
    await a_credited_video_is_dragged_freely(story)
    await a_video_without_a_quiz_is_credited_at_its_end(story)
    await everybody_is_told_the_same(story)


async def the_initial_secret_opens_only_the_change_password_page(story: Story) -> None:
    who, (first, second) = story.who, story.videos
    await who.log_in("not-the-secret")
    assert who.computer.path == "/login"
    await who.log_in(who.account.initial_secret)
    assert who.computer.path == "/password"
    for path in ("/", "/hours", "/courses/1", f"/player/{first}", f"/quiz/{first}", f"/player/{second}"):
        await who.computer.get(path)
        assert who.computer.path == "/password", path
    assert (await who.ask_ticket(first))[0] == 401
    await who.choose_password()
    home = await who.computer.get("/")
    assert who.computer.path == "/"
    assert "施工现场安全" in home
    # It was good once.
    async with learner(who.product, who.account) as thief:
        await thief.log_in(who.account.initial_secret)
        assert thief.computer.path == "/login"


async def a_jump_ahead_is_rewound(story: Story) -> WatchClient:
    who, (first, _) = story.who, story.videos
    data = await who.player_page(first)
    assert data["video"]["duration"] == pytest.approx(FIRST.seconds, abs=0.1)
    assert [chapter["title"] for chapter in data["chapters"]] == [FIRST.title, SECOND.title]
    page = await who.playing(first)
    story.began = time.monotonic()
    assert (page.welcome["frontier"], page.welcome["credited"]) == (0, False)
    ack = await page.play(0.6)
    assert 0.3 <= ack["frontier"] <= time.monotonic() - story.began
    await page.beat(4.9)
    rewind = await page.until("rewind")
    assert rewind["reason"] == "ahead_of_frontier"
    assert rewind["to"] == ack["frontier"]
    assert (await story.progress(first)).frontier_ms == round(ack["frontier"] * 1000)
    # What was still in flight earns nothing either, nor does the end.
    page.rewind = None
    await page.acked(4.95, event="ended")
    page.rewind = rewind["id"]
    assert (await story.progress(first)).frontier_ms == round(ack["frontier"] * 1000)
    return page


async def a_second_page_is_busy_and_takes_over(story: Story, page: WatchClient) -> WatchClient:
    who, (first, _) = story.who, story.videos
    frontier = (await page.acked(page.welcome["frontier"], playing=False))["frontier"]
    second = await who.page(first)
    busy = await second.hello()
    assert (busy["type"], busy["policy"]) == ("busy", "ask")
    assert (await page.acked(0, playing=False))["frontier"] == frontier, "the first one still plays"
    welcome = await second.hello(takeover=True)
    assert welcome["type"] == "welcome"
    assert welcome["frontier"] == frontier
    assert await page.close_code() == Close.DISPLACED
    return second


async def the_identity_check_binds_the_phone(story: Story, page: WatchClient) -> None:
    who = story.who
    asked = await play_until(page, "challenge", start=page.welcome["frontier"])
    assert asked["kind"] == "identity"
    frozen = await still_held(story, page, asked)
    # The computer that watches may not be the phone.
    assert await who.scan(asked["link"], who.computer) == "computer"
    assert who.computer.status == 403
    # Opening the code on the phone confirms nothing, nor does a wrong name.
    assert await who.scan(asked["link"]) == ""
    assert await still_held(story, page, asked) == frozen
    await who.phone.submit("/c/bind", name="别人", id_number=who.account.id_number)
    assert who.phone.status == 422
    assert await still_held(story, page, asked) == frozen
    assert await who.bind() == "confirmed"
    await goes_on(story, page, frozen)


async def only_that_phone_confirms_attendance(story: Story, page: WatchClient) -> None:
    who = story.who
    asked = await play_until(page, "challenge", start=(await page.had("resume"))["position"])
    page.inbox.clear()
    assert asked["kind"] == "attendance"
    frozen = await still_held(story, page, asked)
    assert await who.scan(asked["link"]) == ""
    assert "欧阳小明" not in who.phone.page and "*" in who.phone.page, "the name is masked"
    # Neither the computer nor another phone, be it with the very form of the right one.
    form = who.phone.page.split('name="form" value="', 1)[1].split('"', 1)[0]
    assert await who.scan(asked["link"], who.computer) == "computer"
    async with learner(who.product, who.account) as stranger:
        await stranger.scan(asked["link"])
        assert "/c/confirm" not in stranger.phone.page
        for browser in (who.computer, stranger.phone):
            token = browser.page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
            await browser.post("/c/confirm", {"csrf": token, "form": form})
            assert browser.status in (403, 404), browser.page
    assert await still_held(story, page, asked) == frozen
    assert await who.confirm() == "confirmed"
    await goes_on(story, page, frozen)


async def still_held(story: Story, page: WatchClient, asked: dict[str, Any]) -> int:
    """Beat as if nothing were: nothing counts. Returns the frozen frontier in ms."""
    ack = await page.acked(4.9)
    ack = await page.acked(5.0, event="ended")
    progress = await story.progress(story.videos[0])
    assert progress.frontier_ms == round(ack["frontier"] * 1000)
    async with story.who.product.services.db.read() as conn:
        outcome = (
            await conn.execute(select(challenge.c.outcome).where(challenge.c.id == asked["id"]))
        ).scalar_one()
    assert outcome is None
    return progress.frontier_ms


async def goes_on(story: Story, page: WatchClient, frozen: int) -> None:
    """The player is told to go on from where it was frozen, and what passed meanwhile counts nothing."""
    story.challenges += 1
    resume = await page.had("resume")
    assert resume["position"] <= frozen / 1000
    ack = await page.acked(frozen / 1000, event="play")
    assert ack["frontier"] == frozen / 1000


async def a_reload_goes_on_within_one_beat(story: Story, page: WatchClient) -> WatchClient:
    who, (first, _) = story.who, story.videos
    frontier = (await story.progress(first)).frontier_ms / 1000
    ack = await play_until(page, "there", start=frontier, to=frontier + 0.4)
    left = time.monotonic()
    await page.bye()
    await who.player_page(first)
    again = await who.playing(first)
    assert time.monotonic() - left < 2
    assert again.welcome["recovered"] is False, "a new page proves nothing"
    assert ack["frontier"] - BEAT_EVERY_S <= again.welcome["frontier"] <= ack["frontier"] + BEAT_EVERY_S
    assert again.welcome["position"] == pytest.approx(ack["frontier"], abs=BEAT_EVERY_S)
    # At most one beat of what was played before the reload may be missing.
    assert again.welcome["frontier"] >= frontier + 0.4 - BEAT_EVERY_S
    return again


async def the_end_opens_the_quiz_and_gives_no_hours_yet(story: Story, page: WatchClient) -> None:
    first, _ = story.videos
    assert await story.to_the_end(page) == {"type": "watched", "quiz": f"/quiz/{first}", "credited": False}
    progress = await story.progress(first)
    assert (progress.watched, progress.credited) == (True, False)
    assert progress.frontier_ms / 1000 <= time.monotonic() - story.began, "no second that did not pass"
    assert await story.entries() == []


async def wrong_answers_give_nothing_and_right_ones_the_hours_once(story: Story, page: WatchClient) -> None:
    who, (first, _) = story.who, story.videos
    sheet = await who.open_sheet(first)
    wrong = await who.hand_in(first, sheet.fields(wrong={CONTENT.questions[0].text}))
    assert "还没有全部答对" in wrong and "答对 3 / 4 题" in wrong
    assert await story.entries() == []
    right = (await who.open_sheet(first)).fields()
    results = await asyncio.gather(*(who.hand_in(first, right) for _ in range(5)))
    assert all("全部答对" in result for result in results)
    entries = await story.entries()
    assert [entry.hours for entry in entries] == [100]
    told = await page.had("credited")
    assert (told["video"], told["hours"]) == (first, "1.00")
    assert not await who.is_eligible(), "half of the course is missing"
    await page.bye()


async def a_credited_video_is_dragged_freely(story: Story) -> None:
    first, _ = story.videos
    page = await story.who.playing(first)
    assert (page.welcome["watched"], page.welcome["credited"]) == (True, True)
    for position in (4.8, 0.2, 3.0, 4.9, 1.0):
        ack = await page.acked(position, event="seek")
        assert ack["uncredited"] is None
    assert not any(message["type"] == "rewind" for message in page.inbox)
    assert len(await story.entries()) == 1
    await page.bye()


async def a_video_without_a_quiz_is_credited_at_its_end(story: Story) -> None:
    who, (_, second) = story.who, story.videos
    data = await who.player_page(second)
    assert [(chapter["credited"], chapter["percent"]) for chapter in data["chapters"]] == [(True, 100), (False, 0)]
    page = await who.playing(second)
    assert page.welcome["quiz"] is None
    watched = await story.to_the_end(page)
    if not watched["credited"] and await story.is_held():
        # Its last beat was due for a challenge, and that holds the hours back.
        assert len(await story.entries()) == 1
        await story.answer(await page.had("challenge"))
    if not watched["credited"]:
        await page.had("credited")
    await page.bye()


async def everybody_is_told_the_same(story: Story) -> None:
    who, (first, second) = story.who, story.videos
    entries = await story.entries()
    assert [(each.video_id, each.hours, each.round, each.entry_type, each.kind) for each in entries] == [
        (first, 100, 1, "credit", "online"),
        (second, 50, 1, "credit", "online"),
    ]
    evidence = [json.loads(each.evidence) for each in entries]
    assert evidence[0]["attempt"] and evidence[1]["attempt"] is None
    assert all(each["sessions"] for each in evidence)
    async with who.product.services.db.read() as conn:
        topics = list(await conn.scalars(select(outbox.c.topic).order_by(outbox.c.id)))
        outcomes = list(await conn.scalars(select(challenge.c.outcome)))
        phones = (await conn.execute(select(phone.c.person_id))).all()
        found = set(await conn.scalars(select(finding.c.kind)))
    assert topics == ["hours.credited", "hours.credited", "hours.completed"]
    assert outcomes == ["answered"] * story.challenges
    assert sum(len(each["challenges"]) for each in evidence) == story.challenges
    assert phones == [(who.account.person_id,)]
    # The jump, the second page, the computer and the stranger's phone: seen, and nobody else was suspected.
    assert found == {"ahead_of_frontier", "second_page", "wrong_phone"}
    assert await who.is_eligible()
    page = await who.computer.get("/hours")
    assert FIRST.title in page and SECOND.title in page and "1.5" in page
    home = await who.computer.get("/")
    assert "学时已修满" in home
    assert PHONE_AGENT not in home
