"""Exports: every number is the ledger's, nobody foreign is there, nothing is a formula, batches never overlap."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from python_calamine import CalamineWorkbook
from sqlalchemy import func, select, update

from player_server.learning.exports import NotAllowed, Wish, ask, recent_exports
from player_server.learning.jobs import Job, job_of
from player_server.learning.registry import ask_batch, batches
from player_server.learning.roster import Filters
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.storage.certificate_tables import registry_batch, registry_batch_entry
from player_server.storage.clock import wall_ms
from player_server.storage.files import read_file_parts
from player_server.storage.job_tables import job
from player_server.storage.tables import audit, learner, ledger_entry, staff
from tests.support import school
from tests.support.processes import until
from workers.runner import Runner

ID_NUMBERS = ("32010219900307001X", "320102199003070028", "320102199003070036")


@dataclass
class Office:
    """An institution with two learners (one of 32, one of 20 of 32 hours), another one's learner, and a worker."""

    services: Services
    institution_id: int
    staff_id: int
    pupils: list[school.Pupil]
    lessons: school.Lessons

    @property
    def scope(self) -> StaffScope:
        return StaffScope(self.staff_id, self.institution_id, None)

    async def export(self, export: str, form: str = "csv", **more: object) -> str:
        wish = Wish(export, form, more.pop("filters", Filters()), bool(more.pop("whole_ids", False)))  # type: ignore[arg-type]
        scope = more.pop("scope", self.scope)
        assert not more and isinstance(scope, StaffScope)
        return await ask(self.services, scope, wish, may_read_ids=True, address="127.0.0.1")

    async def batch(self, batch_id: int | None = None) -> str:
        job_id = await ask_batch(
            self.services, self.scope, "csv", Filters(), may_read_ids=True, batch_id=batch_id, address="127.0.0.1"
        )
        assert job_id is not None
        return job_id

    async def over(self, job_id: str) -> Job:
        async def ended() -> Job | None:
            found = await job_of(self.services, job_id, self.institution_id)
            return found if found is not None and found.over else None

        found = await until(ended)
        assert isinstance(found, Job)
        return found

    async def file(self, job_id: str) -> bytes:
        done = await self.over(job_id)
        assert done.state == "done", done.error
        assert done.done == done.total
        return b"".join([part async for part in read_file_parts(self.services.db, done.result["file"])])

    async def rows(self, job_id: str) -> list[dict[str, str]]:
        text = (await self.file(job_id)).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    async def earn(self, pupil: school.Pupil, hours: int, video: int = 0) -> None:
        await school.add_entry(
            self.services,
            pupil.learner_id,
            self.lessons,
            self.lessons.video_ids[video],
            hours,
            institution_id=self.institution_id,
            occurred_at=wall_ms(),
        )


@pytest_asyncio.fixture
async def office(services: Services) -> AsyncIterator[Office]:
    at = await school.add_institution(services, "示例学校")
    lessons = await school.add_course(services, at, hours=(2000, 1200))
    pupils = []
    for name, number in zip(("=cmd|' /C calc'!A0", "李娜"), ID_NUMBERS, strict=False):
        pupil = await school.add_learner(services, at, person_id=await school.add_person(services, name, number))
        await school.add_enrolment(services, pupil.learner_id, lessons.course_id, programme="re-issue")
        pupils.append(pupil)
    async with services.db.write() as conn:
        await conn.execute(update(learner).where(learner.c.id == pupils[1].learner_id).values(class_name="二班"))
    other = await school.add_institution(services, "另一家")
    foreign = await school.add_learner(
        services, other, person_id=await school.add_person(services, "司马南", ID_NUMBERS[2])
    )
    theirs = await school.add_course(services, other, hours=(3200,))
    await school.add_enrolment(services, foreign.learner_id, theirs.course_id, programme="re-issue")
    await school.add_entry(
        services,
        foreign.learner_id,
        theirs,
        theirs.video_ids[0],
        3200,
        institution_id=other,
        occurred_at=wall_ms(),
    )
    found = Office(services, at, await school.add_staff(services, at), pupils, lessons)
    await found.earn(pupils[0], 2000)
    await found.earn(pupils[0], 1200, 1)
    await found.earn(pupils[1], 2000)
    working = asyncio.create_task(Runner(services, sweep_s=0.05).run())
    yield found
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_the_workbook_says_what_the_ledger_says(office: Office) -> None:
    content = await office.file(await office.export("ledger", "xlsx"))
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    headings, *rows = sheet
    of = {str(row[headings.index("账目编号")]).removesuffix(".0"): row for row in rows}
    async with office.services.db.read() as conn:
        wanted = (
            await conn.execute(
                select(ledger_entry.c.id, ledger_entry.c.hours).where(
                    ledger_entry.c.institution_id == office.institution_id
                )
            )
        ).all()
    assert {str(row.id): row.hours / 100 for row in wanted} == {
        number: row[headings.index("学时")] for number, row in of.items()
    }
    assert {row[1] for row in rows} == {"'=cmd|' /C calc'!A0", "李娜"}
    assert {row[2] for row in rows} == {"320102********001X", "320102********0028"}


