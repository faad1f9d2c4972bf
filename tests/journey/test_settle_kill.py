"""Hours are credited exactly once while the server is killed around the moment that completes them.

The same story inside one process, much oftener, is in tests/learning/test_settle.py. Here everything goes through
the doors of real processes, and what a kill leaves behind is the worker's.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp import ClientError
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed

from player_server.storage.progress import video_progress
from player_server.storage.tables import attempt, ledger_entry, outbox
from tests.support.course_folders import Clip, write_course
from tests.support.learner import Learner, learner, play_until
from tests.support.processes import until
from tests.support.product import Product, product
from tests.support.quizzes import CONTENT
from tests.support.watch_client import WatchClient

Moment = Literal["first ack", "first credit", "first result"]
SETTINGS: dict[str, Any] = {
    "watch": {"beat_every_s": 0.5, "gap_grace_s": 4, "jitter_s": 1, "lock_ttl_s": 6},
    "challenges": {"earliest_s": 3600, "latest_s": 3600},
}
LEARNERS = 8
#: One video for each: the moment at which the server is killed, while eight last beats and eight quizzes arrive.
MOMENTS: tuple[Moment | None, ...] = (None, "first ack", "first credit", None, "first credit", "first result")
#: The worker looks every five seconds.
SWEEP_S = 20.0


@asynccontextmanager
async def school(
    database_url: str, valkey_url: str, folder: Path, *clips: Clip, learners: int
) -> AsyncIterator[tuple[Product, list[Learner]]]:
    """A running product and learners who are logged in."""
    course = write_course(folder / "course", *clips)
    data = folder / "data"
    data.mkdir()
    async with product(database_url, valkey_url, data, course, **SETTINGS) as running, AsyncExitStack() as stack:
        people = []
        for number in range(1, learners + 1):
            account = await running.add_learner("欧阳小明", number)
            people.append(await stack.enter_async_context(learner(running, account)))
        await asyncio.gather(*(who.first_log_in() for who in people))
        yield running, people


async def kill(running: Product) -> None:
    assert running.server is not None
    running.server.kill()
    await running.server.wait()


async def credits(running: Product) -> Counter[tuple[int, int]]:
    """How many credits each learner has for each video."""
    async with running.services.db.read() as conn:
        rows = await conn.execute(select(ledger_entry.c.learner_id, ledger_entry.c.video_id))
        return Counter((row.learner_id, row.video_id) for row in rows)


async def messages(running: Product) -> int:
    """How many credits other systems will be told of."""
    async with running.services.db.read() as conn:
        topics = await conn.scalars(select(outbox.c.topic).where(outbox.c.topic == "hours.credited"))
        return len(topics.all())


async def test_a_kill_between_the_last_commit_and_the_credit_is_repaired_by_the_worker(
    database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    clips = [Clip(f"第{number}讲", 1) for number in range(1, 9)]
    async with school(database_url, valkey_url, tmp_path, *clips, learners=1) as (running, [who]):
        for video_id in running.video_ids:
            pair = (who.account.learner_id, video_id)
            page = await who.playing(video_id)
            await until_acknowledged_as_watched(page)
            await kill(running)
            in_between = (await credits(running))[pair] == 0

            async def credited(pair: tuple[int, int] = pair) -> bool:
                return (await credits(running))[pair] == 1

            # There is no server now: only the worker can do it.
            await until(credited, timeout=SWEEP_S)
            await running.start_server()
            again = await who.playing(video_id, former=page)
            assert (again.welcome["watched"], again.welcome["credited"]) == (True, True)
            await again.acked(0.5)
            await again.bye()
            if in_between:
                break
        assert in_between, "no kill came between the commit and the credit"
        found = await credits(running)
        assert set(found.values()) == {1}
        assert await messages(running) == len(found)


async def until_acknowledged_as_watched(page: WatchClient) -> None:
    """Play to the end in real time, and return the moment that the ack of it arrives."""
    await play_until(page, "there", start=page.welcome["position"], to=0.85)
    while True:
        ack = await page.acked(1.0, event="ended")
        if ack["watched"]:
            return
        await asyncio.sleep(ack["wait"])


@dataclass
class Candidate:
    """A learner one beat and one perfect quiz before the hours."""

    who: Learner
    video_id: int
    page: WatchClient
    fields: list[tuple[str, str]]

    @classmethod
    async def prepare(cls, who: Learner, video_id: int) -> Candidate:
        page = await who.playing(video_id)
        await play_until(page, "there", start=0, to=0.6)
        # The sheet is given out a little before the end, so that nobody waits for the last beat.
        candidate = cls(who, video_id, page, (await who.open_sheet(video_id)).fields())
        await asyncio.sleep(0.3)
        return candidate

    async def last_beat(self) -> None:
        try:
            await self.page.acked(1.0, event="ended")
        except ConnectionClosed:
            return

    async def quiz(self) -> None:
        try:
            assert "全部答对" in await self.who.hand_in(self.video_id, self.fields)
        except (ClientError, OSError):
            return

    async def lacks_only_the_credit(self) -> bool:
        """Whether nothing is missing but the credit."""
        learner_id = self.who.account.learner_id
        async with self.who.product.services.db.read() as conn:
            progress = await video_progress(conn, learner_id, self.video_id)
            query = select(attempt.c.passed).where(
                attempt.c.learner_id == learner_id, attempt.c.video_id == self.video_id
            )
            passed = list(await conn.scalars(query))
        assert progress is not None
        return progress.watched and passed == [True] and not progress.credited

    async def come_back(self, *, left: bool) -> None:
        """What the browser does after the server came back: reconnect, beat again, send the sheet again.

        With `left` nothing is repeated, so that only the worker can bring the credit.
        """
        self.page = await self.who.playing(self.video_id, former=self.page)
        if left:
            return
        if not self.page.welcome["watched"]:
            await play_until(self.page, "watched", start=1.0)
        assert "全部答对" in await self.who.hand_in(self.video_id, self.fields)


async def race(running: Product, candidates: list[Candidate], moment: Moment | None, rng: random.Random) -> None:
    """Everybody's last beat and quiz at once; the server is killed at this moment of it."""
    beats, quizzes = [each.last_beat for each in candidates], [each.quiz for each in candidates]
    both = [*beats, *quizzes]
    rng.shuffle(both)
    tasks = {work: asyncio.create_task(work()) for work in both}
    if moment == "first credit":
        before = (await credits(running)).total()
        # Without a pause: the others' credits follow within milliseconds.
        while (await credits(running)).total() == before:
            assert not all(task.done() for task in tasks.values())
    elif moment is not None:
        first = beats if moment == "first ack" else quizzes
        await asyncio.wait([tasks[work] for work in first], return_when=asyncio.FIRST_COMPLETED)
    if moment is not None:
        await kill(running)
    await asyncio.gather(*tasks.values())


