"""The progress query on both databases."""

from player_server.learning.services import Services
from player_server.storage.progress import VideoProgress, course_progress, learners_progress, video_progress
from player_server.storage.tables import video
from tests.support import school


async def read(services: Services, learner_id: int, video_id: int) -> VideoProgress:
    async with services.db.read() as conn:
        progress = await video_progress(conn, learner_id, video_id)
    assert progress is not None
    return progress


async def start(services: Services) -> tuple[int, school.Pupil, school.Lessons]:
    at = await school.add_institution(services, "示例")
    return at, await school.add_learner(services, at), await school.add_course(services, at)


async def test_an_untouched_video_is_in_round_one_at_zero(services: Services) -> None:
    _, pupil, lessons = await start(services)
    seen = await read(services, pupil.learner_id, lessons.video_ids[0])
    assert (seen.round, seen.frontier_ms, seen.position_ms, seen.percent) == (1, 0, 0, 0)
    assert not seen.watched and not seen.credited and seen.studied_at is None


async def test_the_live_row_ahead_of_the_stored_one_counts(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_progress(services, pupil.learner_id, lessons.video_ids[0], 10_000)
    await school.add_playback(services, pupil, lessons.video_ids[0], 30_000)
    seen = await read(services, pupil.learner_id, lessons.video_ids[0])
    assert (seen.frontier_ms, seen.position_ms, seen.percent, seen.studied_at) == (30_000, 30_000, 50, 2_000)
    assert (await read(services, pupil.learner_id, lessons.video_ids[1])).frontier_ms == 0


async def test_a_stored_frontier_ahead_of_the_live_row_counts(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_progress(services, pupil.learner_id, lessons.video_ids[0], 20_000)
    await school.add_playback(services, pupil, lessons.video_ids[0], 0)
    assert (await read(services, pupil.learner_id, lessons.video_ids[0])).frontier_ms == 20_000


async def test_a_live_frontier_within_the_tolerance_of_the_end_is_watched(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_playback(services, pupil, lessons.video_ids[0], school.DURATION_MS - 500)
    seen = await read(services, pupil.learner_id, lessons.video_ids[0])
    assert seen.watched and seen.percent == 100 and not seen.credited


async def test_just_before_the_tolerance_it_is_not_watched_and_not_a_hundred_percent(services: Services) -> None:
    _, pupil, lessons = await start(services)
    await school.add_playback(services, pupil, lessons.video_ids[0], school.DURATION_MS - 501)
    seen = await read(services, pupil.learner_id, lessons.video_ids[0])
    assert not seen.watched and seen.percent == 99


async def test_a_new_round_starts_from_nothing(services: Services) -> None:
    at, pupil, lessons = await start(services)
    video_id = lessons.video_ids[0]
    await school.add_progress(services, pupil.learner_id, video_id, 60_000, watched_at=1, credited_at=1)
    await school.add_entry(services, pupil.learner_id, lessons, video_id, 100, institution_id=at)
    assert (await read(services, pupil.learner_id, video_id)).credited
    await school.add_progress(services, pupil.learner_id, video_id, 5_000, round=2)
    await school.add_playback(services, pupil, video_id, 60_000, round=1)  # left over from the old round
    seen = await read(services, pupil.learner_id, video_id)
    assert (seen.round, seen.frontier_ms, seen.watched, seen.credited) == (2, 5_000, False, False)


async def test_a_ledger_credit_counts_until_it_is_reversed(services: Services) -> None:
    at, pupil, lessons = await start(services)
    video_id = lessons.video_ids[0]
    await school.add_entry(services, pupil.learner_id, lessons, video_id, 100, institution_id=at)
    assert (await read(services, pupil.learner_id, video_id)).credited
    await school.add_entry(
        services, pupil.learner_id, lessons, video_id, -100, institution_id=at, entry_type="reversal"
    )
    assert not (await read(services, pupil.learner_id, video_id)).credited


async def test_a_learner_keeps_the_version_that_was_started(services: Services) -> None:
    _, pupil, lessons = await start(services)
    old = await school.add_media(services, duration_ms=40_000)
    await school.add_progress(services, pupil.learner_id, lessons.video_ids[0], 10_000, media_sha=old)
    seen = await read(services, pupil.learner_id, lessons.video_ids[0])
    assert (seen.media_sha, seen.duration_ms, seen.percent) == (old, 40_000, 25)


async def test_two_accounts_of_one_person_share_nothing(services: Services) -> None:
    _, pupil, lessons = await start(services)
    other = await school.add_institution(services, "另一家")
    twin = await school.add_learner(services, other, person_id=pupil.person_id)
    theirs = await school.add_course(services, other)
    await school.add_playback(services, pupil, lessons.video_ids[0], 30_000)
    assert (await read(services, twin.learner_id, theirs.video_ids[0])).frontier_ms == 0
    async with services.db.read() as conn:
        assert await video_progress(conn, twin.learner_id, lessons.video_ids[0]) is None
        assert await course_progress(conn, twin.learner_id, lessons.course_id) == []


async def test_one_query_lists_the_courses_of_enrolments_that_are_not_withdrawn(services: Services) -> None:
    at, pupil, lessons = await start(services)
    left = await school.add_course(services, at, "已退出")
    await school.add_course(services, at, "未报名")
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)  # a second programme shares it
    await school.add_enrolment(services, pupil.learner_id, left.course_id, withdrawn_at=1)
    mate = await school.add_learner(services, at, name="李娜")
    await school.add_enrolment(services, mate.learner_id, left.course_id)
    async with services.db.read() as conn:
        rows = await learners_progress(conn, [pupil.learner_id, mate.learner_id])
    assert [(row.learner_id, row.video_id, row.number) for row in rows] == [
        (pupil.learner_id, lessons.video_ids[0], 1),
        (pupil.learner_id, lessons.video_ids[1], 2),
        (mate.learner_id, left.video_ids[0], 1),
        (mate.learner_id, left.video_ids[1], 2),
    ]


async def test_a_withdrawn_video_stays_only_where_it_gave_hours(services: Services) -> None:
    at, pupil, lessons = await start(services)
    mate = await school.add_learner(services, at, name="李娜")
    await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[0], 100, institution_id=at)
    async with services.db.write() as conn:
        await conn.execute(video.update().where(video.c.id == lessons.video_ids[0]).values(withdrawn_at=1))
        mine = await course_progress(conn, pupil.learner_id, lessons.course_id)
        others = await course_progress(conn, mate.learner_id, lessons.course_id)
    assert [row.video_id for row in mine] == list(lessons.video_ids)
    assert [row.video_id for row in others] == [lessons.video_ids[1]]