async def test_progress_and_hours_agree_with_it(office: Office) -> None:
    progress = await office.rows(await office.export("progress"))
    assert [(row["姓名"], row["已得学时"], row["应得学时"], row["是否修满"]) for row in progress] == [
        ("'=cmd|' /C calc'!A0", "32.0", "32.0", "是"),
        ("李娜", "20.0", "32.0", "否"),
    ]
    hours = await office.rows(await office.export("hours"))
    assert [(row["已修学时"], row["还差学时"], row["全部修满"]) for row in hours] == [
        ("32.0", "0.0", "是"),
        ("20.0", "12.0", "否"),
    ]
    for empty in ("findings", "challenges"):
        assert await office.rows(await office.export(empty)) == []


async def test_filters_and_classes_narrow_it_down(office: Office) -> None:
    own = StaffScope(office.staff_id, office.institution_id, frozenset({"二班"}))
    for job_id in (
        await office.export("progress", filters=Filters(search="李")),
        await office.export("progress", filters=Filters(class_name="二班")),
        await office.export("progress", scope=own),
    ):
        assert [row["姓名"] for row in await office.rows(job_id)] == ["李娜"]
    async with office.services.db.read() as conn:
        arguments = (await conn.scalars(select(job.c.arguments))).all()
    assert not any("李" in each for each in arguments)


async def test_whole_id_numbers_need_the_permission_and_are_recorded(office: Office) -> None:
    rows = await office.rows(await office.export("progress", whole_ids=True))
    assert [row["身份证号"] for row in rows] == list(ID_NUMBERS[:2])
    async with office.services.db.read() as conn:
        noted = (await conn.scalars(select(audit.c.result).where(audit.c.action == "export.progress"))).all()
    assert noted == ["csv, ID numbers whole, everybody"]
    wish = Wish("progress", "csv", Filters(), True)
    with pytest.raises(NotAllowed):
        await ask(office.services, office.scope, wish, may_read_ids=False, address="127.0.0.1")
    async with office.services.db.write() as conn:
        await conn.execute(update(staff).where(staff.c.id == office.staff_id).values(role="auditor"))
    # The right was withdrawn between asking and making.
    late = await office.over(await office.export("progress", whole_ids=True))
    assert (late.state, late.result) == ("failed", {})


async def test_a_batch_has_the_finished_since_the_last_one(office: Office) -> None:
    first = await office.rows(await office.batch())
    assert [(row["身份证号"], row["网络学习学时"], row["合计学时"]) for row in first] == [
        (ID_NUMBERS[0], "32.0", "32.0")
    ]
    assert await office.rows(await office.batch()) == []
    await office.earn(office.pupils[1], 1200, 1)
    third = await office.rows(await office.batch())
    assert [row["身份证号"] for row in third] == [ID_NUMBERS[1]]
    found = await batches(office.services, office.scope)
    assert [(each.number, each.count, each.closed) for each in found] == [(3, 1, True), (2, 0, True), (1, 1, True)]
    assert await office.rows(await office.export("retractions")) == []
    # Made again it says the same, whatever has happened since.
    await school.add_entry(
        office.services,
        office.pupils[0].learner_id,
        office.lessons,
        office.lessons.video_ids[0],
        -2000,
        institution_id=office.institution_id,
        entry_type="reversal",
        occurred_at=wall_ms(),
    )
    assert await office.rows(await office.batch(found[-1].id)) == first
    (retracted,) = await office.rows(await office.export("retractions", whole_ids=True))
    assert (retracted["身份证号"], retracted["批次"]) == (ID_NUMBERS[0], "1")


async def test_a_batch_that_was_collected_twice_has_nobody_twice(office: Office) -> None:
    job_id = await office.batch()
    first = await office.rows(job_id)
    async with office.services.db.write() as conn:
        # As after a worker that died before it could close the batch.
        await conn.execute(update(registry_batch).values(closed_at=None))
        await conn.execute(update(job).where(job.c.id == job_id).values(state="waiting", finished_at=None, tries=0))
    await office.over(job_id)
    assert await office.rows(job_id) == first
    async with office.services.db.read() as conn:
        assert await conn.scalar(select(func.count()).select_from(registry_batch_entry)) == 1


async def test_foreign_batches_and_exports_are_not_there(office: Office) -> None:
    job_id = await office.batch()
    await office.over(job_id)
    (own,) = await batches(office.services, office.scope)
    stranger = StaffScope(office.staff_id + 1, office.institution_id + 1, None)
    assert await batches(office.services, stranger) == []
    for scope in (stranger,):
        asked = await ask_batch(
            office.services, scope, "csv", Filters(), may_read_ids=True, batch_id=own.id, address="127.0.0.1"
        )
        assert asked is None
    assert await recent_exports(office.services, stranger) == []
    assert [each.export for each in await recent_exports(office.services, office.scope)] == ["registry"]
