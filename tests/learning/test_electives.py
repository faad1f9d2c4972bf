"""Electives: offered where the programme counts them, added by the learner, never foreign or of another trade."""

from __future__ import annotations

from datetime import date

from sqlalchemy import update

from player_server.learning.electives import add_elective, electives_of, has_electives
from player_server.learning.enrolments import may_watch, my_courses
from player_server.learning.services import Services
from player_server.storage.tables import course
from tests.support import school
from tests.support.hours import JIANGSU, JIANGXI, MOHURD

ISSUED, EXPIRES = date(2024, 6, 1), date(2027, 5, 31)


async def elective(
    services: Services, at: int, title: str, specialty: str = "建筑工程", subject: str = "elective"
) -> school.Lessons:
    lessons = await school.add_course(services, at, title, specialty=specialty)
    async with services.db.write() as conn:
        await conn.execute(update(course).where(course.c.id == lessons.course_id).values(subject=subject))
    return lessons


async def add(services: Services, pupil: school.Pupil, enrolment_id: int, course_id: int) -> bool:
    return await add_elective(
        services,
        learner_id=pupil.learner_id,
        person_id=pupil.person_id,
        enrolment_id=enrolment_id,
        course_id=course_id,
        address="127.0.0.1",
    )


def test_only_a_programme_that_asks_for_them_has_electives() -> None:
    assert has_electives(JIANGSU)
    assert not has_electives(MOHURD) and not has_electives(JIANGXI)


async def test_a_learner_adds_an_elective_and_may_watch_it(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    enrolment_id = await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    wanted = await elective(services, at, "绿色建筑")
    (offered,) = await electives_of(services, pupil.learner_id)
    assert (offered.course_id, offered.videos, offered.hours) == (wanted.course_id, 2, 150)
    assert await add(services, pupil, enrolment_id, wanted.course_id)
    assert await electives_of(services, pupil.learner_id) == []
    assert not await add(services, pupil, enrolment_id, wanted.course_id)
    assert {each.title for each in await my_courses(services, pupil.learner_id)} == {"安全生产", "绿色建筑"}
    async with services.db.read() as conn:
        right = await may_watch(conn, pupil.learner_id, wanted.video_ids[0])
    assert not isinstance(right, str)


async def test_nothing_else_can_be_added(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    other = await school.add_institution(services, "另一家")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    enrolment_id = await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    plain = await school.add_enrolment(services, pupil.learner_id, lessons.course_id, programme="re-issue")
    closed = await elective(services, at, "已关闭")
    async with services.db.write() as conn:
        await conn.execute(update(course).where(course.c.id == closed.course_id).values(closed_at=1))
    stranger = await school.add_learner(services, at)
    theirs = await school.add_enrolment(
        services, stranger.learner_id, lessons.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    good = await elective(services, at, "绿色建筑")
    for enrolled, course_id in (
        (enrolment_id, (await elective(services, other, "别家的")).course_id),
        (enrolment_id, (await elective(services, at, "矿业", specialty="矿业工程")).course_id),
        (enrolment_id, (await elective(services, at, "专业", subject="professional")).course_id),
        (enrolment_id, closed.course_id),
        (plain, good.course_id),
        (theirs, good.course_id),
    ):
        assert not await add(services, pupil, enrolled, course_id)
    assert [each.course_id for each in await electives_of(services, pupil.learner_id)] == [good.course_id]
