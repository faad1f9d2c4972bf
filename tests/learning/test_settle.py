"""Exactly one credit, whoever comes last; on both databases, with two servers on the same stores."""

import asyncio
import json
import random
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from sqlalchemy import Row, Table, delete, insert, select, text, update

from player_server.learning.quiz import Graded, Refused, Sheet, hand_in, open_sheet
from player_server.learning.services import Services
from player_server.learning.settle import RULE_VERSION, settle, settle_person, sweep
from player_server.storage.hints import CHANNEL
from player_server.storage.tables import (
    attempt,
    challenge,
    ledger_entry,
    outbox,
    playback,
    video,
    watch_progress,
    watch_segment,
)
from tests.support import school
from tests.support.processes import until
from tests.support.quizzes import add_quiz, right_answers, wrong_answers
from tests.support.services import close_services, make_services

ROUNDS = 200


@dataclass(frozen=True)
class Room:
    """One learner, one course; `node` is a second server. The course's last video has no quiz."""

    services: Services
    node: Services
    pupil: school.Pupil
    institution_id: int
    lessons: school.Lessons

    @property
    def learner_id(self) -> int:
        return self.pupil.learner_id

    async def credits(self) -> list[int]:
        """The videos that were credited, one for each entry."""
        return [row.video_id for row in await self.rows(ledger_entry)]

    async def rows(self, table: Table) -> list[Row]:  # type: ignore[type-arg]
        async with self.services.db.read() as conn:
            return list((await conn.execute(select(table).order_by(*table.primary_key))).all())

    async def topics(self) -> list[str]:
        return [row.topic for row in await self.rows(outbox)]

    async def change(self, table: Table, **values: object) -> None:
        async with self.services.db.write() as conn:
            await conn.execute(update(table).values(**values))

    async def watch(self, video_id: int) -> None:
        await school.add_progress(self.services, self.learner_id, video_id, school.DURATION_MS, watched_at=1_000)

    async def play(self, video_id: int, frontier_ms: int) -> None:
        """The person's one player is at this video now."""
        async with self.services.db.write() as conn:
            await conn.execute(delete(playback).where(playback.c.person_id == self.pupil.person_id))
        await school.add_playback(self.services, self.pupil, video_id, frontier_ms)

    async def sheet(self, video_id: int) -> Sheet:
        opened = await open_sheet(self.services, self.learner_id, video_id)
        assert isinstance(opened, Sheet), opened
        return opened

    async def pass_quiz(self, video_id: int, node: Services | None = None) -> Graded | Refused:
        sheet = await self.sheet(video_id)
        return await hand_in(node or self.services, self.learner_id, video_id, sheet.token, right_answers(sheet))


async def open_room(services: Services, node: Services, hours: tuple[int, ...]) -> Room:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at, hours=hours)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    for video_id in lessons.video_ids[:-1]:
        await add_quiz(services, video_id)
    return Room(services, node, pupil, at, lessons)


@pytest_asyncio.fixture
async def room(nodes: tuple[Services, Services]) -> Room:
    return await open_room(*nodes, (150, 50))


async def last_beat(node: Services, room: Room, video_id: int, *, killed: bool = False) -> None:
    """What the gateway does when a beat crosses the end: commit the beat, then settle, unless it is killed."""
    async with node.db.write() as conn:
        await conn.execute(
            update(playback)
            .where(playback.c.person_id == room.pupil.person_id)
            .values(frontier_ms=school.DURATION_MS, position_ms=school.DURATION_MS)
        )
    if not killed:
        await settle(node, room.learner_id, video_id, 1)


