"""The made-up school: as many people as asked for, with rows that the use cases read as if they were real."""

from __future__ import annotations

from sqlalchemy import func, select

from player_server.demo.seed import VIDEOS, seed
from player_server.learning.enrolments import courses_of
from player_server.learning.people import create_learner
from player_server.learning.programme_hours import programme_hours
from player_server.learning.services import Services
from player_server.policy.id_number import check_character, check_id_number
from player_server.storage.clock import wall_ms
from player_server.storage.tables import learner, ledger_entry, person
from tests.support.fixtures import services

__all__ = ["services"]


async def test_a_seeded_school_can_be_read_judged_and_added_to(services: Services) -> None:
    made = await seed(services, 40, 4)
    again = await seed(services, 20, 4)
    assert made.password and again.password is None and made.institution_id == again.institution_id
    async with services.db.read() as conn:
        ids = list((await conn.scalars(select(learner.c.id))).all())
        ciphers = (await conn.scalars(select(person.c.id_cipher))).all()
        courses = await courses_of(conn, ids)
        judged = await programme_hours(conn, services.programmes, ids, wall_ms())
        total = await conn.scalar(select(func.sum(ledger_entry.c.hours)).where(ledger_entry.c.kind == "online"))
    assert len(ids) == len(set(ciphers)) == len(courses) == len(judged) == 60
    assert all(check_id_number(services.keys.decrypt(each)) for each in ciphers)
    assert {len(each.videos) for each in courses} == {VIDEOS}
    assert sum(each.earned for each in courses) == total
    assert any(each.complete for each in courses) and any(each.earned == 0 for each in courses)
    # The numbers that the database gives out itself go on after the seeded ones.
    async with services.db.write() as conn:
        new = await create_learner(
            services,
            conn,
            made.institution_id,
            name="张伟",
            id_number="32010219900307789" + check_character("32010219900307789"),
        )
    assert new.learner_id not in ids
