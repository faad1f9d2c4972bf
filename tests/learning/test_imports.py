"""Imports through their use cases and a real worker: all or nothing, twice is once, visible at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Row, func, select, update

from player_server.auth.initial_secrets import initial_hash
from player_server.learning import imports, jobs
from player_server.learning.import_secrets import give_secrets
from player_server.learning.imports import Uploader, apply_import, check_import, confirm, discard, receive
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.sheets import Kind
from player_server.storage import import_rows
from player_server.storage.import_tables import import_problem, import_run
from player_server.storage.job_tables import job
from player_server.storage.tables import enrolment, enrolment_course, learner, ledger_entry, outbox, person
from tests.support import school
from tests.support.sheets import as_csv, as_xlsx, attendance, headings
from tests.support.sheets import learner as row_of

ROSTER = headings("learners")


@dataclass(frozen=True, slots=True)
class Office:
    """An institution's desk."""

    services: Services
    who: Uploader
    lessons: school.Lessons

    async def upload(self, content: bytes, kind: Kind = "learners") -> int:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        import_id, job_id = await receive(self.services, self.who, kind, pieces(), "名册.xlsx")
        await self.work(job_id)
        return import_id

    async def confirm(self, import_id: int) -> None:
        job_id = await confirm(self.services, self.who, import_id)
        assert job_id is not None
        await self.work(job_id)

    async def work(self, job_id: str) -> None:
        """Be the worker for one job."""
        run = await jobs.claim(self.services, job_id)
        assert run is not None
        kinds = {imports.CHECK: check_import, imports.APPLY: apply_import}
        assert await jobs.finish(run, await kinds[run.kind](self.services, run))

    async def run(self, import_id: int) -> Row[Any]:
        async with self.services.db.read() as conn:
            return (await conn.execute(select(import_run).where(import_run.c.id == import_id))).one()

    async def problems(self, import_id: int) -> list[tuple[int | None, str | None, str]]:
        async with self.services.db.read() as conn:
            rows = await import_rows.problems_page(conn, import_id, offset=0, limit=100)
        return [(each["number"], each["heading"], each["code"]) for each in rows]

    async def rows(self, *columns: Any) -> Sequence[Row[Any]]:
        async with self.services.db.read() as conn:
            return (await conn.execute(select(*columns))).all()

    async def visible(self) -> int:
        """How many learners the staff see."""
        scope = StaffScope(self.who.staff_id, self.who.institution_id, None)
        async with self.services.db.read() as conn:
            query = select(func.count()).select_from(learner).where(*scope.learners())
            return int(await conn.scalar(query) or 0)


@pytest_asyncio.fixture
async def office(services: Services) -> Office:
    at = await school.add_institution(services, "甲校")
    staff_id = await school.add_staff(services, at)
    return Office(services, Uploader(staff_id, at, "127.0.0.1"), await school.add_course(services, at))


async def test_a_roster_is_checked_confirmed_and_all_there(office: Office) -> None:
    import_id = await office.upload(as_xlsx(ROSTER, *(row_of(each) for each in range(5))))
    run = await office.run(import_id)
    assert (run.state, run.row_count, run.new_count, run.problem_count) == ("checked", 5, 5, 0)
    assert await office.visible() == 0 and await office.rows(person.c.id) == []
    await office.confirm(import_id)
    assert (await office.run(import_id)).state == "applied" and await office.visible() == 5
    enrolments = await office.rows(enrolment.c.programme, enrolment.c.offline_missing, enrolment.c.deadline)
    # 30 days before the certificate expires, the last minute of that day in China.
    assert set(enrolments) == {("jiangsu-constructor-2", True, 1833638340000)} and len(enrolments) == 5
    assert {row.course_id for row in await office.rows(enrolment_course.c.course_id)} == {office.lessons.course_id}
    numbers = {office.services.keys.decrypt(row[0]) for row in await office.rows(learner.c.mobile_cipher)}
    assert numbers == {row_of(each)[2] for each in range(5)}
    assert [row[0] for row in await office.rows(learner.c.hidden_by_import)] == [None] * 5


async def test_one_bad_row_and_nothing_comes_in(office: Office) -> None:
    await school.add_person(office.services, "别人", row_of(4)[1])
    sheet = as_csv(
        ROSTER,
        row_of(0),
        row_of(1, id_number="123", specialty="园林绿化", programme="没有"),
        [],
        row_of(2, specialty="园林绿化", programme="没有"),
        row_of(0),
        row_of(3, expiry_date=""),
        row_of(4),
        encoding="gbk",
    )
    import_id = await office.upload(sheet)
    assert await office.problems(import_id) == [
        (3, "身份证号", "id_length"),
        (3, "专业", "no_course"),
        (3, "培训项目", "unknown_programme"),
        (5, "专业", "no_course"),
        (5, "培训项目", "unknown_programme"),
        (6, "身份证号", "twice"),
        (7, "有效期至", "date_needed"),
        (8, "姓名", "name_differs"),
    ]
    assert (await office.run(import_id)).state == "faulty"
    assert await confirm(office.services, office.who, import_id) is None
    assert await office.visible() == 0


async def test_the_same_file_twice_changes_nothing_and_a_changed_one_only_what_it_says(office: Office) -> None:
    sheet = as_xlsx(ROSTER, row_of(0), row_of(1))
    await office.confirm(await office.upload(sheet))
    before = await office.rows(learner), await office.rows(enrolment)
    again = await office.upload(sheet)
    assert (await office.run(again)).same_count == 2
    await office.confirm(again)
    assert (await office.rows(learner), await office.rows(enrolment)) == before
    other = await office.upload(as_xlsx(ROSTER, row_of(0, class_name="新班", deadline="2027-01-31"), row_of(1)))
    run = await office.run(other)
    assert (run.new_count, run.changed_count, run.same_count) == (0, 1, 1)
    await office.confirm(other)
    assert sorted(row[0] for row in await office.rows(learner.c.class_name)) == ["新班", "第2期"]
    assert len(await office.rows(enrolment.c.id)) == 2