async def test_last_beat_and_perfect_quiz_at_the_same_instant_credit_once(
    nodes: tuple[Services, Services],
) -> None:
    """200 times, on two servers. In a third of them one side is killed: the beat's after its commit, where nobody
    but the sweep comes back to it, the quiz's anywhere, and its page sends it again."""
    services, node = nodes
    room = await open_room(services, node, (100,) * (ROUNDS + 1))
    chance = random.Random(7)
    for turn, video_id in enumerate(room.lessons.video_ids[:-1]):
        kill = ("beat", "quiz")[chance.randrange(2)] if turn % 3 == 0 else None
        await room.play(video_id, school.DURATION_MS - 5_000)
        sheet = await room.sheet(video_id)
        answers = right_answers(sheet)
        barrier = asyncio.Barrier(3)

        async def at_once(step: Coroutine[None, None, object], barrier: asyncio.Barrier = barrier) -> None:
            await barrier.wait()
            await step

        beat = last_beat(node, room, video_id, killed=kill == "beat")
        quiz = hand_in(services, room.learner_id, video_id, sheet.token, answers)
        steps = (beat, quiz) if turn % 2 else (quiz, beat)
        tasks = {step: asyncio.create_task(at_once(step)) for step in steps}
        await barrier.wait()
        if kill == "quiz" and services.db.kind == "postgresql":
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
            tasks[quiz].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[quiz]
        await tasks[beat]
        if kill == "quiz":
            await hand_in(node, room.learner_id, video_id, sheet.token, answers)
        if kill == "beat":
            await sweep(node)
    assert await room.credits() == list(room.lessons.video_ids[:-1])
    assert (await room.topics()).count("hours.credited") == ROUNDS
    assert await sweep(services) == 0


