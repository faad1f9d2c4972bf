"""Rows of challenges and phones: finding, locking, and the conditional writes whose count decides who won.

Order of locks: the person's playback row, then the challenge. Challenges are issued in `playback_sql.py`, together
with the beat that made them due; the stories around them are told in `learning/challenges.py` and `phones.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.policy.challenges import Kind
from player_server.storage.tables import challenge, course, learner, person, phone, playback, video

# Ids come back from addresses and forms; PostgreSQL would refuse a NUL in one with an error.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge as it stands; `outcome` is null while nothing was written. Times: ms of the store's clock."""

    id: str
    person_id: int
    institution_id: int
    kind: Kind
    learner_id: int
    video_id: int
    session_id: str
    issued_at: int
    deadline: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds a person's player back, and the number of its latest challenge."""

    challenge_id: str | None
    sequence: int


@dataclass(frozen=True, slots=True)
class Phone:
    """An enrolled phone."""

    id: int
    person_id: int


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """What a person has to know to bind a phone; the password only to bind another one."""

    name: str
    id_hash: str
    password_hash: str | None


async def find_challenge(conn: AsyncConnection, challenge_id: str) -> Challenge | None:
    """The challenge as the transaction sees it; None for whatever is no id."""
    if not _ID.fullmatch(challenge_id):
        return None
    c = challenge.c
    query = (
        select(
            c.id,
            c.person_id,
            learner.c.institution_id,
            c.kind,
            c.learner_id,
            c.video_id,
            c.session_id,
            c.issued_at,
            c.deadline,
            c.outcome,
        )
        .join(learner, learner.c.id == c.learner_id)
        .where(c.id == challenge_id)
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Challenge(**row._mapping)


async def lock_challenge(conn: AsyncConnection, challenge_id: str) -> tuple[Challenge, Hold] | None:
    """Lock the person's playback row; the challenge and the hold as they are under that lock."""
    found = await find_challenge(conn, challenge_id)
    if found is None:
        return None
    hold = await _lock_hold(conn, found.person_id)
    # Read again: somebody may have answered while the lock was waited for. Challenges are never deleted alone.
    locked = await find_challenge(conn, challenge_id)
    return None if locked is None else (locked, hold)


async def _lock_hold(conn: AsyncConnection, person_id: int) -> Hold:
    p = playback.c
    query = select(p.held_challenge_id, p.challenge_sequence).where(p.person_id == person_id).with_for_update()
    return Hold(*(await conn.execute(query)).one())


async def answered_since(conn: AsyncConnection, person_id: int, since_ms: int) -> bool:
    """Whether a challenge of this person was answered at `since_ms` of the store's clock or later."""
    query = (
        select(challenge.c.id)
        .where(challenge.c.person_id == person_id, challenge.c.answered_at >= since_ms)
        .limit(1)
    )
    return await conn.scalar(query) is not None


async def claim_answer(
    conn: AsyncConnection, asked: Challenge, now: int, *, phone_id: int, same_device: bool
) -> bool:
    """Answer the challenge if it is open, and clear its hold. True for exactly one caller."""
    won = await conn.execute(
        update(challenge)
        .where(challenge.c.id == asked.id, challenge.c.outcome.is_(None), challenge.c.deadline >= now)
        .values(outcome="answered", answered_at=now, phone_id=phone_id, same_device=same_device)
    )
    if won.rowcount != 1:
        return False
    own_hold = (playback.c.person_id == asked.person_id, playback.c.held_challenge_id == asked.id)
    await conn.execute(update(playback).where(*own_hold).values(held_challenge_id=None))
    return True


async def claim_missed(conn: AsyncConnection, asked: Challenge, now: int) -> bool:
    """Write down that the window passed; the hold is not touched. True for exactly one caller."""
    missed = await conn.execute(
        update(challenge)
        .where(challenge.c.id == asked.id, challenge.c.outcome.is_(None), challenge.c.deadline < now)
        .values(outcome="missed")
    )
    return missed.rowcount == 1


async def add_successor(
    conn: AsyncConnection, missed: Challenge, successor_id: str, sequence: int, kind: Kind, now: int, deadline: int
) -> None:
    """Issue the successor of a missed challenge, about the same learner, video and session, and let it hold."""
    await conn.execute(
        insert(challenge).values(
            id=successor_id,
            person_id=missed.person_id,
            sequence=sequence,
            kind=kind,
            learner_id=missed.learner_id,
            video_id=missed.video_id,
            session_id=missed.session_id,
            issued_at=now,
            deadline=deadline,
        )
    )
    await conn.execute(
        update(playback)
        .where(playback.c.person_id == missed.person_id)
        .values(held_challenge_id=successor_id, challenge_sequence=sequence)
    )


async def find_overdue(conn: AsyncConnection, now: int, limit: int) -> list[str]:
    """Ids of challenges whose window passed and was not written down, oldest first."""
    overdue = (challenge.c.outcome.is_(None), challenge.c.deadline < now)
    query = select(challenge.c.id).where(*overdue).order_by(challenge.c.deadline).limit(limit)
    return list((await conn.execute(query)).scalars())


def credential_hash(credential: str) -> str:
    """What SQL keeps of a phone's cookie: the value has 256 random bits, so a plain hash cannot be searched."""
    return sha256(credential.encode()).hexdigest()


async def find_phone(conn: AsyncConnection, credential: str) -> Phone | None:
    """The enrolled phone that holds this cookie."""
    where = (phone.c.credential_hash == credential_hash(credential), phone.c.revoked_at.is_(None))
    row = (await conn.execute(select(phone.c.id, phone.c.person_id).where(*where))).one_or_none()
    return None if row is None else Phone(*row)


async def former_owners(conn: AsyncConnection, credential: str, person_id: int) -> list[int]:
    """Other persons this cookie was enrolled for before it was revoked there."""
    where = (phone.c.credential_hash == credential_hash(credential), phone.c.person_id != person_id)
    return list((await conn.execute(select(phone.c.person_id).where(*where).distinct())).scalars())


async def has_phone(conn: AsyncConnection, person_id: int) -> bool:
    """Whether the person has an enrolled phone."""
    enrolled = exists().where(phone.c.person_id == person_id, phone.c.revoked_at.is_(None))
    return bool(await conn.scalar(select(enrolled)))


async def find_roster_entry(conn: AsyncConnection, person_id: int) -> RosterEntry:
    """What the roster says of a person."""
    p = person.c
    query = select(p.name, p.id_hash, p.password_hash).where(p.id == person_id)
    return RosterEntry(*(await conn.execute(query)).one())


async def find_titles(conn: AsyncConnection, video_id: int) -> tuple[str, str]:
    """The titles of the course and of the video."""
    query = select(course.c.title, video.c.title).join(video, video.c.course_id == course.c.id)
    course_title, video_title = (await conn.execute(query.where(video.c.id == video_id))).one()
    return course_title, video_title


async def add_phone(conn: AsyncConnection, person_id: int, credential: str, device: str, now: int) -> Phone:
    """Enrol a phone. Raises IntegrityError if the person has one, or if somebody else holds this cookie."""
    added = await conn.execute(
        insert(phone)
        .values(person_id=person_id, credential_hash=credential_hash(credential), device=device, enrolled_at=now)
        .returning(phone.c.id)
    )
    return Phone(added.scalar_one(), person_id)


async def revoke_phone(conn: AsyncConnection, person_id: int, now: int) -> bool:
    """Take the person's phone away; False if there was none."""
    revoked = await conn.execute(
        update(phone).where(phone.c.person_id == person_id, phone.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return revoked.rowcount == 1
