"""The initial secrets of people whom an import brought in: made when they are shown, kept only as keyed hashes.

So no secret waits anywhere for somebody to print it. Shown once more they are new ones, and the printed ones of
people who have not logged in yet are good for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from player_server.auth.initial_secrets import initial_hash, new_initial_secret
from player_server.learning.imports import Uploader
from player_server.learning.services import Services
from player_server.policy.id_number import mask_id_number
from player_server.storage import audit, import_rows
from player_server.storage.import_tables import import_row, import_run
from player_server.storage.tables import learner, person

#: Persons in one transaction.
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SecretLine:
    """One slip of the sheet. The name is whole: it is handed to this person."""

    class_name: str
    name: str
    masked_id: str
    secret: str


async def give_secrets(
    services: Services, who: Uploader, import_id: int, *, again: bool
) -> Sequence[SecretLine] | None:
    """New initial secrets for everybody of an applied import who has none in use; by class and name.

    None if there is no such import, or if they were shown before and `again` does not say that this is meant.
    """
    async with services.db.write() as conn:
        found = await import_rows.find_run(conn, import_id, who.institution_id)
        if found is None or found["state"] != "applied" or (found["secrets_at"] is not None and not again):
            return None
        now = (await services.clock.read(conn)).ms
        await conn.execute(update(import_run).where(import_run.c.id == import_id).values(secrets_at=now))
        await audit.record(
            conn,
            at=now,
            actor=f"staff:{who.staff_id}",
            institution_id=who.institution_id,
            action="print_initial_secrets",
            target=f"import:{import_id}",
            result="again" if found["secrets_at"] else "first",
            address=who.address,
        )
    async with services.db.read() as conn:
        rows = (
            await conn.execute(
                select(person.c.id, person.c.name, person.c.id_cipher, learner.c.class_name)
                .select_from(import_row)
                .join(learner, learner.c.id == import_row.c.learner_id)
                .join(person, person.c.id == learner.c.person_id)
                .where(
                    import_row.c.import_id == import_id,
                    import_row.c.new_person,
                    learner.c.institution_id == who.institution_id,
                    person.c.password_hash.is_(None),
                )
            )
        ).all()
    secrets = {row.id: new_initial_secret() for row in rows}
    ids = sorted(secrets)
    for start in range(0, len(ids), AT_ONCE):
        piece = ids[start : start + AT_ONCE]
        hashes = [{"whose": each, "hash": initial_hash(services.keys, secrets[each])} for each in piece]
        statement = (
            update(person)
            .where(person.c.id == bindparam("whose"), person.c.password_hash.is_(None))
            .values(initial_hash=bindparam("hash"))
        )
        async with services.db.write() as conn:
            await conn.execute(statement, hashes)
    lines = [
        SecretLine(
            row.class_name or "", row.name, mask_id_number(services.keys.decrypt(row.id_cipher)), secrets[row.id]
        )
        for row in rows
    ]
    return sorted(lines, key=lambda each: (each.class_name, each.name, each.masked_id))
