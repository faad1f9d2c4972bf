"""Everything a simulation needs: stores, the real product, a course, and people with accounts and log-ins."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, update

from player_server.auth.login_sessions import Client, open_login
from player_server.learning.findings import Observed, by_day
from player_server.learning.people import create_learner
from player_server.policy.id_number import check_character
from player_server.standalone.valkey import start_valkey
from player_server.storage.clock import wall_ms
from player_server.storage.findings import findings_of
from player_server.storage.progress import learners_progress
from player_server.storage.tables import enrolment, enrolment_course, ledger_entry, media, playback, video
from tests.simulator.pace import Pace
from tests.simulator.person import Account, Person, Video
from tests.support import school
from tests.support.postgres import PostgresServer
from tests.support.product import Product, product
from tests.support.quizzes import add_quiz

#: The videos' lengths, in seconds of study, over and over until the day is full.
LENGTHS_S = (420.0, 540.0, 660.0, 780.0)
#: The course is longer than the day, so that nobody runs out of videos.
SPARE = 1.3
#: Nobody's finding list is longer.
MOST_FINDINGS = 10_000
SURNAMES, GIVEN = "赵钱孙李周吴郑王冯陈", "伟芳娜敏静强磊军洋勇"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the product has stored about one person: seconds of study by video, videos with hours, findings."""

    frontiers: dict[int, float]
    watched: frozenset[int]
    credited: frozenset[int]
    findings: tuple[Observed, ...]
    held: bool  # a check is open, so nothing is credited


@dataclass(frozen=True, slots=True)
class Town:
    """A running product and its people."""

    running: Product
    pace: Pace
    people: tuple[Person, ...]

    async def stored(self, person: Person) -> Stored:
        """Look it up in the database, by the product's own queries."""
        services, account = self.running.services, person.account
        frontiers, watched = {}, set()
        async with services.db.read() as conn:
            for each in await learners_progress(conn, [account.learner_id]):
                if each.frontier_ms:
                    frontiers[each.video_id] = each.frontier_ms / 1000 * self.pace.speed
                if each.watched:
                    watched.add(each.video_id)
            credited = await conn.scalars(
                select(ledger_entry.c.video_id)
                .where(ledger_entry.c.learner_id == account.learner_id)
                .group_by(ledger_entry.c.video_id)
                .having(func.count() == 1)
            )
            findings = await findings_of(conn, account.person_id, account.learner_id, MOST_FINDINGS)
            held = await conn.scalar(
                select(playback.c.held_challenge_id).where(playback.c.person_id == account.person_id)
            )
            return Stored(
                frontiers, frozenset(watched), frozenset(credited.all()), by_day(findings), held is not None
            )

    async def close(self) -> None:
        for person in self.people:
            await person.close()


@asynccontextmanager
async def town(pace: Pace, people: int, seed: int, *, postgres: bool = False) -> AsyncIterator[Town]:
    """A town of so many people; everything is ended and removed afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xueshi-simulate-")))
        database_url = f"sqlite+aiosqlite:///{folder / 'xueshi.db'}"
        if postgres:
            server = PostgresServer()
            stack.callback(server.close)
            database_url = server.url(server.create_database())
        valkey = await start_valkey(folder / "valkey")
        try:
            async with product(database_url, valkey.url, folder, **pace.settings()) as running:
                videos = await _course(running, pace)
                accounts = await _people(running, people)
                lived = tuple(Person(running.url, account, videos, pace, seed) for account in accounts)
                made = Town(running, pace, lived)
                try:
                    yield made
                finally:
                    await made.close()
        finally:
            await valkey.stop()


async def _course(running: Product, pace: Pace) -> tuple[Video, ...]:
    lengths: list[float] = []
    while sum(lengths) < pace.end * SPARE:
        lengths.append(LENGTHS_S[len(lengths) % len(LENGTHS_S)])
    services = running.services
    lessons = await school.add_course(services, running.institution_id, hours=(50,) * len(lengths))
    videos: list[Video] = []
    for video_id, length in zip(lessons.video_ids, lengths, strict=True):
        sha = await school.media_of(services, video_id)
        async with services.db.write() as conn:
            values = {"duration_ms": round(length / pace.speed * 1000)}
            await conn.execute(update(media).where(media.c.sha == sha).values(values))
            await conn.execute(update(video).where(video.c.id == video_id).values(quiz_sha=None))
        # Every third video has no quiz.
        has_quiz = len(videos) % 3 != 2
        if has_quiz:
            await add_quiz(services, video_id)
        videos.append(Video(video_id, round(length / pace.speed * 1000) / 1000 * pace.speed, has_quiz))
    running.course_id = lessons.course_id
    return tuple(videos)


async def _people(running: Product, count: int) -> list[Account]:
    """Accounts, enrolments and log-ins. The log-in page is left out: its password hash is slow on purpose."""
    services = running.services
    accounts = []
    async with services.db.write() as conn:
        for number in range(count):
            name = SURNAMES[number % 10] + GIVEN[number // 10 % 10] + GIVEN[number // 100 % 10]
            id_number = _id_number(number)
            new = await create_learner(services, conn, running.institution_id, name=name, id_number=id_number)
            values = {"learner_id": new.learner_id, "programme": "simulated", "created_at": wall_ms()}
            enrolled = await conn.scalar(insert(enrolment).values(values).returning(enrolment.c.id))
            await conn.execute(insert(enrolment_course).values(enrolment_id=enrolled, course_id=running.course_id))
            token = await open_login(
                services,
                conn,
                person_id=new.person_id,
                learner_id=new.learner_id,
                client=Client("127.0.0.1", "simulated"),
            )
            csrf = services.keys.mac("csrf", token)
            accounts.append(Account(number, new.person_id, new.learner_id, name, id_number, token, csrf))
    return accounts


def _id_number(number: int) -> str:
    born = date(1960, 1, 1) + timedelta(days=number % 14_000)
    body = f"320102{born:%Y%m%d}{number // 14_000:03d}"
    return body + check_character(body)
