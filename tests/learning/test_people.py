"""Bringing people in, on both databases."""

import pytest
from sqlalchemy import func, select

from player_server.learning.people import AlreadyLearner, NameDiffers, UnknownCourse, create_learner, enrol
from player_server.learning.services import Services
from player_server.policy.id_number import IdNumberError
from player_server.storage.tables import enrolment, person
from tests.support import school

NUMBER = "11010519491231002X"  # The example of the standard itself.


async def test_a_new_person_gets_an_initial_secret_and_no_plain_number(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    async with services.db.write() as conn:
        new = await create_learner(services, conn, at, name="张伟", id_number=" 11010519491231002x ")
        row = (await conn.execute(select(person).where(person.c.id == new.person_id))).one()
    assert new.initial_secret is not None and row.initial_hash is not None
    assert NUMBER not in str(row) and new.initial_secret not in str(row)
    assert services.keys.decrypt(row.id_cipher) == NUMBER


async def test_a_known_person_gets_only_an_account(services: Services) -> None:
    here, there = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    async with services.db.write() as conn:
        first = await create_learner(services, conn, here, name="张伟", id_number=NUMBER)
        before = (await conn.execute(select(person))).one()
        second = await create_learner(services, conn, there, name="张 伟", id_number=NUMBER)
        after = (await conn.execute(select(person))).one()
    assert second.person_id == first.person_id and second.learner_id != first.learner_id
    assert second.initial_secret is None and before == after


async def test_errors_change_nothing_and_leave_the_transaction_usable(services: Services) -> None:
    here, there = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    async with services.db.write() as conn:
        first = await create_learner(services, conn, here, name="张伟", id_number=NUMBER)
        with pytest.raises(AlreadyLearner) as again:
            await create_learner(services, conn, here, name="张伟", id_number=NUMBER)
        assert again.value.learner_id == first.learner_id
        with pytest.raises(NameDiffers):
            await create_learner(services, conn, there, name="李娜", id_number=NUMBER)
        with pytest.raises(IdNumberError):
            await create_learner(services, conn, there, name="李娜", id_number=NUMBER[:-1] + "1")
        assert await conn.scalar(select(func.count()).select_from(person)) == 1


async def test_nobody_is_enrolled_for_another_institutions_course(services: Services) -> None:
    here, there = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    own, foreign = await school.add_course(services, here), await school.add_course(services, there)
    pupil = await school.add_learner(services, here)
    async with services.db.write() as conn:
        for wrong in ([foreign.course_id], [own.course_id, foreign.course_id], [999_999]):
            with pytest.raises(UnknownCourse):
                await enrol(services, conn, pupil.learner_id, programme="p", course_ids=wrong, deadline=None)
        assert await conn.scalar(select(func.count()).select_from(enrolment)) == 0
        await enrol(services, conn, pupil.learner_id, programme="p", course_ids=[own.course_id], deadline=5)
        assert await conn.scalar(select(enrolment.c.deadline)) == 5
