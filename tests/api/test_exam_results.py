"""Results of the exam: each once, a pass closes the exam and brings hours, a voided one opens it again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import ClientSession
from sqlalchemy import func, select, update

from player_server.api import eligibility, events, exam_results, learner_hours
from player_server.auth.service_clients import Scope
from player_server.learning.services import Services
from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from player_server.storage.tables import ledger_entry, outbox
from tests.support import school
from tests.support.clients import add_client_row, bearer
from tests.support.doors import browser_of, open_doors
from tests.support.services import close_services, make_services

ROUTES = (
    eligibility.ELIGIBILITY,
    exam_results.EXAM_RESULTS,
    learner_hours.HOURS,
    events.EVENTS,
)


@dataclass(frozen=True)
class Exam:
    """Client `exam` of institution `at`; a learner enrolled for jiangsu-constructor-2 with 16 + 40 hours."""

    services: Services
    http: ClientSession
    at: int
    pupil: school.Pupil
    enrolment_id: int
    entries: list[int]

    async def hand_in(
        self, key: str | None = "k1", client: str = "exam", **changes: Any
    ) -> tuple[int, dict[str, Any]]:
        body = {"learner": self.pupil.learner_id, "outcome": "passed", "score": 85, **changes}
        headers = bearer(self.services, client) | ({} if key is None else {"Idempotency-Key": key})
        async with self.http.post("/api/v1/exam-results", json=body, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def get(self, path: str, client: str = "exam") -> dict[str, Any]:
        async with self.http.get(path, headers=bearer(self.services, client)) as reply:
            found: dict[str, Any] = {"status": reply.status, **await reply.json(content_type=None)}
            return found

    async def eligible(self, gate: str = "exam") -> tuple[bool, list[str]]:
        answer = await self.get(f"/api/v1/eligibility/{self.pupil.learner_id}?gate={gate}")
        return answer["eligible"], answer["reasons"]

    async def place_events(self) -> None:
        """Give the events their positions, as the worker does."""
        async with self.services.db.write() as conn:
            await conn.execute(update(outbox).values(position=outbox.c.id))

    async def test_hours(self) -> list[int]:
        query = select(ledger_entry.c.hours).where(ledger_entry.c.kind == "test").order_by(ledger_entry.c.id)
        async with self.services.db.read() as conn:
            return list((await conn.scalars(query)).all())


@pytest_asyncio.fixture
async def exam(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Exam]:
    services = await make_services(database_url, valkey_url, tmp_path)
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    today = china_day(wall_ms())
    enrolment_id = await school.add_enrolment(
        services,
        pupil.learner_id,
        lessons.course_id,
        issue_date=today - timedelta(days=700),
        expiry_date=today + timedelta(days=300),
    )
    credit: dict[str, Any] = {"institution_id": at, "occurred_at": wall_ms()}
    video = lessons.video_ids[0]
    first = await school.add_entry(
        services, pupil.learner_id, lessons, video, 1600, kind="offline", subject="public", **credit
    )
    second = await school.add_entry(services, pupil.learner_id, lessons, lessons.video_ids[1], 4000, **credit)
    await add_client_row(services, "exam", at)
    async with (
        open_doors(services, [each.route() for each in ROUTES]) as server,
        browser_of(services, server) as http,
    ):
        yield Exam(services, http, at, pupil, enrolment_id, [first, second])
    await close_services(services)


async def test_a_pass_closes_the_exam_and_brings_the_hours_of_the_test(exam: Exam) -> None:
    assert await exam.eligible() == (True, [])
    status, answer = await exam.hand_in()
    assert (status, answer["outcome"], answer["score"], len(answer["entries"])) == (201, "passed", "85.00", 1)
    assert (answer["enrolment"], answer["programme"]) == (exam.enrolment_id, "jiangsu-constructor-2")
    assert await exam.eligible() == (False, ["exam_passed"])
    assert await exam.test_hours() == [400]
    rules = (await exam.get(f"/api/v1/eligibility/{exam.pupil.learner_id}?gate=cycle"))["enrolments"][0]["rules"]
    (test,) = [each for each in rules if each["rule"] == "test"]
    assert (test["state"], test["entries"]) == ("met", [{"entry": answer["entries"][0], "hours": "4.00"}])
    assert (await exam.hand_in("k2"))[1]["code"] == "exam_closed"
    assert (await exam.hand_in("k3", outcome="failed"))[1]["code"] == "exam_closed"


async def test_a_voided_pass_opens_the_exam_again_and_takes_the_hours_back(exam: Exam) -> None:
    assert (await exam.hand_in("k0", outcome="voided", score=None))[1]["code"] == "nothing_to_void"
    await exam.hand_in("k1")
    status, answer = await exam.hand_in("k2", outcome="voided", score=None)
    assert (status, len(answer["entries"])) == (201, 1)
    assert await exam.test_hours() == [400, -400]
    assert await exam.eligible() == (True, [])
    assert (await exam.hand_in("k3"))[0] == 201
    assert await exam.test_hours() == [400, -400, 400]


async def test_the_same_result_sent_many_times_is_recorded_once(exam: Exam) -> None:
    answers = await asyncio.gather(*(exam.hand_in() for _ in range(20)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["result"] for _, answer in answers}) == 1
    assert {tuple(answer["entries"]) for _, answer in answers} == {tuple(answers[0][1]["entries"])}
    assert await exam.test_hours() == [400]
    async with exam.services.db.read() as conn:
        told = await conn.scalar(select(func.count()).where(outbox.c.topic == "exam.result"))
    assert told == 1
    assert (await exam.hand_in(score=86))[1]["code"] == "idempotency_key_reused"
    # Keys are each client's own.
    await add_client_row(exam.services, "other", exam.at)
    assert (await exam.hand_in(client="other"))[1]["code"] == "exam_closed"


async def test_nobody_passes_without_the_hours_and_what_is_wrong_is_named(exam: Exam) -> None:
    idle = (await school.add_learner(exam.services, exam.at)).learner_id
    long_ago = "2001-01-01T00:00:00+08:00"
    for code, status, changes in (
        ("not_enrolled", 409, {"learner": idle}),
        ("not_enrolled", 409, {"programme": "demo"}),
        ("not_eligible", 409, {"taken_at": long_ago}),
        ("taken_at_out_of_range", 409, {"taken_at": "2999-01-01T00:00:00Z"}),
        ("taken_at_out_of_range", 409, {"taken_at": "0001-01-01T00:00:00+14:00"}),
        ("bad_request", 400, {"taken_at": "2026-01-01T00:00:00"}),
        ("bad_request", 400, {"outcome": "won"}),
        ("bad_request", 400, {"score": -1}),
        ("not_found", 404, {"learner": 999_999}),
    ):
        assert ((found := await exam.hand_in(**changes))[0], found[1]["code"]) == (status, code), changes
    assert (await exam.hand_in(None))[1]["code"] == "idempotency_key_missing"
    other = await school.add_institution(exam.services, "别家")
    await add_client_row(exam.services, "foreign", other)
    assert (await exam.hand_in(client="foreign"))[0] == 404
    assert await exam.test_hours() == []
    # A failure is kept whatever the hours are.
    assert (await exam.hand_in(outcome="failed", taken_at=long_ago))[0] == 201


async def test_hours_come_in_pages_and_only_to_who_may_see_them(exam: Exam) -> None:
    path = f"/api/v1/learners/{exam.pupil.learner_id}/hours"
    page = await exam.get(f"{path}?limit=1")
    assert ([each["entry"] for each in page["entries"]], page["next"]) == (exam.entries[:1], exam.entries[0])
    page = await exam.get(f"{path}?limit=1&after={page['next']}")
    assert ([each["hours"] for each in page["entries"]], page["next"]) == (["40.00"], None)
    other = await school.add_institution(exam.services, "别家")
    await add_client_row(exam.services, "foreign", other)
    assert (await exam.get(path, "foreign"))["status"] == 404
    assert (await exam.get(f"{path}?limit=0"))["status"] == 400
    async with exam.http.get(path, headers=bearer(exam.services, "exam", Scope.EVENTS)) as reply:
        assert reply.status == 403


async def test_the_feed_has_every_event_once_in_order_and_only_the_own_ones(exam: Exam) -> None:
    await exam.hand_in("k1")
    await exam.hand_in("k2", outcome="voided", score=None)
    await exam.place_events()
    seen: list[str] = []
    last = 0
    while True:
        page = await exam.get(f"/api/v1/events?after={last}&limit=1")
        seen += [each["event"]["type"] for each in page["events"]]
        last = page["last"]
        if not page["more"]:
            break
    assert seen == ["exam.result", "hours.credited", "exam.result", "hours.reversed"]
    first = (await exam.get("/api/v1/events"))["events"][0]["event"]["data"]
    assert (first["learner"], first["outcome"], first["score"]) == (exam.pupil.learner_id, "passed", "85.00")
    other = await school.add_institution(exam.services, "别家")
    await add_client_row(exam.services, "foreign", other)
    assert (await exam.get("/api/v1/events", "foreign"))["events"] == []
    await add_client_row(exam.services, "regulator", None)
    assert len((await exam.get("/api/v1/events", "regulator"))["events"]) == 4
