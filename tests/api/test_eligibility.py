"""The exam service's question: what the answer says, and that it is signed for who asked."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest_asyncio
from aiohttp import ClientSession
from sqlalchemy import select, update

from player_server.api import eligibility
from player_server.learning.services import Services
from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from player_server.storage.tables import audit, learner, service_client
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

    async def ask(
        self, client: str | None, learner_id: int | str | None = None, query: str = ""
    ) -> tuple[int, dict[str, Any]]:
        headers = {} if client is None else bearer(self.services, client)
        path = f"/api/v1/eligibility/{self.pupil.learner_id if learner_id is None else learner_id}"
        async with self.http.get(path + query, headers=headers) as reply:
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
    routes = [eligibility.ELIGIBILITY.route(), eligibility.BATCH.route()]
    async with open_doors(services, routes) as server, browser_of(services, server) as http:
        yield Exam(services, http, at, pupil, lessons)
    await close_services(services)


async def credit(exam: Exam, number: int, hours: int, **more: Any) -> int:
    """An entry for the hours of the course's video of this number, now."""
    return await school.add_entry(
        exam.services,
        exam.pupil.learner_id,
        exam.lessons,
        exam.lessons.video_ids[number],
        hours,
        institution_id=exam.at,
        **{"occurred_at": wall_ms(), **more},
    )


async def test_an_enrolment_without_dates_is_judged_by_its_courses_and_says_so(exam: Exam) -> None:
    entry = await credit(exam, 0, 100)
    status, answer = await exam.ask("exam")
    assert status == 200
    assert (answer["eligible"], answer["reasons"]) == (False, ["hours_missing"])
    (found,) = answer["enrolments"]
    assert (found["basis"], found["exam"], found["deadline"]) == ("courses", "open", "2027-01-15")
    (rule,) = found["rules"]
    assert (rule["rule"], rule["state"]) == (f"course:{exam.lessons.course_id}", "open")
    hours = ("1.50", "1.00", "0.50")
    assert (rule["required_hours"], rule["counted_hours"], rule["missing_hours"]) == hours
    assert rule["entries"] == [{"entry": entry, "hours": "1.00"}]
    assert answer["ledger"] == {"entry": entry, "logged": 0}
    await credit(exam, 1, 50)
    assert (await exam.ask("exam"))[1]["eligible"] is True


async def test_hours_that_were_taken_back_do_not_count(exam: Exam) -> None:
    first = await credit(exam, 0, 100)
    await credit(exam, 1, 50)
    assert (await exam.ask("exam"))[1]["eligible"] is True
    await credit(exam, 0, -100, entry_type="reversal", reverses=first)
    assert (await exam.ask("exam"))[1]["eligible"] is False


async def test_a_learner_without_courses_or_switched_off_is_not_eligible(exam: Exam) -> None:
    idle = await school.add_learner(exam.services, exam.at, name="李娜")
    answer = (await exam.ask("exam", idle.learner_id))[1]
    assert (answer["eligible"], answer["reasons"], answer["enrolments"]) == (False, ["not_enrolled"], [])
    async with exam.services.db.write() as conn:
        await conn.execute(update(learner).values(disabled_at=1))
    assert (await exam.ask("exam"))[1]["reasons"] == ["learner_disabled"]


