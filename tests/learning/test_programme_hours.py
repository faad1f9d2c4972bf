"""What the evaluator is handed: rows of the ledger and of enrolments, as they lie in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from player_server.learning.people import ImpossibleDates, enrol
from player_server.learning.programme_hours import ProgrammeHours, programme_hours
from player_server.learning.services import Services
from player_server.policy.hours import RuleHours
from player_server.storage.tables import enrolment, ledger_entry
from tests.support import school
from tests.support.services import close_services, make_services

ISSUED, EXPIRES = date(2022, 6, 1), date(2025, 5, 31)


def ms(year: int, month: int, day: int) -> int:
    return round(datetime(year, month, day, 4, tzinfo=UTC).timestamp() * 1000)


NOW = ms(2024, 9, 1)


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path)
    yield made
    await close_services(made)


async def judged(services: Services, *learner_ids: int, now: int = NOW) -> list[ProgrammeHours]:
    async with services.db.read() as conn:
        return await programme_hours(conn, services.programmes, learner_ids, now)


async def one_rule(services: Services, learner_id: int, rule: str) -> RuleHours:
    (found,) = await judged(services, learner_id)
    (only,) = [each for each in found.evaluation.rules if each.rule == rule]
    return only


async def add_offline(services: Services, learner_id: int, institution_id: int, hours: int, row: str) -> int:
    """16 hours in class as an import writes them: without course and video."""
    async with services.db.write() as conn:
        made = await conn.execute(
            insert(ledger_entry)
            .values(
                learner_id=learner_id,
                institution_id=institution_id,
                kind="offline",
                subject="public",
                hours=hours,
                round=1,
                entry_type="credit",
                rule_version="import-1",
                occurred_at=ms(2024, 3, 1),
                evidence="{}",
                source="classes.xlsx",
                source_row=row,
            )
            .returning(ledger_entry.c.id)
        )
        return int(made.scalar_one())


async def test_hours_in_class_and_online_hours_meet_in_one_evaluation(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at, hours=(4000,))
    enrolment_id = await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    entry_id = await add_offline(services, pupil.learner_id, at, 1600, "1")
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        lessons.video_ids[0],
        4000,
        institution_id=at,
        occurred_at=ms(2024, 6, 1),
    )
    (found,) = await judged(services, pupil.learner_id)
    assert (found.learner_id, found.enrolment_id) == (pupil.learner_id, enrolment_id)
    assert (found.programme.id, found.evaluation.deadline) == ("jiangsu-constructor-2", date(2025, 5, 1))
    assert found.evaluation.exam and found.evaluation.online_open and not found.evaluation.complete
    assert [each.entry_id for each in (await one_rule(services, pupil.learner_id, "public")).entries] == [entry_id]


@pytest.mark.parametrize("named", [True, False])
async def test_a_reversal_takes_its_entry_back_whether_or_not_it_names_it(services: Services, named: bool) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    day = ms(2024, 6, 1)
    first, second = lessons.video_ids
    kept = await school.add_entry(
        services, pupil.learner_id, lessons, second, 50, institution_id=at, occurred_at=day
    )
    gone = await school.add_entry(
        services, pupil.learner_id, lessons, first, 100, institution_id=at, occurred_at=day
    )
    assert (await one_rule(services, pupil.learner_id, "professional")).counted == 150
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        first,
        -100,
        institution_id=at,
        entry_type="reversal",
        occurred_at=ms(2024, 7, 1),
        reverses=gone if named else None,
    )
    rule = await one_rule(services, pupil.learner_id, "professional")
    assert [(each.entry_id, each.hours) for each in rule.entries] == [(kept, 50)]


async def test_hours_count_for_their_own_specialty_and_their_own_learner(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, other = await school.add_learner(services, at), await school.add_learner(services, at, name="李娜")
    building = await school.add_course(services, at)
    roads = await school.add_course(services, at, "公路", specialty="公路工程")
    for each in (building, roads):
        await school.add_enrolment(
            services, pupil.learner_id, each.course_id, issue_date=ISSUED, expiry_date=EXPIRES
        )
    await school.add_enrolment(
        services, other.learner_id, building.course_id, issue_date=ISSUED, expiry_date=EXPIRES
    )
    await school.add_entry(
        services,
        pupil.learner_id,
        building,
        building.video_ids[0],
        100,
        institution_id=at,
        occurred_at=ms(2024, 6, 1),
    )
    counted = {
        (found.learner_id, found.enrolment_id): rule.counted
        for found in await judged(services, pupil.learner_id, other.learner_id)
        for rule in found.evaluation.rules
        if rule.rule == "professional"
    }
    assert list(counted.values()) == [100, 0, 0]


async def test_what_cannot_be_judged_is_left_out(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    dates = {"issue_date": ISSUED, "expiry_date": EXPIRES}
    learner_id, course_id = pupil.learner_id, lessons.course_id
    await school.add_enrolment(services, learner_id, course_id)
    await school.add_enrolment(services, learner_id, course_id, issue_date=ISSUED)
    await school.add_enrolment(services, learner_id, course_id, programme="unknown", **dates)  # type: ignore[arg-type]
    await school.add_enrolment(services, learner_id, course_id, withdrawn_at=5, **dates)  # type: ignore[arg-type]
    assert await judged(services, learner_id) == []
    assert await judged(services) == []


async def test_the_institution_s_deadline_is_a_day_in_china(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    # 2024-12-31T16:00Z is the first moment of 2025 in China.
    deadline = round(datetime(2024, 12, 31, 16, tzinfo=UTC).timestamp() * 1000)
    await school.add_enrolment(
        services,
        pupil.learner_id,
        lessons.course_id,
        issue_date=ISSUED,
        expiry_date=EXPIRES,
        deadline=deadline,
    )
    (found,) = await judged(services, pupil.learner_id)
    assert found.evaluation.deadline == date(2025, 1, 1)


async def test_enrolling_keeps_the_certificate_s_dates_and_refuses_impossible_ones(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    for issue, expiry in (
        (date(2025, 1, 1), date(2024, 12, 31)),
        (date(202, 1, 1), None),
        (None, date(9999, 12, 31)),
    ):
        async with services.db.write() as conn:
            with pytest.raises(ImpossibleDates):
                await enrol(
                    services,
                    conn,
                    pupil.learner_id,
                    programme="p",
                    course_ids=[lessons.course_id],
                    deadline=None,
                    issue_date=issue,
                    expiry_date=expiry,
                )
    async with services.db.write() as conn:
        await enrol(
            services,
            conn,
            pupil.learner_id,
            programme="re-issue",
            course_ids=[lessons.course_id],
            deadline=None,
            issue_date=ISSUED,
            expiry_date=ISSUED,
        )
        row = (await conn.execute(select(enrolment.c.issue_date, enrolment.c.expiry_date))).one()
    assert tuple(row) == (ISSUED, ISSUED)
