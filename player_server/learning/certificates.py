"""Certificates (学时证明): issued once for what a programme asks for, shown, judged by the ledger of the moment.

A certificate is valid while every ledger entry that it was issued on stands. Nobody writes that down: each reader
works it out from the ledger, so it cannot be stale. What one says is in `policy/certificates.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.roster import Filters, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.certificates import Content, content_of, covers, make_number, stands
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.policy.programmes import Kind
from player_server.storage import audit
from player_server.storage.certificate_tables import certificate
from player_server.storage.tables import enrolment, institution, learner, ledger_entry, person

PAGE_SIZE = 50
_NUMBER_BYTES = 10


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate as its owner and the institution may read it. The ID number is masked; times in UTC ms.

    `revoked_at`: when the first entry that it was issued on was reversed; 0 if an entry is not there at all.
    """

    number: str
    learner_id: int
    enrolment_id: int
    institution_name: str
    class_name: str | None
    name: str
    masked_id: str
    programme: str
    rule_version: str
    content: Content
    issued_at: int
    revoked_at: int | None

    @property
    def valid(self) -> bool:
        return self.revoked_at is None

    @property
    def masked_name(self) -> str:
        return mask_name(self.name)


@dataclass(frozen=True, slots=True)
class MyProgramme:
    """An enrolment as far as certificates go. `current`: the one for what is asked for today, if it was issued and
    stands; `older`: all others, newest first."""

    hours: ProgrammeHours
    current: Certificate | None
    older: tuple[Certificate, ...]

    @property
    def may_issue(self) -> bool:
        """Everything is there, and nothing was issued for it yet."""
        return self.current is None and self.hours.evaluation.complete


@dataclass(frozen=True, slots=True)
class CertificatesPage:
    """PAGE_SIZE certificates of `total`, newest first; `number` from 1 to `pages`."""

    certificates: tuple[Certificate, ...]
    total: int
    number: int
    pages: int


class NotComplete(Exception):
    """The programme still asks for something."""


@dataclass
class Standing:
    """A learner's ledger entries: which stand, and when the others were reversed (UTC ms)."""

    ids: set[int] = field(default_factory=set)
    reversed_at: dict[int, int] = field(default_factory=dict)


async def my_programmes(services: Services, learner_id: int) -> list[MyProgramme]:
    """Every enrolment that can be judged today, with its certificates."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        hours = await programme_hours(conn, services.programmes, [learner_id], now)
        rows = await _read(services, conn, certificate.c.learner_id == learner_id)
    found = []
    for each in hours:
        wanted = covers(each.evaluation)
        own = [(row, one) for row, one in rows if one.enrolment_id == each.enrolment_id]
        current = next((one for row, one in own if row.covers == wanted and one.valid), None)
        found.append(MyProgramme(each, current, tuple(one for _row, one in own if one is not current)))
    return found


async def issue(
    services: Services, *, learner_id: int, person_id: int, enrolment_id: int, address: str
) -> str | None:
    """The number of the certificate for all that this enrolment's programme asks for today; made if there is none.

    None if the learner has no such enrolment that can be judged. Raises NotComplete. However often it is called,
    one set of hours has one certificate; only after a reversal, once the hours are there again, there is another.
    """
    async with services.db.write() as conn:
        # Two clicks at once: the second one waits here and finds the first one's certificate.
        lock = select(enrolment).where(enrolment.c.id == enrolment_id, enrolment.c.learner_id == learner_id)
        enrolled = (await conn.execute(lock.with_for_update())).one_or_none()
        if enrolled is None:
            return None
        now = (await services.clock.read(conn)).ms
        judged = await programme_hours(conn, services.programmes, [learner_id], now)
        hours = next((each for each in judged if each.enrolment_id == enrolment_id), None)
        if hours is None:
            return None
        if not hours.evaluation.complete:
            raise NotComplete
        wanted = covers(hours.evaluation)
        earlier = await _read(
            services, conn, certificate.c.enrolment_id == enrolment_id, certificate.c.covers == wanted
        )
        for _row, each in earlier:
            if each.valid:
                return each.number
        ledger = (await ledger_of(conn, [learner_id])).get(learner_id, {})
        number = make_number(secrets.token_bytes(_NUMBER_BYTES))
        institution_id = await conn.scalar(select(learner.c.institution_id).where(learner.c.id == learner_id))
        await conn.execute(
            insert(certificate).values(
                number=number,
                institution_id=institution_id,
                learner_id=learner_id,
                enrolment_id=enrolment_id,
                programme=hours.programme.id,
                rule_version=hours.programme.version,
                covers=wanted,
                edition=1 + len(earlier),
                content=encode(content_for(hours, ledger, enrolled)),
                issued_at=now,
            )
        )
        await audit.record(
            conn,
            at=now,
            actor=f"person:{person_id}",
            institution_id=institution_id,
            action="certificate.issue",
            target=f"learner:{learner_id}",
            result=f"enrolment {enrolment_id}, edition {1 + len(earlier)}",
            address=address,
        )
    return number


async def own_certificate(services: Services, learner_id: int, number: str) -> Certificate | None:
    """One of the learner's own; None alike for foreign and for absent ones."""
    async with services.db.read() as conn:
        rows = await _read(services, conn, certificate.c.number == number, certificate.c.learner_id == learner_id)
    return rows[0][1] if rows else None


async def verify(services: Services, number: str) -> Certificate | None:
    """What the public may ask about a number. The door shows the masked name only, and no ID number."""
    async with services.db.read() as conn:
        rows = await _read(services, conn, certificate.c.number == number)
    return rows[0][1] if rows else None