async def test_rules_decide_where_the_certificate_s_dates_are_known(exam: Exam) -> None:
    today = china_day(wall_ms())
    expiry = today + timedelta(days=90)
    enrolment_id = await school.add_enrolment(
        exam.services,
        exam.pupil.learner_id,
        exam.lessons.course_id,
        programme="demo",
        issue_date=today - timedelta(days=365),
        expiry_date=expiry,
    )
    entry = await credit(exam, 0, 100)
    answer = (await exam.ask("exam", query="?programme=demo"))[1]
    assert (answer["programme"], answer["eligible"]) == ("demo", False)
    (found,) = answer["enrolments"]
    assert found.pop("rules") == [
        {
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
            "entries": [{"entry": entry, "hours": "1.00"}],
        }
    ]
    assert found == {
        "enrolment": enrolment_id,
        "programme": "demo",
        "name": {"zh": "演示培训项目", "en": "Demo programme"},
        "basis": "rules",
        "rule_version": exam.services.programmes["demo"].version,
        "courses": [exam.lessons.course_id],
        "eligible": False,
        "reasons": ["hours_missing"],
        "standing": "open",
        "deadline": (expiry - timedelta(days=30)).isoformat(),
        "days_left": 60,
        "exam": "open",
        "score": None,
    }
    await credit(exam, 1, 200)
    assert (await exam.ask("exam", query="?programme=demo"))[1]["eligible"] is True
    # Yesterday nothing was earned yet; after the expiry it is too late to begin, and what was earned stays earned.
    yesterday = (await exam.ask("exam", query=f"?programme=demo&date={today - timedelta(days=1)}"))[1]
    assert (yesterday["eligible"], yesterday["enrolments"][0]["rules"][0]["counted_hours"]) == (False, "0.00")
    # Every enrolment is asked for, and the first one has no dates and lacks hours of its course.
    assert (await exam.ask("exam"))[1]["eligible"] is True
    far = (await exam.ask("exam", query="?date=9999-12-31"))[1]
    assert (far["eligible"], far["reasons"]) == (False, ["date_out_of_range"])


async def test_a_course_that_was_asked_for_is_all_that_counts(exam: Exam) -> None:
    other = await school.add_course(exam.services, exam.at, "另一门", hours=(100,))
    await school.add_enrolment(exam.services, exam.pupil.learner_id, other.course_id)
    await credit(exam, 0, 100)
    await credit(exam, 1, 50)
    assert (await exam.ask("exam"))[1]["eligible"] is False
    assert (await exam.ask("exam", query=f"?course={exam.lessons.course_id}"))[1]["eligible"] is True
    assert (await exam.ask("exam", query=f"?course={other.course_id}"))[1]["eligible"] is False
    assert (await exam.ask("exam", query="?course=999"))[1]["reasons"] == ["not_enrolled"]


async def test_the_assertion_says_exactly_what_the_answer_says_and_is_for_who_asked(exam: Exam) -> None:
    answer = (await exam.ask("exam"))[1]
    token = str(answer.pop("assertion"))
    header = jwt.get_unverified_header(token)
    (key,) = [each for each in exam.services.keys.signing.jwks(time.time())["keys"] if each["kid"] == header["kid"]]
    claims = jwt.decode(
        token, jwt.PyJWK(key), algorithms=["EdDSA"], audience="exam", issuer="http://127.0.0.1:8080"
    )
    assert (header["typ"], claims["sub"]) == ("xueshi-eligibility+jwt", str(exam.pupil.learner_id))
    assert claims["eligibility"] == answer
    assert claims["exp"] - claims["iat"] == 300
    # It opens nothing here.
    headers = {"Authorization": f"Bearer {token}"}
    async with exam.http.get(f"/api/v1/eligibility/{exam.pupil.learner_id}", headers=headers) as reply:
        assert reply.status == 401


async def test_an_unchanged_answer_is_304_as_long_as_its_assertion_is_good(exam: Exam) -> None:
    path = f"/api/v1/eligibility/{exam.pupil.learner_id}"
    headers = bearer(exam.services)
    async with exam.http.get(path, headers=headers) as reply:
        tag = reply.headers["ETag"]
        assert reply.headers["Cache-Control"] == "private, no-cache"
    expires, _, print_ = tag.strip('"').partition(".")
    for known, status in (
        (tag, 304),
        (f'"x", W/{tag}', 304),
        ("*", 200),
        (f'"{int(time.time()) - 1}.{print_}"', 200),
        (f'"{expires}.{"0" * 32}"', 200),
        ('"²³.x"', 200),
    ):
        async with exam.http.get(path, headers={**headers, "If-None-Match": known}) as reply:
            assert reply.status == status, known
            assert (await reply.read() == b"") is (status == 304)
    await add_client_row(exam.services, "other", exam.at)
    async with exam.http.get(path, headers={**bearer(exam.services, "other"), "If-None-Match": tag}) as reply:
        assert reply.status == 200
    await credit(exam, 0, 100)
    async with exam.http.get(path, headers={**headers, "If-None-Match": tag}) as reply:
        assert reply.status == 200