async def test_nothing_is_visible_before_the_switch_and_a_failure_takes_all_of_it_away(office: Office) -> None:
    import_id = await office.upload(as_xlsx(ROSTER, *(row_of(each) for each in range(120))))
    # After the check another institution brings in the last one under another name.
    await school.add_person(office.services, "别人", row_of(119)[1])
    seen = []

    async def look() -> None:
        while True:
            seen.append(await office.visible())
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await office.confirm(import_id)
    looking.cancel()
    run = await office.run(import_id)
    assert (run.state, run.fault) == ("failed", "name_differs")
    assert set(seen) == {0}
    assert await office.rows(learner.c.id) == [] and await office.rows(enrolment.c.id) == []
    assert [row.name for row in await office.rows(person.c.name)] == ["别人"]


async def test_a_job_that_died_half_way_is_finished_by_the_next_worker(office: Office) -> None:
    import_id = await office.upload(as_xlsx(ROSTER, *(row_of(each) for each in range(120))))
    job_id = await confirm(office.services, office.who, import_id)
    assert job_id is not None
    dead = await jobs.claim(office.services, job_id)
    assert dead is not None
    async with office.services.db.write() as conn:
        await conn.execute(update(job).where(job.c.id == job_id).values(lease_until=0))
    second = await jobs.claim(office.services, job_id)
    assert second is not None
    with pytest.raises(jobs.JobLost):
        dead._written_at = -1e9
        await apply_import(office.services, dead)
    assert await office.visible() == 0 and 0 < len(await office.rows(learner.c.id)) < 120
    await apply_import(office.services, second)
    assert await office.visible() == 120 == len(await office.rows(person.c.id))


async def test_hours_in_class_open_online_study_once(office: Office) -> None:
    await office.confirm(await office.upload(as_xlsx(ROSTER, row_of(0), row_of(1))))
    ledger = headings("offline")
    sheet = as_xlsx(
        ledger,
        attendance(0, hours="8"),
        attendance(0, day="2026-11-03", hours="8"),
        attendance(1, hours="8"),
        attendance(1, day="2026-11-03", present="否"),
    )
    await office.confirm(await office.upload(sheet, "offline"))
    entries = await office.rows(ledger_entry.c.kind, ledger_entry.c.subject, ledger_entry.c.hours)
    assert [tuple(each) for each in entries] == [("offline", "public", 800)] * 3
    open_ = await office.rows(enrolment.c.learner_id, enrolment.c.offline_missing)
    assert sorted(row.offline_missing for row in open_) == [False, True]
    assert {row.topic for row in await office.rows(outbox.c.topic)} >= {"hours.credited"}
    again = await office.upload(sheet, "offline")
    assert (await office.run(again)).same_count == 4
    await office.confirm(again)
    assert len(await office.rows(ledger_entry.c.id)) == 3
    wrong = await office.upload(
        as_csv(ledger, attendance(0, hours="6"), attendance(9), attendance(1, name="别人")), "offline"
    )
    assert [code for _, _, code in await office.problems(wrong)] == [
        "recorded_otherwise",
        "unknown_learner",
        "name_differs",
    ]


async def test_hours_in_class_that_were_there_before_the_enrolment_open_it(office: Office) -> None:
    await office.confirm(await office.upload(as_xlsx(ROSTER, row_of(0, programme="re-issue"))))
    await office.confirm(await office.upload(as_xlsx(headings("offline"), attendance(0)), "offline"))
    await office.confirm(await office.upload(as_xlsx(ROSTER, row_of(0))))
    rows = await office.rows(enrolment.c.programme, enrolment.c.offline_missing)
    assert sorted(tuple(each) for each in rows) == [("jiangsu-constructor-2", False), ("re-issue", False)]


async def test_secrets_are_given_once_and_only_to_whom_the_import_brought_in(office: Office) -> None:
    await school.add_person(office.services, "学员乙", row_of(1)[1])
    import_id = await office.upload(as_xlsx(ROSTER, row_of(0), row_of(1)))
    await office.confirm(import_id)
    lines = await give_secrets(office.services, office.who, import_id, again=False)
    assert lines is not None and [each.name for each in lines] == ["学员甲"]
    hashes = {row[0] for row in await office.rows(person.c.initial_hash)}
    assert hashes == {None, initial_hash(office.services.keys, lines[0].secret)}
    assert await give_secrets(office.services, office.who, import_id, again=False) is None
    again = await give_secrets(office.services, office.who, import_id, again=True)
    assert again is not None and again[0].secret != lines[0].secret
    foreign = Uploader(office.who.staff_id, await school.add_institution(office.services, "乙校"), "")
    assert await give_secrets(office.services, foreign, import_id, again=True) is None
    assert await confirm(office.services, foreign, import_id) is None
    assert not await discard(office.services, foreign, import_id)


async def test_a_file_that_is_no_sheet_is_refused_with_the_reason(office: Office) -> None:
    for content, code in ((b"\xd0\xcf\x11\xe0\xa1\xb1", "old_excel"), (as_csv(ROSTER), "no_rows")):
        import_id = await office.upload(content)
        assert (await office.run(import_id)).state == "unreadable"
        assert [each[2] for each in await office.problems(import_id)] == [code]
        assert await discard(office.services, office.who, import_id)
        assert await office.rows(import_problem.c.code) == []
