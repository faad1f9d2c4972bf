"""The learner's pages: home, course, hours, player."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from player_server.learning.services import Services
from player_server.pages import course, home, hours, media, player
from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from tests.support import school
from tests.support.doors import browser_of, open_doors
from tests.support.services import close_services, make_services

DAY_MS = 86_400_000


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path)
    yield made
    await close_services(made)


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [
        web.get("/", home.home),
        web.get("/courses/{course}", course.course),
        web.get("/hours", hours.hours),
        web.get("/player/{video}", player.player),
        web.get("/media/{video}", media.video_file),
    ]
    async with open_doors(services, routes) as opened:
        yield opened


async def read(services: Services, server: TestServer, pupil: school.Pupil | None, path: str) -> tuple[int, str]:
    async with (
        browser_of(services, server, pupil) as browser,
        browser.get(path, allow_redirects=False) as reply,
    ):
        return reply.status, await reply.text()


def page_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


async def test_without_a_log_in_every_page_leads_to_it(services: Services, server: TestServer) -> None:
    for path in ("/", "/courses/1", "/hours", "/player/1"):
        assert (await read(services, server, None, path))[0] == 303


async def test_staff_at_the_front_door_are_sent_to_their_own_page(services: Services, server: TestServer) -> None:
    staff_id = await school.add_staff(services, await school.add_institution(services, "示例"))
    async with (
        browser_of(services, server, staff_id=staff_id) as browser,
        browser.get("/", allow_redirects=False) as reply,
    ):
        assert (reply.status, reply.headers["Location"]) == (303, "/staff")


async def test_a_learner_without_courses_reads_what_to_do(services: Services, server: TestServer) -> None:
    pupil = await school.add_learner(services, await school.add_institution(services, "示例"))
    status, html = await read(services, server, pupil, "/")
    assert status == 200 and "还没有课程" in html and "联系培训机构" in html
    status, html = await read(services, server, pupil, "/hours")
    assert status == 200 and "还没有入账的学时" in html


async def test_home_shows_hours_deadline_and_where_to_go_on(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, deadline=wall_ms() + 10 * DAY_MS)
    first, second = lessons.video_ids
    await school.add_entry(services, pupil.learner_id, lessons, first, 100, institution_id=at)
    await school.add_progress(services, pupil.learner_id, second, 30_000)
    status, html = await read(services, server, pupil, "/")
    assert status == 200
    assert "<strong>1</strong> / 1.5" in html and "还有 10 天" in html and "75%" in html
    assert f'href="/player/{second}"' in html and "继续学习" in html
    assert "张*" in html and "张伟" not in html
    assert "style=" not in html and "<script>" not in html


async def test_missing_hours_in_class_are_explained_and_the_player_stays_shut(
    services: Services, server: TestServer
) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, offline_missing=True)
    for path in ("/", f"/courses/{lessons.course_id}"):
        status, html = await read(services, server, pupil, path)
        assert status == 200 and "线下公共课程的学时登记之后" in html and "/player/" not in html
    status, html = await read(services, server, pupil, f"/player/{lessons.video_ids[0]}")
    assert status == 403 and "线下学时还没有登记" in html and "page-data" not in html


async def test_foreign_courses_and_videos_are_not_found(services: Services, server: TestServer) -> None:
    at, other = await school.add_institution(services, "示例"), await school.add_institution(services, "另一家")
    pupil, theirs = await school.add_learner(services, at), await school.add_course(services, other)
    not_mine = await school.add_course(services, at)
    for path in (
        f"/courses/{theirs.course_id}",
        f"/courses/{not_mine.course_id}",
        "/courses/999999",
        "/courses/x",
        f"/player/{theirs.video_ids[0]}",
        "/player/999999",
        f"/player/{10**30}",
    ):
        assert (await read(services, server, pupil, path))[0] == 404, path


async def test_the_course_page_shows_each_videos_state(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at, hours=(100, 100, 100, 50))
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    first, second, third, _ = lessons.video_ids
    await school.add_entry(services, pupil.learner_id, lessons, first, 100, institution_id=at)
    await school.add_progress(services, pupil.learner_id, second, 60_000, watched_at=1)
    await school.add_playback(services, pupil, third, 15_000)
    _, html = await read(services, server, pupil, f"/courses/{lessons.course_id}")
    states = re.findall(r'class="badge[^"]*">([^<]*)<', html)
    assert states == ["✓ 学时已入账", "待练习", "25%", "未开始"]
    assert f'href="/quiz/{second}"' in html and f'href="/quiz/{first}"' not in html


async def test_the_player_page_has_what_its_script_needs(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at, title="</script><b>安全", hours=(100, 50))
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    first, second = lessons.video_ids
    await school.add_playback(services, pupil, first, 30_000)
    status, html = await read(services, server, pupil, f"/player/{first}")
    assert status == 200 and "<b>安全" not in html
    data = page_data(html)
    assert (data["tickets_url"], data["socket_path"]) == ("/api/v1/watch-tickets", "/ws/watch")
    assert (data["next_url"], data["home_url"]) == (f"/player/{second}", f"/courses/{lessons.course_id}")
    assert (data["video"]["duration"], data["video"]["captions"]) == (60.0, None)
    assert data["chapters"][0] == {
        "id": first,
        "title": "第1讲",
        "hours": "1",
        "duration": 60.0,
        "percent": 50,
        "credited": False,
        "watched": False,
        "url": f"/player/{first}",
        "quiz": f"/quiz/{first}",
    }
    assert data["chapters"][1]["quiz"] is None
    sha = await school.media_of(services, first)
    services.settings.media_folder.mkdir(parents=True)
    (services.settings.media_folder / f"{sha}.mp4").write_bytes(b"film")
    assert await read(services, server, pupil, data["video"]["media"]) == (200, "film")


async def test_hours_list_entries_with_their_reversal(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    video_id = lessons.video_ids[0]
    await school.add_entry(services, pupil.learner_id, lessons, video_id, 100, institution_id=at)
    await school.add_entry(
        services, pupil.learner_id, lessons, video_id, -100, institution_id=at, entry_type="reversal"
    )
    _, html = await read(services, server, pupil, "/hours")
    assert "+1<" in html and "-1<" in html and "冲销" in html and "网络学习" in html
    assert ">1970-01-01<" in html and ">08:00<" in html  # China's time, whatever the server's zone is.


async def test_hours_show_each_rule_of_the_programme_and_what_is_missing(
    services: Services, server: TestServer
) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    today = china_day(wall_ms())
    dates = {"issue_date": today - timedelta(days=400), "expiry_date": today + timedelta(days=30)}
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, **dates)  # type: ignore[arg-type]
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        lessons.video_ids[0],
        150,
        institution_id=at,
        occurred_at=wall_ms(),
    )
    _, html = await read(services, server, pupil, "/hours")
    assert "江苏省二级建造师继续教育" in html and "今天截止" in html
    assert "0 / 16" in html and "1.5 / 40" in html and "0 / 60" in html
    assert f"还差 38.5 学时，最迟 {dates['expiry_date']}" in html
    assert html.count("考试前须修满") == 2 and html.count("考试后也可修满") == 2


async def test_hours_without_certificate_dates_show_courses_only(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    _, html = await read(services, server, pupil, "/hours")
    assert "江苏省二级建造师" not in html and "0 / 1.5" in html