async def staff_certificate(
    services: Services, scope: StaffScope, number: str, *, address: str
) -> Certificate | None:
    """One of a learner in this scope; None alike for foreign and for absent ones. Each reading is recorded."""
    async with services.db.read() as conn:
        rows = await _read(services, conn, certificate.c.number == number, *scope.learners())
    found = rows[0][1] if rows else None
    if found is not None:
        await _note(services, scope, "certificate.read", f"learner:{found.learner_id}", "shown", address)
    return found


async def certificates_page(
    services: Services, scope: StaffScope, filters: Filters, *, number: int, address: str
) -> CertificatesPage:
    """Certificates of the learners of this scope that fit. A page beyond the last one is the last one."""
    where = roster_where(services, scope, filters)
    count = select(func.count()).select_from(certificate).join(learner, learner.c.id == certificate.c.learner_id)
    async with services.db.read() as conn:
        total = int(await conn.scalar(count.where(*where)) or 0)
        pages = max(1, -(-total // PAGE_SIZE))
        number = max(1, min(number, pages))
        rows = await _read(services, conn, *where, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE)
    await _note(services, scope, "certificate.list", None, f"{len(rows)} of {total}", address)
    return CertificatesPage(tuple(each for _row, each in rows), total, number, pages)


async def _note(
    services: Services, scope: StaffScope, action: str, target: str | None, result: str, address: str
) -> None:
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            institution_id=scope.institution_id,
            action=action,
            target=target,
            result=result,
            address=address,
        )


def content_for(hours: ProgrammeHours, ledger: Mapping[int, tuple[Kind, int]], enrolled: Any) -> Content:
    """What a certificate on these hours says. `enrolled`: the row of the enrolment."""
    return content_of(
        hours.evaluation,
        hours.programme.programme.name,
        ledger,
        issued_on=enrolled.issue_date,
        expires_on=enrolled.expiry_date,
    )


def encode(content: Content) -> str:
    """As it is kept: JSON with sorted keys."""
    return msgspec.json.encode(content, order="sorted").decode()


def decode(content: str) -> Content:
    """The reverse of `encode`."""
    return msgspec.json.decode(content, type=Content)


async def ledger_of(conn: AsyncConnection, learner_ids: Collection[int]) -> dict[int, dict[int, tuple[Kind, int]]]:
    """Of each learner: ledger entry → its kind and hours (hundredths)."""
    row = ledger_entry.c
    found: dict[int, dict[int, tuple[Kind, int]]] = {}
    query = select(row.learner_id, row.id, row.kind, row.hours).where(row.learner_id.in_(learner_ids))
    for learner_id, entry_id, kind, hours in await conn.execute(query):
        found.setdefault(learner_id, {})[entry_id] = (kind, hours)
    return found


async def standing_of(conn: AsyncConnection, learner_ids: Collection[int]) -> dict[int, Standing]:
    """Of each learner: what of the ledger stands. A reversal that names no entry takes back the credit of its video
    and round, as in `learning/programme_hours.py`."""
    row = ledger_entry.c
    query = select(
        row.id, row.learner_id, row.video_id, row.round, row.entry_type, row.occurred_at, row.reverses
    ).where(row.learner_id.in_(learner_ids))
    rows = (await conn.execute(query)).all()
    credits = {
        (each.learner_id, each.video_id, each.round): each.id
        for each in rows
        if each.entry_type == "credit" and each.video_id is not None
    }
    found = {learner_id: Standing() for learner_id in learner_ids}
    for each in rows:
        standing = found[each.learner_id]
        if each.entry_type == "credit":
            standing.ids.add(each.id)
            continue
        reverses = each.reverses or credits.get((each.learner_id, each.video_id, each.round))
        if reverses is not None:
            standing.reversed_at[reverses] = each.occurred_at
    for standing in found.values():
        standing.ids -= standing.reversed_at.keys()
    return found


def _query(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return (
        select(
            certificate,
            institution.c.name.label("institution_name"),
            learner.c.class_name,
            person.c.name,
            person.c.id_cipher,
        )
        .join(institution, institution.c.id == certificate.c.institution_id)
        .join(learner, learner.c.id == certificate.c.learner_id)
        .join(person, person.c.id == learner.c.person_id)
        .where(*where)
        .order_by(certificate.c.issued_at.desc(), certificate.c.id.desc())
    )


async def _read(
    services: Services,
    conn: AsyncConnection,
    *where: ColumnElement[bool],
    limit: int | None = None,
    offset: int = 0,
) -> list[tuple[Any, Certificate]]:
    """(row, certificate), newest first."""
    rows = (await conn.execute(_query(*where).limit(limit).offset(offset))).all()
    standing = await standing_of(conn, {row.learner_id for row in rows})
    return [(row, _certificate(services, row, standing[row.learner_id])) for row in rows]


def _certificate(services: Services, row: Any, standing: Standing) -> Certificate:
    content = decode(row.content)
    revoked_at = None
    if not stands(content.entries, standing.ids):
        revoked_at = min(
            (standing.reversed_at[each] for each in content.entries if each in standing.reversed_at), default=0
        )
    return Certificate(
        number=row.number,
        learner_id=row.learner_id,
        enrolment_id=row.enrolment_id,
        institution_name=row.institution_name,
        class_name=row.class_name,
        name=row.name,
        masked_id=mask_id_number(services.keys.decrypt(row.id_cipher)),
        programme=row.programme,
        rule_version=row.rule_version,
        content=content,
        issued_at=row.issued_at,
        revoked_at=revoked_at,
    )
