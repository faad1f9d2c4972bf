"""Events: one a credit, one a reversal, and one when a course or a gate of a programme becomes complete."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from player_server.learning.events import emit, tell_of_entries
from player_server.learning.findings import open_findings, record_finding
from player_server.learning.services import Services
from player_server.storage.clock import wall_ms
from player_server.storage.tables import enrolment, ledger_entry, outbox
from telemetry.findings import FindingKind
from tests.support import school
from tests.support.school import Lessons


async def events(services: Services) -> list[tuple[str, dict[str, Any]]]:
    async with services.db.read() as conn:
        rows = (await conn.execute(select(outbox).order_by(outbox.c.id))).all()
    assert all(json.loads(row.payload)["institution"] == row.institution_id for row in rows)
    return [(row.topic, json.loads(row.payload)) for row in rows]


async def write(services: Services, at: int, learner_id: int, lessons: Lessons, hours: int, **more: Any) -> int:
    """One offline entry and its events, in one transaction."""
    values: dict[str, Any] = {
        "learner_id": learner_id,
        "institution_id": at,
        "course_id": lessons.course_id,
        "kind": "offline",
        "subject": "professional",
        "hours": hours,
        "round": 1,
        "entry_type": "credit",
        "rule_version": "test",
        "occurred_at": wall_ms() - 1,
        "evidence": "{}",
    }
    async with services.db.write() as conn:
        row = insert(ledger_entry).values(**(values | more)).returning(ledger_entry.c.id)
        entry_id = int((await conn.execute(row)).scalar_one())
        await tell_of_entries(conn, services.programmes, [entry_id], wall_ms())
    return entry_id


async def test_the_entry_that_completes_a_programme_tells_so_once_and_again_after_a_reversal(
    services: Services,
) -> None:
    at = await school.add_institution(services, "示例")
    learner_id = (await school.add_learner(services, at)).learner_id
    lessons = await school.add_course(services, at)
    enrolment_id = await school.add_enrolment(services, learner_id, lessons.course_id)
    async with services.db.write() as conn:
        today = date.today()
        terms = {"programme": "re-issue", "issue_date": today.replace(year=today.year - 1, day=1)}
        await conn.execute(update(enrolment).where(enrolment.c.id == enrolment_id).values(**terms))
    await write(services, at, learner_id, lessons, 3100)
    last = await write(services, at, learner_id, lessons, 100)
    await write(services, at, learner_id, lessons, 100)
    told = await events(services)
    credited = ("hours.credited", None, None)
    assert [(topic, data.get("enrolment"), data.get("gate")) for topic, data in told] == [
        credited,
        credited,
        ("hours.completed", enrolment_id, "exam"),
        ("hours.completed", enrolment_id, "cycle"),
        credited,
    ]
    await write(
        services, at, learner_id, lessons, -100, entry_type="reversal", reverses=last, source="x", source_row="1"
    )
    topic, data = (await events(services))[-1]
    assert (topic, data["reverses"], data["hours"]) == ("hours.reversed", last, "-1.00")
    await write(
        services, at, learner_id, lessons, -3100, entry_type="reversal", reverses=1, source="x", source_row="2"
    )
    await write(services, at, learner_id, lessons, 3100)
    assert [topic for topic, _ in await events(services)].count("hours.completed") == 4


async def test_one_source_is_told_once_and_an_unknown_topic_not_at_all(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    for expected in (True, False):
        async with services.db.write() as conn:
            told = await emit(
                conn,
                "deadline.near",
                institution_id=at,
                learner_id=7,
                data={"days": 30},
                now_ms=5,
                source="deadline:1:30",
            )
        assert told is expected
    ((topic, data),) = await events(services)
    assert topic == "deadline.near"
    assert data == {"institution": at, "learner": 7, "occurred_at": 5, "days": 30}
    async with services.db.write() as conn:
        with pytest.raises(ValueError, match=r"hours\.earned"):
            await emit(conn, "hours.earned", institution_id=at, learner_id=7, data={}, now_ms=5)


async def test_a_finding_is_told_once_when_people_should_look_at_it(services: Services) -> None:
    at, other = [await school.add_institution(services, name) for name in ("示例", "另一家")]
    pupil = await school.add_learner(services, at)
    elsewhere = await school.add_learner(services, other, person_id=pupil.person_id)

    async def found(kind: FindingKind, source: str, learner_id: int | None) -> None:
        async with services.db.write() as conn:
            await record_finding(
                conn, kind, source=source, person_id=pupil.person_id, learner_id=learner_id, at=wall_ms()
            )

    for number in range(4):
        await found(FindingKind.REPLAY, f"session-{number}", pupil.learner_id)
    assert await open_findings(services) == 0, "four are what happens to honest people"
    await found(FindingKind.REPLAY, "session-4", pupil.learner_id)
    assert await open_findings(services) == 1 and await open_findings(services) == 0
    # What belongs to no account concerns both institutions.
    await found(FindingKind.PHONE_REUSED, "phone", None)
    assert await open_findings(services) == 2
    told = await events(services)
    assert [(topic, data["learner"], data["kind"], data["count"]) for topic, data in told] == [
        ("finding.opened", pupil.learner_id, "replay", 5),
        ("finding.opened", pupil.learner_id, "phone_reused", 1),
        ("finding.opened", elsewhere.learner_id, "phone_reused", 1),
    ]
    assert told[0][1]["rating"] == "review"