async def test_many_settlers_at_once_credit_once_and_complete_the_course_once(room: Room) -> None:
    first, last = room.lessons.video_ids
    await room.watch(first)
    await room.watch(last)
    async with room.services.db.write() as conn:
        await conn.execute(
            insert(attempt).values(
                id="a",
                learner_id=room.learner_id,
                video_id=first,
                round=1,
                quiz_sha=(await conn.scalar(select(video.c.quiz_sha).where(video.c.id == first))),
                answers="[]",
                right_count=4,
                question_count=4,
                passed=True,
                submitted_at=1,
            )
        )
    await room.play(last, school.DURATION_MS)
    done = await asyncio.gather(
        *(
            settle((room.services, room.node)[n % 2], room.learner_id, (first, last)[n % 4 // 2], 1)
            for n in range(60)
        ),
        sweep(room.services),
        sweep(room.node),
        settle_person(room.node, room.pupil.person_id),
    )
    assert sum(done) == 2
    assert sorted(await room.credits()) == [first, last]
    assert sorted(await room.topics()) == ["hours.completed", "hours.credited", "hours.credited"]


async def test_where_nobody_ever_played_settlers_still_take_turns(nodes: tuple[Services, Services]) -> None:
    """Progress without a player's row, as an import leaves it: there is no such row to lock."""
    room = await open_room(*nodes, (100,) * 5)
    async with room.services.db.write() as conn:
        await conn.execute(update(video).values(quiz_sha=None))
    for video_id in room.lessons.video_ids:
        await room.watch(video_id)
    done = await asyncio.gather(
        *(settle(nodes[n % 2], room.learner_id, room.lessons.video_ids[n % 5], 1) for n in range(50))
    )
    assert sum(done) == 5
    assert sorted(await room.credits()) == list(room.lessons.video_ids)
    assert (await room.topics()).count("hours.completed") == 1


async def test_an_entry_that_is_there_already_is_noted_and_not_written_again(room: Room) -> None:
    video_id = room.lessons.video_ids[-1]
    await room.watch(video_id)
    await school.add_entry(
        room.services, room.learner_id, room.lessons, video_id, 50, institution_id=room.institution_id
    )
    assert not await settle(room.services, room.learner_id, video_id, 1)
    assert await room.credits() == [video_id]
    assert [row.credited_at is not None for row in await room.rows(watch_progress)] == [True]
    assert await room.topics() == []


async def test_an_entry_says_what_was_earned_and_on_what_evidence(room: Room) -> None:
    video_id = room.lessons.video_ids[0]
    await room.play(video_id, school.DURATION_MS)
    for session, round_ in (("older", 1), ("other-round", 2)):
        async with room.services.db.write() as conn:
            await conn.execute(
                insert(watch_segment).values(
                    session_id=session,
                    number=1,
                    learner_id=room.learner_id,
                    video_id=video_id,
                    round=round_,
                    from_ms=0,
                    to_ms=1,
                    started_at=0,
                    ended_at=1,
                    reason="pause",
                )
            )
            await conn.execute(
                insert(challenge).values(
                    id=f"c-{session}",
                    person_id=room.pupil.person_id,
                    sequence=round_,
                    kind="attendance",
                    learner_id=room.learner_id,
                    video_id=video_id,
                    session_id=session,
                    issued_at=0,
                    deadline=1,
                    answered_at=1,
                    outcome="answered",
                )
            )
    await room.pass_quiz(video_id)
    (entry,) = await room.rows(ledger_entry)
    assert (entry.learner_id, entry.institution_id, entry.course_id) == (
        room.learner_id,
        room.institution_id,
        room.lessons.course_id,
    )
    assert (entry.kind, entry.subject, entry.hours, entry.round) == ("online", "professional", 150, 1)
    assert (entry.entry_type, entry.rule_version, entry.reverses) == ("credit", RULE_VERSION, None)
    (sent,) = await room.rows(attempt)
    assert json.loads(entry.evidence) == {
        "sessions": ["older", "s"],
        "challenges": ["c-older"],
        "attempt": sent.id,
    }
    (message,) = await room.rows(outbox)
    payload = json.loads(message.payload)
    assert (payload["entry"], payload["hours"], payload["learner"]) == (entry.id, "1.50", room.learner_id)


async def test_a_credit_is_announced_after_the_commit(room: Room) -> None:
    async with room.services.redis.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        await subscription.get_message(timeout=5)
        await room.watch(room.lessons.video_ids[0])
        await room.pass_quiz(room.lessons.video_ids[0])
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    hint = json.loads(message["data"])
    assert (hint["what"], hint["person_id"]) == ("credited", room.pupil.person_id)
    assert (hint["video_id"], hint["hours"]) == (room.lessons.video_ids[0], "1.50")


async def test_without_redis_the_hours_are_credited_all_the_same(
    room: Room, database_url: str, tmp_path: Path
) -> None:
    away = await make_services(database_url, "redis://127.0.0.1:1", tmp_path)
    await room.watch(room.lessons.video_ids[0])
    result = await room.pass_quiz(room.lessons.video_ids[0], away)
    await close_services(away)
    assert isinstance(result, Graded) and result.credited


async def test_a_video_without_a_quiz_needs_only_to_be_watched(room: Room) -> None:
    video_id = room.lessons.video_ids[-1]
    await room.play(video_id, school.DURATION_MS - 501)
    assert not await settle(room.services, room.learner_id, video_id, 1)
    await room.play(video_id, school.DURATION_MS - 500)
    assert await settle(room.services, room.learner_id, video_id, 1)
    assert not await settle(room.services, room.learner_id, video_id, 1)
    assert await room.credits() == [video_id]
    (progress,) = await room.rows(watch_progress)
    assert progress.watched_at and progress.credited_at


async def test_a_failed_quiz_credits_nothing(room: Room) -> None:
    video_id = room.lessons.video_ids[0]
    await room.watch(video_id)
    sheet = await room.sheet(video_id)
    await hand_in(room.services, room.learner_id, video_id, sheet.token, wrong_answers(sheet))
    assert not await settle(room.services, room.learner_id, video_id, 1)
    assert await sweep(room.services) == 0
    assert await room.credits() == []


async def test_an_open_check_holds_every_video_back_until_it_is_cleared(room: Room) -> None:
    first, last = room.lessons.video_ids
    await room.watch(first)
    await room.play(last, school.DURATION_MS)
    await room.change(playback, held_challenge_id="c")
    await room.pass_quiz(first)
    assert not await settle(room.services, room.learner_id, last, 1)
    assert await settle_person(room.services, room.pupil.person_id) == 0
    assert await sweep(room.services) == 0
    assert await room.credits() == []
    await room.change(playback, held_challenge_id=None)
    assert await settle_person(room.services, room.pupil.person_id) == 2
    assert await settle_person(room.services, room.pupil.person_id) == 0
    assert sorted(await room.credits()) == [first, last]


async def test_a_check_that_is_issued_meanwhile_is_waited_for(room: Room) -> None:
    if room.services.db.kind == "sqlite":
        return  # One writer at a time is the law there.
    video_id = room.lessons.video_ids[-1]
    await room.play(video_id, school.DURATION_MS)
    async with room.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id="c"))
        settling = asyncio.create_task(settle(room.node, room.learner_id, video_id, 1))

        async def waits() -> bool:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return settling.done() or bool(await conn.scalar(waiting))

        await until(waits)
        assert not settling.done()
    assert not await settling
    assert await room.credits() == []


