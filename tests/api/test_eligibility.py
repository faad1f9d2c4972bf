"""The exam service's question: what the answer says, and which tokens are believed."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from aiohttp import ClientSession, web
from sqlalchemy import select, update

from player_server.api import eligibility
from player_server.learning.services import Services
from player_server.policy.periods import china_day
from player_server.storage.tables import audit, service_client
from tests.support import school
from tests.support.clients import add_client_row, bearer
from tests.support.doors import browser_of, open_doors
from tests.support.services import close_services, make_services


@dataclass(frozen=True)
class Exam:
    """An exam service of institution `at` with one learner, who is enrolled for one course."""

    services: Services
    http: ClientSession
    at: int
    pupil: school.Pupil
    lessons: school.Lessons

    async def ask(self, client: str | None, learner_id: int | str | None = None) -> tuple[int, dict[str, object]]:
        headers = {} if client is None else bearer(self.services, client)
        path = f"/api/v1/eligibility/{self.pupil.learner_id if learner_id is None else learner_id}"
        async with self.http.get(path, headers=headers) as reply:
            kind = "application/json" if reply.status == 200 else "application/problem+json"
            assert reply.content_type == kind
            return reply.status, await reply.json(content_type=None)


@pytest_asyncio.fixture
async def exam(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Exam]:
    services = await make_services(database_url, valkey_url, tmp_path)
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id, deadline=1_800_000_000_000)
    await add_client_row(services, "exam", at)
    routes = [web.get("/api/v1/eligibility/{learner}", eligibility.get_eligibility)]
    async with open_doors(services, routes) as server, browser_of(services, server) as http:
        yield Exam(services, http, at, pupil, lessons)
    await close_services(services)


async def test_the_answer_names_what_is_missing_for_each_course(exam: Exam) -> None:
    first = exam.lessons.video_ids[0]
    await school.add_entry(exam.services, exam.pupil.learner_id, exam.lessons, first, 100, institution_id=exam.at)
    status, answer = await exam.ask("exam")
    assert status == 200
    assert str(answer.pop("as_of")).endswith("Z")
    assert answer == {
        "learner": exam.pupil.learner_id,
        "complete": False,
        "courses": [
            {
                "course": exam.lessons.course_id,
                "title": "安全生产",
                "complete": False,
                "required_hours": "1.50",
                "earned_hours": "1.00",
                "missing_hours": "0.50",
                "deadline": "2027-01-15T08:00:00.000Z",
            }
        ],
    }


async def test_it_is_complete_when_every_video_gave_its_hours(exam: Exam) -> None:
    for video_id, hours in zip(exam.lessons.video_ids, (100, 50), strict=True):
        await school.add_entry(
            exam.services, exam.pupil.learner_id, exam.lessons, video_id, hours, institution_id=exam.at
        )
    status, answer = await exam.ask("exam")
    assert (status, answer["complete"]) == (200, True)


async def test_a_learner_without_courses_is_not_complete(exam: Exam) -> None:
    idle = await school.add_learner(exam.services, exam.at, name="李娜")
    status, answer = await exam.ask("exam", idle.learner_id)
    assert (status, answer["complete"], answer["courses"]) == (200, False, [])


async def test_the_rules_of_a_programme_are_added_when_the_certificate_s_dates_are_known(exam: Exam) -> None:
    today = china_day(time.time_ns() // 1_000_000)
    expiry = today + timedelta(days=90)
    enrolment_id = await school.add_enrolment(
        exam.services,
        exam.pupil.learner_id,
        exam.lessons.course_id,
        programme="demo",
        issue_date=today - timedelta(days=365),
        expiry_date=expiry,
    )
    entry_id = await school.add_entry(
        exam.services,
        exam.pupil.learner_id,
        exam.lessons,
        exam.lessons.video_ids[0],
        100,
        institution_id=exam.at,
        occurred_at=time.time_ns() // 1_000_000,
    )
    status, answer = await exam.ask("exam")
    assert (status, answer["complete"]) == (200, False)
    assert answer["programmes"] == [
        {
            "enrolment": enrolment_id,
            "programme": "demo",
            "name": {"zh": "演示培训项目", "en": "Demo programme"},
            "rule_version": exam.services.programmes["demo"].version,
            "exam": False,
            "complete": False,
            "standing": "open",
            "deadline": (expiry - timedelta(days=30)).isoformat(),
            "days_left": 60,
        }
    ]
    assert answer["rules"] == [
        {
            "enrolment": enrolment_id,
            "programme": "demo",
            "rule": "online",
            "name": {"zh": "网络学习", "en": "Online study"},
            "gate": "exam",
            "label": "",
            "begins": (today - timedelta(days=365)).isoformat(),
            "ends": expiry.isoformat(),
            "last_day": expiry.isoformat(),
            "state": "open",
            "required_hours": "3.00",
            "counted_hours": "1.00",
            "missing_hours": "2.00",
            "entries": [{"entry": entry_id, "hours": "1.00"}],
        }
    ]


async def test_foreign_and_absent_learners_get_the_same_answer(exam: Exam) -> None:
    other = await school.add_institution(exam.services, "另一家")
    # The same person, with an account at the other institution.
    foreign = await school.add_learner(exam.services, other, person_id=exam.pupil.person_id)
    answers = [await exam.ask("exam", each) for each in (foreign.learner_id, 999_999, 10**30, "abc")]
    assert [status for status, _ in answers] == [404] * 4
    for _, body in answers:
        body.pop("request_id")
        assert body == answers[0][1]


async def test_the_regulator_sees_every_institution(exam: Exam) -> None:
    await add_client_row(exam.services, "regulator", None)
    assert (await exam.ask("regulator"))[0] == 200


async def test_each_answer_is_in_the_audit_trail(exam: Exam) -> None:
    await exam.ask("exam")
    async with exam.services.db.read() as conn:
        rows = (await conn.execute(select(audit.c.actor, audit.c.action, audit.c.target, audit.c.result))).all()
    assert [tuple(row) for row in rows] == [
        ("client:exam", "eligibility.read", f"learner:{exam.pupil.learner_id}", "incomplete")
    ]


async def test_a_disabled_client_is_refused(exam: Exam) -> None:
    async with exam.services.db.write() as conn:
        await conn.execute(update(service_client).values(disabled_at=1))
    assert (await exam.ask("exam"))[0] == 401
