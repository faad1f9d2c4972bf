"""Courses of a learner and the right to watch, on both databases."""

import pytest
from sqlalchemy import Table, update

from player_server.learning.enrolments import Refusal, WatchRight, may_watch, my_course, my_courses
from player_server.learning.hours import my_hours
from player_server.learning.services import Services
from player_server.storage.tables import course, enrolment, learner, video
from tests.support import school


async def ask(services: Services, learner_id: int, video_id: int) -> WatchRight | Refusal:
    async with services.db.read() as conn:
        return await may_watch(conn, learner_id, video_id)


async def change(services: Services, table: Table, **values: object) -> None:
    async with services.db.write() as conn:
        await conn.execute(update(table).values(**values))


async def start(services: Services) -> tuple[int, school.Pupil, school.Lessons]:
    at = await school.add_institution(services, "示例")
    return at, await school.add_learner(services, at), await school.add_course(services, at)


async def test_an_enrolled_learner_may_watch(services: Services) -> None:
    at, pupil, lessons = await start(services)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    right = await ask(services, pupil.learner_id, lessons.video_ids[0])
    assert isinstance(right, WatchRight)
    assert (right.person_id, right.institution_id, right.course_id) == (pupil.person_id, at, lessons.course_id)
    assert (right.duration_ms, right.hours, right.has_quiz) == (school.DURATION_MS, 100, True)
    last = await ask(services, pupil.learner_id, lessons.video_ids[1])
    assert isinstance(last, WatchRight) and not last.has_quiz


async def test_without_an_enrolment_nobody_may_watch(services: Services) -> None:
    _, pupil, lessons = await start(services)
    assert await ask(services, pupil.learner_id, lessons.video_ids[0]) is Refusal.NOT_ENROLLED


async def test_a_foreign_video_is_as_unknown_as_an_absent_one(services: Services) -> None:
    _, pupil, _ = await start(services)
    theirs = await school.add_course(services, await school.add_institution(services, "另一家"))
    # Not even an enrolment that should not exist opens another institution's course.
    await school.add_enrolment(services, pupil.learner_id, theirs.course_id)
    assert await ask(services, pupil.learner_id, theirs.video_ids[0]) is Refusal.UNKNOWN
    assert await ask(services, pupil.learner_id, 999_999) is Refusal.UNKNOWN
    assert await my_courses(services, pupil.learner_id) == []


@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        (learner, {"disabled_at": 1}, Refusal.LEARNER_DISABLED),
        (video, {"withdrawn_at": 1}, Refusal.WITHDRAWN),
        (enrolment, {"withdrawn_at": 1}, Refusal.WITHDRAWN),
        (course, {"closed_at": 1}, Refusal.COURSE_CLOSED),
        (enrolment, {"offline_missing": True}, Refusal.OFFLINE_MISSING),
    ],
)
async def test_each_bar_has_its_own_code(
    services: Services, table: Table, values: dict[str, object], expected: Refusal
) -> None:
    _, pupil, lessons = await start(services)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await change(services, table, **values)
    assert await ask(services, pupil.learner_id, lessons.video_ids[0]) is expected


async def test_one_open_enrolment_opens_a_course_that_others_share(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, offline_missing=True, deadline=5)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, deadline=9)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, deadline=1, withdrawn_at=1)
    assert isinstance(await ask(services, pupil.learner_id, lessons.video_ids[0]), WatchRight)
    (mine,) = await my_courses(services, pupil.learner_id)
    assert (mine.offline_missing, mine.deadline) == (False, 5)


async def test_a_course_counts_the_hours_of_credited_videos(services: Services) -> None:
    at, pupil, lessons = await start(services)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[0], 100, institution_id=at)
    mine = await my_course(services, pupil.learner_id, lessons.course_id)
    assert mine is not None and (mine.earned, mine.required, mine.complete) == (100, 150, False)
    assert mine.next_video is not None and mine.next_video.video_id == lessons.video_ids[1]
    await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[1], 50, institution_id=at)
    mine = await my_course(services, pupil.learner_id, lessons.course_id)
    assert mine is not None and mine.complete


async def test_learning_goes_on_with_the_unfinished_video_played_last(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await school.add_progress(services, pupil.learner_id, lessons.video_ids[0], 5_000)
    await school.add_playback(services, pupil, lessons.video_ids[1], 7_000)
    mine = await my_course(services, pupil.learner_id, lessons.course_id)
    assert mine is not None and mine.next_video is not None
    assert mine.next_video.video_id == lessons.video_ids[1]


async def test_hours_list_only_my_entries_newest_first(services: Services) -> None:
    at, pupil, lessons = await start(services)
    mate = await school.add_learner(services, at, name="李娜")
    first, second = lessons.video_ids
    await school.add_entry(services, pupil.learner_id, lessons, first, 100, institution_id=at, occurred_at=1)
    await school.add_entry(services, pupil.learner_id, lessons, second, 50, institution_id=at, occurred_at=2)
    await school.add_entry(services, mate.learner_id, lessons, first, 100, institution_id=at, occurred_at=3)
    mine = await my_hours(services, pupil.learner_id)
    assert [(each.hours, each.course_title, each.video_title) for each in mine.entries] == [
        (50, "安全生产", "第2讲"),
        (100, "安全生产", "第1讲"),
    ]
    assert mine.total == 150
