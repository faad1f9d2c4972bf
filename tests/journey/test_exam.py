"""From the last quiz to the exam that is over: the product's processes and an exam service that is another program.

The exam service is down when the hours are complete, and still hears of it; it believes nothing that is not signed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from sqlalchemy import select

from player_server.learning.webhooks import Hand, add_endpoint
from player_server.standalone.child import ChildProcess
from player_server.storage.tables import ledger_entry
from player_server.storage.webhook_tables import webhook_delivery
from tests.support.course_folders import Clip, write_course
from tests.support.learner import Learner, learner, play_until
from tests.support.ports import free_port
from tests.support.processes import until
from tests.support.product import EXAM_CLIENT, Product, product
from tests.support.quizzes import CONTENT
from tests.support.school import add_staff

CLIP = Clip("高处作业", 2, hours=1, quiz=CONTENT)
SETTINGS: dict[str, Any] = {
    "watch": {"beat_every_s": 0.5, "gap_grace_s": 3, "jitter_s": 0.5, "lock_ttl_s": 5, "busy_wait_s": 5},
    "webhooks": {"allow_private": True},
}


@dataclass
class Story:
    """The learner, the product, and where the exam service will be."""

    who: Learner
    port: int
    folder: Path

    @property
    def product(self) -> Product:
        return self.who.product

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def exam_service(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Start the other program; a connection to it."""
        argv = (
            *(sys.executable, "-m", "tests.peers.exam_service", "--issuer", self.product.url),
            *("--client", EXAM_CLIENT, "--key", self.folder / "key.pem"),
            *("--webhook-secret", self.folder / "webhook.txt", "--port", str(self.port)),
        )
        child = ChildProcess("exam", argv, output=self.folder / "exam.log")
        await child.start()
        try:
            async with aiohttp.ClientSession(self.url) as http:
                yield http
        finally:
            await child.stop()


@pytest_asyncio.fixture
async def story(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Story]:
    course = write_course(tmp_path / "course", CLIP)
    data, peer = tmp_path / "data", tmp_path / "peer"
    data.mkdir()
    peer.mkdir()
    port = free_port()
    exam = {"launch_url": f"http://127.0.0.1:{port}/enter"}
    async with product(database_url, valkey_url, data, course, **SETTINGS, exam=exam) as running:
        (peer / "key.pem").write_text(running.exam_key)
        staff_id = await add_staff(running.services, running.institution_id)
        hand = Hand(staff_id, running.institution_id, "127.0.0.1")
        topics = ["hours.completed", "exam.result"]
        added = await add_endpoint(
            running.services, hand, name="考试", url=f"http://127.0.0.1:{port}/webhooks", topics=topics
        )
        assert isinstance(added, tuple), added
        (peer / "webhook.txt").write_text(added[1])
        account = await running.add_learner("欧阳小明", 1)
        async with learner(running, account) as who:
            yield Story(who, port, peer)


async def test_from_the_last_quiz_to_the_exam_that_is_over(story: Story) -> None:
    who = story.who
    await who.first_log_in()
    home = await who.computer.get("/")
    assert "施工现场安全：还差 1 学时" in home and "/launch" not in home
    assert not await who.is_eligible()
    await the_last_quiz_is_passed(story)
    await until(lambda: a_delivery_failed(story), timeout=20)
    async with story.exam_service() as exam:
        await the_exam_service_hears_of_it(exam)
        sitting = await the_learner_goes_in(story, exam)
        async with exam.post(f"/sittings/{sitting}", json={"score": 85}) as answer:
            assert await answer.json() == [201, 201], await seen(exam)
        await it_counted_once(story, exam)
        await the_exam_is_over(story)
        await it_needs_nobody_to_believe_what_is_signed(story, exam)


async def the_last_quiz_is_passed(story: Story) -> None:
    who, (video_id,) = story.who, story.product.video_ids
    page = await who.playing(video_id)
    await play_until(page, "watched", start=page.welcome["position"])
    sheet = await who.open_sheet(video_id)
    assert "全部答对" in await who.hand_in(video_id, sheet.fields())
    await page.bye()
    assert await who.is_eligible()


async def a_delivery_failed(story: Story) -> bool:
    async with story.product.services.db.read() as conn:
        return bool(await conn.scalar(select(webhook_delivery.c.id).where(webhook_delivery.c.attempts > 0)))


async def seen(exam: aiohttp.ClientSession) -> dict[str, Any]:
    try:
        async with exam.get("/seen") as answer:
            found: dict[str, Any] = await answer.json()
            return found
    except aiohttp.ClientConnectionError:
        return {"events": [], "answers": []}


async def the_exam_service_hears_of_it(exam: aiohttp.ClientSession) -> None:
    async def told() -> bool:
        return bool((await seen(exam))["answers"])

    await until(told, timeout=40)
    found = await seen(exam)
    assert {event["type"] for event in found["events"]} == {"hours.completed"}
    assert found["answers"][0]["eligible"] is True
    assert found["refused"] == 0
    async with exam.post("/webhooks", json={"id": "x", "type": "hours.completed"}) as answer:
        assert answer.status == 401, "what is not signed is not heard"


async def the_learner_goes_in(story: Story, exam: aiohttp.ClientSession) -> str:
    who = story.who
    home = await who.computer.get("/")
    (action,) = re.findall(r'action="(/exam/\d+/launch)"', home)
    text = await who.computer.submit(action)
    assert who.computer.status == 200 and text.startswith("sitting "), text
    async with exam.get("/enter", params={"launch": "x.y.z"}) as answer:
        assert answer.status == 403
    return text.removeprefix("sitting ")


async def it_counted_once(story: Story, exam: aiohttp.ClientSession) -> None:
    async with story.product.services.db.read() as conn:
        hours = (await conn.scalars(select(ledger_entry.c.hours).where(ledger_entry.c.kind == "test"))).all()
    assert list(hours) == [400]

    async def told() -> bool:
        return "exam.result" in [event["type"] for event in (await seen(exam))["events"]]

    await until(told, timeout=20)
    results = [event for event in (await seen(exam))["events"] if event["type"] == "exam.result"]
    assert [(each["data"]["outcome"], each["data"]["score"]) for each in results] == [("passed", "85.00")]
    # The feed tells the same, to whom the webhooks never reached.
    headers = {"Authorization": f"Bearer {story.product.exam_token()}"}
    async with story.who.computer.http.get(f"{story.product.url}/api/v1/events", headers=headers) as answer:
        feed = await answer.json()
    assert [each["event"]["type"] for each in feed["events"]].count("exam.result") == 1
    assert results[0]["id"] in [each["event"]["id"] for each in feed["events"]]


async def the_exam_is_over(story: Story) -> None:
    who = story.who
    for path in ("/", f"/courses/{story.product.course_id}"):
        page = await who.computer.get(path)
        assert "已通过" in page and "85 分" in page and "/launch" not in page
    assert not await who.is_eligible()


async def it_needs_nobody_to_believe_what_is_signed(story: Story, exam: aiohttp.ClientSession) -> None:
    assertion = (await seen(exam))["answers"][0]["assertion"]
    assert story.product.server is not None
    await story.product.server.stop()
    head, body, signature = assertion.split(".")
    for token, believed in ((assertion, True), (f"{head}.{body}.{signature[:-4]}AAAA", False)):
        async with exam.post("/check", json={"assertion": token}) as answer:
            assert (await answer.json())["believed"] is believed