async def test_another_persons_open_check_holds_nobody_else(room: Room) -> None:
    other = await school.add_learner(room.services, room.institution_id)
    await school.add_playback(room.services, other, room.lessons.video_ids[0], 0)
    await room.change(playback, held_challenge_id="c")
    await room.watch(room.lessons.video_ids[-1])
    assert await settle_person(room.services, other.person_id) == 0
    assert await sweep(room.services) == 1


async def test_the_sweep_credits_what_a_crash_left_in_the_players_row(room: Room) -> None:
    """Killed after the last beat and the right quiz were committed and before either settled."""
    first, last = room.lessons.video_ids
    await room.play(first, school.DURATION_MS - 5_000)
    await room.pass_quiz(first)
    await room.change(playback, frontier_ms=school.DURATION_MS, ended_reason="silent")
    assert await room.credits() == []
    await room.watch(last)
    assert await sweep(room.services) == 2
    assert await sweep(room.services) == 0
    assert sorted(await room.credits()) == [first, last]
    assert (await room.topics()).count("hours.completed") == 1


async def test_a_new_round_is_credited_again_and_an_old_one_is_not(room: Room) -> None:
    video_id = room.lessons.video_ids[0]
    await room.watch(video_id)
    await room.pass_quiz(video_id)
    await school.add_progress(room.services, room.learner_id, video_id, 0, round=2)
    assert await sweep(room.services) == 0
    await room.change(watch_progress, watched_at=1_000)
    assert not await settle(room.services, room.learner_id, video_id, 2)
    await room.pass_quiz(video_id)
    assert [entry.round for entry in await room.rows(ledger_entry)] == [1, 2]


async def test_another_institutions_learner_is_never_credited(room: Room) -> None:
    elsewhere = await school.add_institution(room.services, "另一家")
    stranger = await school.add_learner(room.services, elsewhere)
    await school.add_progress(
        room.services, stranger.learner_id, room.lessons.video_ids[-1], school.DURATION_MS, watched_at=1
    )
    assert not await settle(room.services, stranger.learner_id, room.lessons.video_ids[-1], 1)
    assert await room.credits() == []


async def test_a_locked_player_delays_only_its_own_learner(room: Room) -> None:
    if room.services.db.kind == "sqlite":
        return  # One writer at a time is the law there.
    other = await school.add_learner(room.services, room.institution_id)
    await school.add_progress(
        room.services, other.learner_id, room.lessons.video_ids[-1], school.DURATION_MS, watched_at=1
    )
    await room.play(room.lessons.video_ids[-1], school.DURATION_MS)
    async with room.services.db.write() as conn:
        await conn.execute(select(playback).where(playback.c.person_id == room.pupil.person_id).with_for_update())
        waiting = asyncio.create_task(settle(room.node, room.learner_id, room.lessons.video_ids[-1], 1))
        assert await settle(room.services, other.learner_id, room.lessons.video_ids[-1], 1)
        assert not waiting.done()
    assert await waiting