async def test_a_batch_answers_in_order_and_hides_who_is_not_there(exam: Exam) -> None:
    other = await school.add_institution(exam.services, "别家")
    foreign = await school.add_learner(exam.services, other)
    wanted = [exam.pupil.learner_id, foreign.learner_id, 999_999, exam.pupil.learner_id]
    answers = await batch(exam, {"learners": wanted})
    assert [each["learner"] for each in answers] == wanted
    assert [each["reasons"] for each in answers] == [
        ["hours_missing"],
        ["not_found"],
        ["not_found"],
        ["hours_missing"],
    ]
    assert ["assertion" in each for each in answers] == [True, False, False, True]
    assert not any("assertion" in each for each in await batch(exam, {"learners": wanted, "assertions": False}))
    wrong: list[object] = [
        {"learners": []},
        {"learners": [1] * 1001},
        {"learners": [0]},
        {"learners": [1], "x": 1},
        [],
        {},
    ]
    for body in wrong:
        async with exam.http.post("/api/v1/eligibility:batch", json=body, headers=bearer(exam.services)) as reply:
            assert reply.status == 400, body


async def batch(exam: Exam, body: object) -> list[dict[str, Any]]:
    async with exam.http.post("/api/v1/eligibility:batch", json=body, headers=bearer(exam.services)) as reply:
        assert reply.status == 200, await reply.text()
        answers: list[dict[str, Any]] = (await reply.json())["answers"]
        return answers


async def test_many_who_ask_at_once_get_their_own_answers_and_are_all_noted(exam: Exam) -> None:
    others = [(await school.add_learner(exam.services, exam.at)).learner_id for _ in range(20)]
    answers = await asyncio.gather(*(exam.ask("exam", each) for each in others))
    assert [answer["learner"] for _, answer in answers] == others
    async with exam.services.db.read() as conn:
        targets = set(
            (await conn.scalars(select(audit.c.target).where(audit.c.action == "eligibility.read"))).all()
        )
    assert targets == {f"learner:{each}" for each in others}


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
        ("client:exam", "eligibility.read", f"learner:{exam.pupil.learner_id}", "not_eligible")
    ]


async def test_a_disabled_client_is_refused(exam: Exam) -> None:
    async with exam.services.db.write() as conn:
        await conn.execute(update(service_client).values(disabled_at=1))
    assert (await exam.ask("exam"))[0] == 401


async def test_a_client_that_asks_too_often_is_told_when_to_go_on(
    sqlite_url: str, valkey_url: str, tmp_path: Path
) -> None:
    services = await make_services(sqlite_url, valkey_url, tmp_path / "paced", exam={"requests_per_minute": 20})
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    for client in ("exam", "other"):
        await add_client_row(services, client, at)
    path = f"/api/v1/eligibility/{pupil.learner_id}"
    async with (
        open_doors(services, [eligibility.ELIGIBILITY.route()]) as server,
        browser_of(services, server) as http,
    ):
        # A minute may begin in between; two of them are never enough for all of these.
        statuses = []
        for _ in range(50):
            async with http.get(path, headers=bearer(services)) as reply:
                statuses.append(reply.status)
                assert reply.headers["RateLimit-Policy"] == '"minute";q=20;w=60'
                if reply.status == 429:
                    assert reply.headers["RateLimit"].startswith('"minute";r=0;t=')
                    assert 0 < int(reply.headers["Retry-After"]) <= 60
        assert set(statuses) == {200, 429}
        async with http.get(path, headers=bearer(services, "other")) as reply:
            assert reply.status == 200
    await close_services(services)