async def test_the_last_beat_and_a_perfect_quiz_at_once_give_one_credit_whatever_is_killed(
    database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    rng = random.Random(11)
    clips = [Clip(f"第{number}讲", 1, quiz=CONTENT) for number in range(1, len(MOMENTS) + 1)]
    left = 0
    async with school(database_url, valkey_url, tmp_path, *clips, learners=LEARNERS) as (running, people):
        for video_id, moment in zip(running.video_ids, MOMENTS, strict=True):
            candidates = await asyncio.gather(*(Candidate.prepare(who, video_id) for who in people))
            await race(running, candidates, moment, rng)
            if moment is not None:
                lacking = [await each.lacks_only_the_credit() for each in candidates]
                left += sum(lacking)
                await running.start_server()
                await asyncio.gather(
                    *(each.come_back(left=lacks) for each, lacks in zip(candidates, lacking, strict=True))
                )
            await asyncio.gather(*(each.page.bye() for each in candidates))
        rounds = len(people) * len(MOMENTS)

        async def all_credited() -> bool:
            return len(await credits(running)) == rounds

        await until(all_credited, timeout=SWEEP_S)
        # Whatever comes late may not give anything any more.
        await asyncio.gather(*(each.quiz() for each in candidates))
        assert set((await credits(running)).values()) == {1}
        assert await messages(running) == rounds
        assert all([await who.is_eligible() for who in people])
    assert left, "no kill came between the commits and the credit"
    kills = len(MOMENTS) - MOMENTS.count(None)
    print(f"{rounds} rounds, {kills} kills, {left} credits left to the worker")
