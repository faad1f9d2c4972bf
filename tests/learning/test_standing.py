"""Roll-ups follow what they are made of: enrolments, credits, reversals, videos, classes, on both databases."""

from typing import Any

from sqlalchemy import delete, func, select, update

from player_server.learning.concerns import State, state_case
from player_server.learning.enrolments import courses_of
from player_server.learning.roster import Filters, roster_where
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.learning.standing import follow_changes
from player_server.policy.findings import DAY_MS, china_day
from player_server.storage.clock import wall_ms
from player_server.storage.standing_tables import course_standing, daily_hours, standing, standing_change
from player_server.storage.tables import enrolment, learner, person, video
from tests.support import school


async def standing_of(services: Services, learner_id: int) -> Any:
    while await follow_changes(services):
        pass
    async with services.db.read() as conn:
        query = select(standing, state_case(wall_ms()).label("state")).where(standing.c.learner_id == learner_id)
        return (await conn.execute(query)).one()


async def change(services: Services, statement: Any) -> None:
    async with services.db.write() as conn:
        await conn.execute(statement)


async def test_a_learners_standing_follows_enrolment_credit_reversal_and_videos(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at, class_name="一班")
    row = await standing_of(services, pupil.learner_id)
    assert (row.class_name, row.name, row.state) == ("一班", "张伟", State.NO_COURSE)
    lessons = await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, deadline=wall_ms() + DAY_MS)
    row = await standing_of(services, pupil.learner_id)
    assert (row.required, row.earned, row.courses, row.state) == (150, 0, 1, State.NOT_STARTED)
    first, second = lessons.video_ids
    entry = await school.add_entry(
        services, pupil.learner_id, lessons, first, 100, institution_id=at, occurred_at=wall_ms()
    )
    row = await standing_of(services, pupil.learner_id)
    assert (row.earned, row.complete, row.state) == (100, False, State.ON_TIME)
    await change(services, update(video).where(video.c.id == second).values(withdrawn_at=1))
    row = await standing_of(services, pupil.learner_id)
    assert (row.required, row.complete, row.state) == (100, True, State.COMPLETE)
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        first,
        -100,
        institution_id=at,
        entry_type="reversal",
        reverses=entry,
        occurred_at=wall_ms(),
    )
    row = await standing_of(services, pupil.learner_id)
    assert (row.earned, row.state) == (0, State.NOT_STARTED)
    async with services.db.read() as conn:
        day = (await conn.execute(select(daily_hours))).one()
        assert (day.institution_id, day.class_name, day.day, day.hours) == (at, "一班", china_day(wall_ms()), 0)


async def test_the_roll_up_says_what_the_learners_own_page_says(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    one, two = (
        await school.add_course(services, at, "甲"),
        await school.add_course(services, at, "乙", hours=(200, 300)),
    )
    pupils = [await school.add_learner(services, at) for _ in range(3)]
    for number, pupil in enumerate(pupils):
        await school.add_enrolment(services, pupil.learner_id, one.course_id, two.course_id)
        for video_id, hours in zip((*one.video_ids, *two.video_ids), (100, 50, 200, 300), strict=True):
            if video_id % 3 <= number:
                await school.add_entry(services, pupil.learner_id, one, video_id, hours, institution_id=at)
    # A new round without a reversal: what was credited stays in the ledger, the round has to be earned anew.
    await school.add_progress(services, pupils[2].learner_id, one.video_ids[0], 5_000, round=2)
    for pupil in pupils:
        row = await standing_of(services, pupil.learner_id)
        async with services.db.read() as conn:
            courses = await courses_of(conn, [pupil.learner_id])
            query = select(course_standing).where(course_standing.c.learner_id == pupil.learner_id)
            parts = {each.course_id: each for each in await conn.execute(query)}
        assert row.required == sum(each.required for each in courses)
        assert row.earned == sum(each.earned for each in courses)
        assert row.complete == all(each.complete for each in courses)
        assert {each.course_id: each.earned for each in courses} == {key: row.earned for key, row in parts.items()}


async def test_state_by_deadline_and_share_of_time(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    lessons = await school.add_course(services, at)
    now = wall_ms()
    seen = {}
    for name, deadline, begins, missing in (
        ("late", now - 1_000, now - DAY_MS, False),
        ("behind", now + 1 * DAY_MS, now - 9 * DAY_MS, False),
        ("on_time", now + 9 * DAY_MS, now - 1 * DAY_MS, False),
        ("offline_missing", now + 9 * DAY_MS, now - 1 * DAY_MS, True),
    ):
        pupil = await school.add_learner(services, at)
        enrolled = await school.add_enrolment(
            services, pupil.learner_id, lessons.course_id, deadline=deadline, offline_missing=missing
        )
        await change(services, update(enrolment).where(enrolment.c.id == enrolled).values(created_at=begins))
        await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[1], 50, institution_id=at)
        seen[name] = (await standing_of(services, pupil.learner_id)).state
    assert seen == {name: name for name in seen}


async def test_class_name_and_disabling_are_there_at_once(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    await change(
        services, update(learner).where(learner.c.id == pupil.learner_id).values(class_name="二班", disabled_at=1)
    )
    await change(services, update(person).where(person.c.id == pupil.person_id).values(name="李娜"))
    async with services.db.read() as conn:
        row = (await conn.execute(select(standing))).one()
    assert (row.class_name, row.name, bool(row.disabled)) == ("二班", "李娜", True)
    await change(services, delete(learner).where(learner.c.id == pupil.learner_id))
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(standing)) == 0


async def test_a_change_is_worked_off_once(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[0], 100, institution_id=at)
    assert await follow_changes(services) > 0
    assert await follow_changes(services) == 0
    async with services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(standing_change)) == 0
        assert await conn.scalar(select(func.sum(daily_hours.c.hours))) == 100


async def test_filters_find_whom_they_name_within_the_scope(services: Services) -> None:
    at, other = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    lessons = await school.add_course(services, at)
    pupils = [await school.add_learner(services, at, class_name=name) for name in ("一班", "二班", None)]
    foreign = await school.add_learner(services, other, class_name="一班")
    await school.add_enrolment(services, pupils[0].learner_id, lessons.course_id)
    await standing_of(services, pupils[0].learner_id)

    async def found(scope: StaffScope, filters: Filters) -> list[int]:
        async with services.db.read() as conn:
            query = select(learner.c.id).where(*roster_where(services, scope, filters)).order_by(learner.c.id)
            return list((await conn.scalars(query)).all())

    ids = [each.learner_id for each in pupils]
    own = StaffScope(1, at, None)
    teacher = StaffScope(2, at, frozenset({"一班"}))
    assert await found(own, Filters()) == ids
    assert await found(own, Filters(class_name="一班")) == ids[:1]
    assert await found(own, Filters(class_name="-")) == ids[2:]
    assert await found(own, Filters(state=State.NOT_STARTED, course_id=lessons.course_id)) == ids[:1]
    assert await found(own, Filters(state=State.NO_COURSE)) == ids[1:]
    assert await found(teacher, Filters()) == ids[:1]
    assert await found(teacher, Filters(class_name="二班")) == []
    assert await found(StaffScope(3, at, frozenset()), Filters()) == []
    assert await found(StaffScope(4, None, None), Filters(class_name="一班")) == [ids[0], foreign.learner_id]
