"""Reminders: who is near the deadline and lacks hours, told once for each threshold, listed for whoever calls."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import msgspec
from sqlalchemy import insert, select, update

from player_server.learning import deadlines
from player_server.learning.certificates import my_programmes
from player_server.learning.deadlines import calls_page, remind_of_deadlines, reminders
from player_server.learning.roster import Filters
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from player_server.storage.tables import audit, enrolment, enrolment_course, learner, outbox
from tests.support import school

DAY_MS = 86_400_000


async def enrolled(services: Services, at: int, days_left: int | None, hours: int = 0, name: str = "张伟") -> int:
    """A learner of the re-issue programme (32 hours) with so many hundredths, due in so many days."""
    pupil = await school.add_learner(services, at, name=name)
    lessons = await school.add_course(services, at, f"课程 {pupil.learner_id}", hours=(3200,))
    deadline = None if days_left is None else wall_ms() + days_left * DAY_MS
    await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, programme="re-issue", deadline=deadline
    )
    if hours:
        await school.add_entry(
            services,
            pupil.learner_id,
            lessons,
            lessons.video_ids[0],
            hours,
            institution_id=at,
            occurred_at=wall_ms(),
        )
    return pupil.learner_id


async def told(services: Services) -> list[tuple[int, int, str]]:
    """(learner, days left, missing) of every `deadline.near`, in their order."""
    query = select(outbox.c.learner_id, outbox.c.payload).where(outbox.c.topic == "deadline.near")
    async with services.db.read() as conn:
        rows = (await conn.execute(query.order_by(outbox.c.id))).all()
    payloads = [(row.learner_id, msgspec.json.decode(row.payload)) for row in rows]
    return [(who, each["days_left"], each["missing_hours"]) for who, each in payloads]


async def test_each_threshold_is_told_once_and_only_to_who_lacks_hours(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    behind = await enrolled(services, at, 10, 1250)
    await enrolled(services, at, 10, 3200)
    await enrolled(services, at, 31)
    await enrolled(services, at, -1)
    await enrolled(services, at, None)
    await asyncio.gather(remind_of_deadlines(services), remind_of_deadlines(services))
    assert await told(services) == [(behind, 10, "19.50")]
    assert await remind_of_deadlines(services) == 0
    async with services.db.write() as conn:
        soon = update(enrolment).where(enrolment.c.learner_id == behind).values(deadline=wall_ms() + 3 * DAY_MS)
        await conn.execute(soon)
    assert await remind_of_deadlines(services) == 1
    assert [each[1] for each in await told(services)] == [10, 3]


async def test_the_programmes_own_deadline_counts_where_the_enrolment_has_none(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    today = china_day(wall_ms())
    await school.add_enrolment(
        services,
        pupil.learner_id,
        lessons.course_id,
        issue_date=today - timedelta(days=1000),
        # Jiangsu: online study is due 30 days before the registration expires.
        expiry_date=today + timedelta(days=44),
    )
    assert await remind_of_deadlines(services) == 1
    assert await told(services) == [(pupil.learner_id, 14, "40.00")]


async def test_the_learner_sees_it_and_the_finished_do_not(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    for days_left, hours, shown in ((30, 0, 1), (31, 0, 0), (-5, 100, 1), (5, 3200, 0)):
        learner_id = await enrolled(services, at, days_left, hours)
        assert len(reminders(await my_programmes(services, learner_id))) == shown, days_left


async def test_the_call_list_has_the_own_classes_nearest_first_a_page_at_a_time(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    other = await school.add_institution(services, "另一家")
    await enrolled(services, other, 1, name="司马南")
    own = [await enrolled(services, at, days, name=f"学员{days}") for days in (9, 5, 7)]
    await enrolled(services, at, 6, 3200, name="修满")
    disabled = await enrolled(services, at, 2, name="停用")
    async with services.db.write() as conn:
        await conn.execute(update(learner).where(learner.c.id == disabled).values(disabled_at=1))
        mobile = services.keys.encrypt("13900001234")
        changed = update(learner).where(learner.c.id == own[0]).values(class_name="一班", mobile_cipher=mobile)
        await conn.execute(changed)
    staff = StaffScope(1, at, None)
    page = await calls_page(services, staff, Filters(), after="", address="127.0.0.1")
    assert [each.name for each in page.calls] == ["学员5", "学员7", "学员9"] and page.after is None
    teacher = StaffScope(2, at, frozenset({"一班"}))
    page = await calls_page(services, teacher, Filters(), after="", address="127.0.0.1")
    assert [(each.name, each.mobile, each.missing, each.days_left) for each in page.calls] == [
        ("学员9", "13900001234", 3200, 9)
    ]
    async with services.db.read() as conn:
        read = select(audit.c.actor, audit.c.result).where(audit.c.action == "calls.read").order_by(audit.c.id)
        assert (await conn.execute(read)).all() == [
            ("staff:1", "3 shown, with telephone numbers"),
            ("staff:2", "1 shown, with telephone numbers"),
        ]


async def test_every_page_of_calls_goes_on_where_the_last_one_ended(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    due = [wall_ms() + (1 + number % 7) * DAY_MS for number in range(deadlines.CALLS_ON_A_PAGE + 3)]
    rows = [
        {"learner_id": pupil.learner_id, "programme": "re-issue", "deadline": each, "created_at": wall_ms()}
        for each in due
    ]
    async with services.db.write() as conn:
        wanted = list(await conn.scalars(insert(enrolment).returning(enrolment.c.id), rows))
        await conn.execute(
            insert(enrolment_course), [{"enrolment_id": each, "course_id": lessons.course_id} for each in wanted]
        )
    found: list[date] = []
    after: str | None = ""
    while after is not None:
        page = await calls_page(services, StaffScope(1, at, None), Filters(), after=after, address="")
        found += [each.due for each in page.calls]
        after = page.after
    assert found == sorted(china_day(each) for each in due)
