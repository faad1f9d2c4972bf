"""Checking an uploaded sheet: every fault by row and column, and what each good row would change.

What belongs here: what needs known people, courses and hours. What one row may say is in `policy/sheets.py`;
nothing here changes anything but the import's own rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.identity import id_columns
from player_server.learning.services import Services
from player_server.policy.findings import CHINA_OFFSET_MS, DAY_MS
from player_server.policy.names import same_name
from player_server.policy.sheets import Fault, HoursRow, Kind, LearnerRow, read_choices, read_hours, read_learner
from player_server.storage.keys import Keys
from player_server.storage.ledger_imports import known_entries, source_row_of
from player_server.storage.tables import course, enrolment, enrolment_course, learner, person

_EPOCH = date(1970, 1, 1)
#: Keys in one IN list: SQLite takes 32,766 parameters, and short lists keep reads short.
AT_ONCE = 500


class LearnerPlan(msgspec.Struct, frozen=True):
    """What a row of the roster asks for beside the person. `deadline` in UTC ms."""

    class_name: str
    programme: str
    course_ids: tuple[int, ...]
    issue_date: date | None
    expiry_date: date | None
    deadline: int | None
    offline_missing: bool
    enrolment_id: int | None  # known already: only its dates and courses change


class HoursPlan(msgspec.Struct, frozen=True):
    """What a row of hours asks for. `hours` in hundredths."""

    day: date
    hours: int
    subject: str
    employer: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """One row of the sheet after its own rules: either `row` with its keyed columns, or `faults`."""

    number: int
    row: LearnerRow | HoursRow | None
    columns: dict[str, str]
    mobile_cipher: str | None
    faults: tuple[Fault, ...]
    #: Of a faulty learner: the specialties and the programme, which are checked all the same.
    choices: tuple[tuple[str, ...], str] = ((), "")


@dataclass(frozen=True, slots=True)
class Checked:
    """One good row: what it would do. `outcome`: new | changed | same."""

    number: int
    columns: dict[str, str]
    name: str
    mobile_cipher: str | None
    data: str
    outcome: str
    learner_id: int | None


def parse_rows(
    kind: Kind, keys: Keys, columns: Mapping[str, int], rows: Sequence[tuple[int, list[str]]], today: date
) -> list[Parsed]:
    """Read rows by their own rules and make what the database will look them up by. Blocks for a while."""
    parsed = []
    for number, cells in rows:
        values = {key: cells[index] if index < len(cells) else "" for key, index in columns.items()}
        if not any(each.strip() for each in cells):
            continue
        row: LearnerRow | HoursRow | None
        if kind == "learners":
            row, faults = read_learner(values)
        else:
            row, faults = read_hours(kind, values, today)
        if row is None:
            choices = read_choices(values) if kind == "learners" else ((), "")
            parsed.append(Parsed(number, None, {}, None, faults, choices))
            continue
        mobile = keys.encrypt(row.mobile) if isinstance(row, LearnerRow) and row.mobile else None
        parsed.append(Parsed(number, row, id_columns(keys, row.id_number), mobile, ()))
    return parsed


@dataclass(slots=True)
class Checker:
    """Checks the rows of one sheet in order; remembers what came before, to find what stands twice."""

    services: Services
    institution_id: int
    kind: Kind
    courses: dict[str, list[int]] = field(default_factory=dict)  # open ones, by specialty
    programmes: dict[str, str] = field(default_factory=dict)  # id, by id and by name
    seen: dict[str, int] = field(default_factory=dict)

    async def prepare(self, conn: AsyncConnection) -> None:
        """Read what the whole sheet is checked against."""
        for loaded in self.services.programmes.values():
            self.programmes |= {loaded.id: loaded.id, loaded.programme.name.zh: loaded.id}
        found: dict[str, list[int]] = defaultdict(list)
        query = select(course.c.id, course.c.specialty).where(
            course.c.institution_id == self.institution_id, course.c.closed_at.is_(None)
        )
        for row in await conn.execute(query.order_by(course.c.id)):
            found[row.specialty].append(row.id)
        self.courses = dict(found)

    async def check(
        self, conn: AsyncConnection, parsed: Sequence[Parsed]
    ) -> tuple[list[Checked], list[tuple[int, Fault]]]:
        """(good rows, faults with their row numbers)."""
        good, faults = [], [(each.number, fault) for each in parsed for fault in each.faults]
        known = await self._known(conn, [each.columns["id_hash"] for each in parsed if each.row is not None])
        enrolments: Mapping[int, list[Any]] = {}
        entries: Mapping[str, Any] = {}
        ids = [row.learner_id for row in known.values() if row.learner_id is not None]
        if self.kind == "learners":
            enrolments = await _enrolments(conn, ids)
        else:
            entries = await known_entries(conn, self.kind, ids)
        for each in parsed:
            if each.row is None:
                # Every fault is named at once, also those that only the database knows.
                told = {fault.heading for fault in each.faults}
                faults += [(each.number, new) for new in self._unknown(*each.choices) if new.heading not in told]
                continue
            found = known.get(each.columns["id_hash"])
            if isinstance(each.row, LearnerRow):
                result = self._learner(each, each.row, found, enrolments)
            else:
                result = self._hours(each, each.row, found, entries)
            if isinstance(result, Checked):
                good.append(result)
            else:
                faults += [(each.number, fault) for fault in result]
        faults.sort(key=lambda each: each[0])
        return good, faults

    def _twice(self, key: str, number: int, heading: str) -> list[Fault]:
        first = self.seen.setdefault(key, number)
        return [] if first == number else [Fault(heading, "twice", str(first))]

    def _unknown(self, specialties: Sequence[str], programme: str) -> list[Fault]:
        faults = [Fault("专业", "no_course", each) for each in specialties if each not in self.courses]
        if programme and programme not in self.programmes:
            faults.append(Fault("培训项目", "unknown_programme", programme))
        return faults

    def _learner(
        self, parsed: Parsed, row: LearnerRow, known: Any, enrolments: Mapping[int, list[Any]]
    ) -> Checked | list[Fault]:
        faults = self._twice(parsed.columns["id_hash"], parsed.number, "身份证号")
        if known is not None and not same_name(known.name, row.name):
            faults.append(Fault("姓名", "name_differs"))
        if known is not None and known.hidden_by_import is not None:
            faults.append(Fault("身份证号", "in_other_import"))
        programme_id = self.programmes.get(row.programme)
        course_ids = [each for specialty in row.specialties for each in self.courses.get(specialty, [])]
        faults += self._unknown(row.specialties, row.programme)
        if programme_id is None:
            return faults
        rules = self.services.programmes[programme_id].programme
        if rules.needs_issue and row.issue_date is None:
            faults.append(Fault("发证日期", "date_needed"))
        if rules.needs_expiry and row.expiry_date is None:
            faults.append(Fault("有效期至", "date_needed"))
        if faults:
            return faults
        last_day = row.deadline
        if last_day is None and rules.finish is not None and row.expiry_date is not None:
            last_day = row.expiry_date - timedelta(days=rules.finish.days_before_expiry)
        learner_id = None if known is None else known.learner_id
        enrolled = next(
            (each for each in enrolments.get(learner_id or 0, []) if each["programme"] == programme_id), None
        )
        plan = LearnerPlan(
            class_name=row.class_name,
            programme=programme_id,
            course_ids=tuple(sorted(set(course_ids))),
            issue_date=row.issue_date,
            expiry_date=row.expiry_date,
            deadline=None if last_day is None else _end_of_day(last_day),
            offline_missing=bool(rules.online_after),
            enrolment_id=None if enrolled is None else enrolled["id"],
        )
        return Checked(
            parsed.number,
            parsed.columns,
            row.name,
            parsed.mobile_cipher,
            msgspec.json.encode(plan).decode(),
            self._outcome(plan, row, known, enrolled),
            learner_id,
        )

    def _outcome(self, plan: LearnerPlan, row: LearnerRow, known: Any, enrolled: Any) -> str:
        if known is None or known.learner_id is None:
            return "new"
        mobile = self.services.keys.decrypt(known.mobile_cipher) if known.mobile_cipher else ""
        if enrolled is None or (plan.class_name and plan.class_name != (known.class_name or "")):
            return "changed"
        if row.mobile and row.mobile != mobile:
            return "changed"
        same = (
            plan.issue_date == enrolled["issue_date"]
            and plan.expiry_date == enrolled["expiry_date"]
            and plan.deadline == enrolled["deadline"]
            and set(plan.course_ids) <= enrolled["courses"]
        )
        return "same" if same else "changed"

    def _hours(
        self, parsed: Parsed, row: HoursRow, known: Any, entries: Mapping[str, Any]
    ) -> Checked | list[Fault]:
        if known is None or known.learner_id is None or known.hidden_by_import is not None:
            return [Fault("身份证号", "unknown_learner")]
        if not same_name(known.name, row.name):
            return [Fault("姓名", "name_differs")]
        key = source_row_of(known.learner_id, row.day, row.subject)
        faults = self._twice(key, parsed.number, "培训日期")
        entry = entries.get(key)
        if entry is not None and row.present and entry.reversed:
            faults.append(Fault("学时", "was_reversed", row.day.isoformat()))
        elif entry is not None and (not row.present or entry.hours != row.hours):
            faults.append(Fault("学时", "recorded_otherwise", row.day.isoformat()))
        if faults:
            return faults
        plan = HoursPlan(day=row.day, hours=row.hours, subject=row.subject, employer=row.employer)
        outcome = "new" if row.present and entry is None else "same"
        data = msgspec.json.encode(plan).decode()
        return Checked(parsed.number, parsed.columns, row.name, None, data, outcome, known.learner_id)

    async def _known(self, conn: AsyncConnection, hashes: Sequence[str]) -> dict[str, Any]:
        """Hash → person with the account at this institution, if there is one."""
        found: dict[str, Any] = {}
        own = and_(learner.c.person_id == person.c.id, learner.c.institution_id == self.institution_id)
        for start in range(0, len(hashes), AT_ONCE):
            query = (
                select(
                    person.c.id_hash,
                    person.c.name,
                    learner.c.id.label("learner_id"),
                    learner.c.class_name,
                    learner.c.mobile_cipher,
                    learner.c.hidden_by_import,
                )
                .outerjoin_from(person, learner, own)
                .where(person.c.id_hash.in_(hashes[start : start + AT_ONCE]))
            )
            found |= {row.id_hash: row for row in await conn.execute(query)}
        return found


async def _enrolments(conn: AsyncConnection, learner_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Learner → enrolments that are not withdrawn, each with its courses."""
    found: dict[int, dict[int, Any]] = defaultdict(dict)
    for start in range(0, len(learner_ids), AT_ONCE):
        query = (
            select(enrolment, enrolment_course.c.course_id)
            .outerjoin_from(enrolment, enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
            .where(
                enrolment.c.learner_id.in_(learner_ids[start : start + AT_ONCE]), enrolment.c.withdrawn_at.is_(None)
            )
        )
        for row in (await conn.execute(query)).mappings():
            one = found[row["learner_id"]].setdefault(row["id"], {**row, "courses": set()})
            one["courses"].add(row["course_id"])
    return {learner_id: list(each.values()) for learner_id, each in found.items()}


def _end_of_day(day: date) -> int:
    """The last minute of a day in China, UTC ms."""
    return ((day - _EPOCH).days + 1) * DAY_MS - CHINA_OFFSET_MS - 60_000
