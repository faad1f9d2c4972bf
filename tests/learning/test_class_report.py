"""The class report: figures by the rules, on both databases; nobody of another class or institution."""

from __future__ import annotations

from sqlalchemy import select, update

from player_server.learning.class_report import class_report, classes
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.storage.clock import wall_ms
from player_server.storage.tables import audit, learner
from tests.support import school


async def test_it_counts_by_the_rules_and_is_recorded(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    lessons = await school.add_course(services, at, hours=(2000, 1200))
    for name, class_name, videos in (("张伟", "一班", 2), ("李娜", "一班", 1), ("王芳", "二班", 0)):
        pupil = await school.add_learner(services, at, name=name)
        await school.add_enrolment(services, pupil.learner_id, lessons.course_id, programme="re-issue")
        async with services.db.write() as conn:
            await conn.execute(
                update(learner).where(learner.c.id == pupil.learner_id).values(class_name=class_name)
            )
        for video_id, hours in list(zip(lessons.video_ids, (2000, 1200), strict=True))[:videos]:
            await school.add_entry(
                services, pupil.learner_id, lessons, video_id, hours, institution_id=at, occurred_at=wall_ms()
            )
    scope = StaffScope(1, at, None)
    assert [(each.name, each.learners) for each in await classes(services, scope)] == [("一班", 2), ("二班", 1)]
    found = await class_report(services, scope, "一班", address="127.0.0.1")
    assert found is not None and (found.total, found.started, found.complete) == (2, 2, 1)
    assert {each.name: (each.earned, each.required, each.missing) for each in found.members} == {
        "张伟": (3200, 3200, 0),
        "李娜": (2000, 3200, 1200),
    }
    for other in (StaffScope(1, at + 1, None), StaffScope(1, at, frozenset({"二班"})), StaffScope(1, None, None)):
        assert await class_report(services, other, "一班", address="127.0.0.1") is None
    async with services.db.read() as conn:
        noted = await conn.execute(select(audit.c.result).where(audit.c.action == "class_report.read"))
        assert noted.scalars().all() == ["2 learners"]
