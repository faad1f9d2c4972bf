"""A learner who is held by a challenge, and the browsers that may or may not answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, insert, select, update

from player_server.learning.challenges import Browser, new_challenge_id
from player_server.learning.services import Services
from player_server.policy.challenges import Kind
from player_server.storage.challenges import add_phone, credential_hash
from player_server.storage.tables import audit, challenge, finding, phone, playback
from tests.support import school

NAME = "欧阳小明"
NUMBER = "320102199003077896"
PHONE_AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
COMPUTER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


@dataclass(frozen=True, slots=True)
class Class:
    """An institution with one course, where learners are added."""

    services: Services
    institution_id: int
    lessons: school.Lessons


@dataclass(frozen=True, slots=True)
class Check:
    """One learner with a player that is held by `challenge_id`."""

    services: Services
    pupil: school.Pupil
    video_id: int
    challenge_id: str

    async def row(self, challenge_id: str | None = None) -> Row[Any]:
        """The challenge as it stands in SQL."""
        async with self.services.db.read() as conn:
            query = select(challenge).where(challenge.c.id == (challenge_id or self.challenge_id))
            return (await conn.execute(query)).one()

    async def all_rows(self) -> Sequence[Row[Any]]:
        return await self._own(challenge)

    async def held(self) -> str | None:
        """What holds the player back."""
        held: str | None = (await self._own(playback))[0].held_challenge_id
        return held

    async def findings(self) -> dict[str, int]:
        """Kind → how often, of this person."""
        return {row.kind: row._mapping["count"] for row in await self._own(finding)}

    async def phones(self) -> Sequence[Row[Any]]:
        return await self._own(phone)

    async def audited(self) -> list[str]:
        """The results in the audit trail of this person, in order."""
        async with self.services.db.read() as conn:
            query = select(audit.c.result).where(audit.c.actor == f"person:{self.pupil.person_id}")
            return list((await conn.execute(query.order_by(audit.c.id))).scalars())

    async def move(self, *, issued_ago: int = 0, left: int) -> None:
        """Set when it was issued and how many ms are left, by the store's clock."""
        async with self.services.db.write() as conn:
            now = (await self.services.clock.read(conn)).ms
            times = {"issued_at": now - issued_ago, "deadline": now + left}
            await conn.execute(update(challenge).where(challenge.c.id == self.challenge_id).values(**times))

    async def enrol(self, browser: Browser) -> None:
        """Make this browser the learner's phone, as an earlier identity check would have."""
        async with self.services.db.write() as conn:
            await add_phone(conn, self.pupil.person_id, browser.credential, browser.device, 1_000)

    async def _own(self, table: Table) -> Sequence[Row[Any]]:
        async with self.services.db.read() as conn:
            query = select(table).where(table.c.person_id == self.pupil.person_id)
            return (await conn.execute(query.order_by(*table.primary_key))).all()


async def open_class(services: Services) -> Class:
    institution_id = await school.add_institution(services, "示例培训学校")
    return Class(services, institution_id, await school.add_course(services, institution_id, hours=(100, 50)))


async def hold(room: Class, kind: Kind = "attendance", *, name: str = NAME, number: str | None = None) -> Check:
    """A new learner whose player is held since this moment, as the committer does it."""
    services = room.services
    person_id = await school.add_person(services, name, number)
    pupil = await school.add_learner(services, room.institution_id, person_id=person_id)
    await school.add_enrolment(services, pupil.learner_id, room.lessons.course_id)
    video_id = room.lessons.video_ids[-1]
    await school.add_playback(services, pupil, video_id, 20_000)
    challenge_id = new_challenge_id()
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await conn.execute(
            insert(challenge).values(
                id=challenge_id,
                person_id=person_id,
                sequence=1,
                kind=kind,
                learner_id=pupil.learner_id,
                video_id=video_id,
                session_id="s",
                issued_at=now,
                deadline=now + 120_000,
            )
        )
        await conn.execute(
            update(playback)
            .where(playback.c.person_id == person_id)
            .values(held_challenge_id=challenge_id, challenge_sequence=1)
        )
    return Check(services, pupil, video_id, challenge_id)


def phone_browser(credential: str, *, login_person_id: int | None = None) -> Browser:
    """A browser on a phone."""
    return Browser(credential, login_person_id, PHONE_AGENT, "127.0.0.1")


def computer_browser(credential: str, *, login_person_id: int | None = None) -> Browser:
    """A browser on a computer."""
    return Browser(credential, login_person_id, COMPUTER_AGENT, "127.0.0.1")


async def owner_of(services: Services, credential: str) -> list[int]:
    """Who has this cookie enrolled now."""
    async with services.db.read() as conn:
        query = select(phone.c.person_id).where(
            phone.c.credential_hash == credential_hash(credential), phone.c.revoked_at.is_(None)
        )
        return list((await conn.execute(query)).scalars())
