"""[考试]: dark with what is missing, lit when the hours are there, shut with the score after a pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from player_server.api import exam_results, launches
from player_server.learning.services import Services
from player_server.pages import course, exam, home
from player_server.storage.clock import wall_ms
from tests.support import school
from tests.support.clients import add_client_row, bearer
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.services import close_services, make_services

TARGET = "https://exam.example.org/enter?room=1"


@dataclass(frozen=True)
class Hall:
    """A learner in front of the exam, and the exam service's own connection."""

    services: Services
    browser: ClientSession
    service: ClientSession
    at: int
    pupil: school.Pupil
    lessons: school.Lessons
    enrolment_id: int

    async def page(self, path: str = "/", lang: str = "zh") -> str:
        async with self.browser.get(path, headers={"Accept-Language": lang}) as reply:
            assert reply.status == 200
            assert "form-action 'self' https://exam.example.org;" in reply.headers["Content-Security-Policy"] + ";"
            return await reply.text()

    async def earn(self, number: int, hours: int) -> None:
        await school.add_entry(
            self.services,
            self.pupil.learner_id,
            self.lessons,
            self.lessons.video_ids[number],
            hours,
            institution_id=self.at,
            occurred_at=wall_ms(),
        )

    async def press(self, enrolment_id: int | None = None) -> str:
        form = {"csrf": csrf_in(await self.page())}
        path = f"/exam/{enrolment_id or self.enrolment_id}/launch"
        async with self.browser.post(path, data=form, allow_redirects=False) as reply:
            assert reply.status == 303
            return reply.headers["Location"]

    async def redeem(self, token: str, client: str = "exam") -> tuple[int, dict[str, Any]]:
        headers = bearer(self.services, client)
        async with self.service.post("/api/v1/launches:redeem", json={"launch": token}, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def result(self, key: str, outcome: str, score: float | None) -> None:
        body = {"learner": self.pupil.learner_id, "outcome": outcome, "score": score}
        headers = bearer(self.services) | {"Idempotency-Key": key}
        async with self.service.post("/api/v1/exam-results", json=body, headers=headers) as reply:
            assert reply.status == 201, await reply.text()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What the database decides is tested with the results."""
    return sqlite_url


@pytest_asyncio.fixture
async def hall(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    services = await make_services(database_url, valkey_url, tmp_path, exam={"launch_url": TARGET})
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    enrolment_id = await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await add_client_row(services, "exam", at)
    routes = [
        web.get("/", home.home),
        web.get("/courses/{course}", course.course),
        web.post("/exam/{enrolment}/launch", exam.exam_launch),
        launches.REDEEM.route(),
        exam_results.EXAM_RESULTS.route(),
    ]
    async with (
        open_doors(services, routes) as server,
        browser_of(services, server, pupil) as browser,
        browser_of(services, server) as service,
    ):
        yield Hall(services, browser, service, at, pupil, lessons, enrolment_id)
    await close_services(services)


async def test_before_the_hours_are_there_the_page_says_what_is_missing(hall: Hall) -> None:
    await hall.earn(0, 100)
    for path in ("/", f"/courses/{hall.lessons.course_id}"):
        page = await hall.page(path)
        assert 'aria-disabled="true"' in page and "/launch" not in page
        assert "安全生产：还差 0.5 学时" in page
    assert "安全生产: 0.5 hours missing" in await hall.page(lang="en")
    # A form that somebody made by hand opens nothing.
    assert await hall.press() == "/"


async def test_a_launch_names_the_learner_and_is_good_once(hall: Hall) -> None:
    await hall.earn(0, 100)
    await hall.earn(1, 50)
    location = await hall.press()
    assert location.startswith("https://exam.example.org/enter?room=1&launch=")
    (token,) = parse_qs(urlsplit(location).query)["launch"]
    keys = jwt.PyJWKSet.from_dict(hall.services.keys.signing.jwks(wall_ms() / 1000))
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, keys[header["kid"]], algorithms=["EdDSA"], audience=TARGET)
    assert header["typ"] == "xueshi-launch+jwt"
    assert (claims["learner"], claims["enrolment"]) == (hall.pupil.learner_id, hall.enrolment_id)
    assert (claims["programme"], claims["exp"] - claims["iat"]) == ("jiangsu-constructor-2", 120)
    other = await school.add_institution(hall.services, "别家")
    await add_client_row(hall.services, "foreign", other)
    assert (await hall.redeem(token, "foreign"))[0] == 404
    answers = await asyncio.gather(*(hall.redeem(token) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 9
    (won,) = [answer for status, answer in answers if status == 200]
    assert (won["learner"], won["enrolment"]) == (hall.pupil.learner_id, hall.enrolment_id)
    assert (await hall.redeem(token + "x"))[0] == (await hall.redeem("abc"))[0] == 404
    # It is no access token.
    headers = {"Authorization": f"Bearer {token}"}
    async with hall.service.post("/api/v1/launches:redeem", json={"launch": token}, headers=headers) as reply:
        assert reply.status == 401


async def test_an_exam_of_somebody_else_does_not_open(hall: Hall) -> None:
    await hall.earn(0, 100)
    await hall.earn(1, 50)
    other = await school.add_learner(hall.services, hall.at)
    foreign = await school.add_enrolment(hall.services, other.learner_id, hall.lessons.course_id)
    assert await hall.press(foreign) == "/"
    async with hall.browser.post(f"/exam/{hall.enrolment_id}/launch", allow_redirects=False) as reply:
        assert reply.status == 403


async def test_after_a_pass_the_exam_is_shut_and_shows_the_score(hall: Hall) -> None:
    await hall.earn(0, 100)
    await hall.earn(1, 50)
    await hall.result("1", "failed", 41.5)
    page = await hall.page()
    assert "上次成绩 41.5 分" in page and "/launch" in page
    await hall.result("2", "passed", 85)
    page = await hall.page(f"/courses/{hall.lessons.course_id}")
    assert "已通过" in page and "85 分" in page and "/launch" not in page
    assert "85 points" in await hall.page(lang="en")
    await hall.result("3", "voided", None)
    assert "/launch" in await hall.page()
