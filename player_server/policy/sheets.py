"""What the sheets of imports say: their columns, and from a row of texts to values or to everything wrong with it.

What belongs here: rules about one row. What needs the database (known people, courses) is in `learning/`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec

from .course_folder import Subject
from .id_number import IdNumberError, check_id_number

Kind = Literal["learners", "offline", "employer"]
KINDS: tuple[Kind, ...] = ("learners", "offline", "employer")

LONGEST_TEXT = 60
#: Nobody is taught longer in one day, so more is a slip.
MOST_HOURS_A_DAY = 1600
YEARS = range(1980, 2101)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `heading` is what the template has; `also` are other headings that are understood."""

    key: str
    heading: str
    required: bool = False
    also: tuple[str, ...] = ()


_NAME = Column("name", "姓名", True, ("学员姓名",))
_ID = Column("id_number", "身份证号", True, ("身份证号码", "身份证", "公民身份号码"))
_CLASS = Column("class_name", "班级", False, ("班级名称", "班次"))

COLUMNS: Mapping[Kind, tuple[Column, ...]] = {
    "learners": (
        _NAME,
        _ID,
        Column("mobile", "手机号", False, ("手机号码", "手机", "联系电话", "电话")),
        _CLASS,
        Column("specialty", "专业", True, ("报考专业", "注册专业")),
        Column("programme", "培训项目", True, ("项目",)),
        Column("issue_date", "发证日期", False, ("证书发证日期", "签发日期")),
        Column("expiry_date", "有效期至", False, ("证书有效期", "有效期", "到期日期")),
        Column("deadline", "学习截止日期", False, ("截止日期",)),
    ),
    "offline": (
        _NAME,
        _ID,
        Column("day", "培训日期", True, ("日期", "上课日期")),
        Column("hours", "学时", True, ("课时", "学时数")),
        Column("present", "是否出勤", True, ("出勤", "到课", "签到")),
        Column("subject", "课程类别", False, ("类别",)),
        _CLASS,
    ),
    "employer": (
        _NAME,
        _ID,
        Column("day", "培训日期", True, ("日期",)),
        Column("hours", "学时", True, ("课时", "学时数")),
        Column("employer", "单位名称", True, ("用人单位", "单位")),
        Column("subject", "课程类别", False, ("类别",)),
    ),
}

SUBJECTS: Mapping[str, Subject] = {
    "公共课": "public",
    "公共": "public",
    "公共课程": "public",
    "专业课": "professional",
    "专业": "professional",
    "专业课程": "professional",
    "选修课": "elective",
    "选修": "elective",
    "选修课程": "elective",
}
_PRESENT = frozenset(("是", "出勤", "到", "已到", "√", "✓", "y", "yes", "1", "true", "签到"))
_ABSENT = frozenset(("否", "缺勤", "未到", "×", "x", "✗", "n", "no", "0", "false", "请假", "未签到"))
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_PLAIN_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_SEPARATORS = re.compile(r"[、,，;；/]+")
_NUMBER_STORED = re.compile(r"[0-9](\.[0-9]+)?[eE]\+?1[0-9]|[0-9]{15}000")


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with one cell. `detail` is what was found there, never of an ID or telephone number."""

    heading: str
    code: str
    detail: str = ""


class LearnerRow(msgspec.Struct, frozen=True):
    """One learner as the sheet says it."""

    name: str
    id_number: str
    mobile: str
    class_name: str
    specialties: tuple[str, ...]
    programme: str
    issue_date: date | None
    expiry_date: date | None
    deadline: date | None


class HoursRow(msgspec.Struct, frozen=True):
    """One learner's hours of one day. `hours` in hundredths; not `present`: nothing is to be recorded."""

    name: str
    id_number: str
    day: date
    hours: int
    present: bool
    subject: Subject
    employer: str


def find_columns(kind: Kind, headings: Sequence[str]) -> tuple[dict[str, int], tuple[Fault, ...]]:
    """Key → index of its column in the sheet, in whatever order they stand; faults for what is missing or twice."""
    plain = [_plain(each).removesuffix("*").strip() for each in headings]
    found: dict[str, int] = {}
    faults = []
    for column in COLUMNS[kind]:
        places = [index for index, each in enumerate(plain) if each in (column.heading, *column.also)]
        if len(places) > 1:
            faults.append(Fault(column.heading, "column_twice"))
        if places:
            found[column.key] = places[0]
        elif column.required:
            faults.append(Fault(column.heading, "column_missing"))
    return found, tuple(faults)


def read_learner(cells: Mapping[str, str]) -> tuple[LearnerRow | None, tuple[Fault, ...]]:
    """The learner of a row, or None and every fault of it."""
    reading = _Reading("learners", cells)
    name, number = reading.name(), reading.id_number()
    row = LearnerRow(
        name=name,
        id_number=number,
        mobile=reading.mobile(),
        class_name=reading.text("class_name"),
        specialties=reading.specialties(),
        programme=reading.text("programme"),
        issue_date=reading.day("issue_date"),
        expiry_date=reading.day("expiry_date"),
        deadline=reading.day("deadline"),
    )
    if row.issue_date and row.expiry_date and row.expiry_date <= row.issue_date:
        reading.fault("expiry_date", "expiry_before_issue", row.expiry_date.isoformat())
    return (None if reading.faults else row), tuple(reading.faults)


def read_choices(cells: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """The specialties and the programme that a learner's row names, "" if none, whatever else is wrong with it."""
    reading = _Reading("learners", cells)
    return reading.specialties(), reading.text("programme")


def read_hours(kind: Kind, cells: Mapping[str, str], today: date) -> tuple[HoursRow | None, tuple[Fault, ...]]:
    """The hours of a row, or None and every fault of it. `today` in China: nothing can be taught after it."""
    reading = _Reading(kind, cells)
    name, number = reading.name(), reading.id_number()
    day = reading.day("day")
    if day is not None and day > today:
        reading.fault("day", "day_in_future", day.isoformat())
    present = reading.present() if kind == "offline" else True
    hours = reading.hours() if present else 0
    subject = reading.subject("public" if kind == "offline" else "professional")
    employer = reading.text("employer") if kind == "employer" else ""
    if reading.faults or day is None:
        return None, tuple(reading.faults)
    return HoursRow(name, number, day, hours, present, subject, employer), ()


class _Reading:
    """Reads one row's cells and collects what is wrong."""

    def __init__(self, kind: Kind, cells: Mapping[str, str]) -> None:
        self._columns = {each.key: each for each in COLUMNS[kind]}
        self._cells = cells
        self.faults: list[Fault] = []

    def fault(self, key: str, code: str, detail: str = "") -> None:
        self.faults.append(Fault(self._columns[key].heading, code, detail[:LONGEST_TEXT]))

    def text(self, key: str) -> str:
        value = _plain(self._cells.get(key, ""))
        if not value and self._columns[key].required:
            self.fault(key, "missing")
        elif len(value) > LONGEST_TEXT:
            self.fault(key, "too_long", f"{len(value)}")
        elif value.startswith(("=", "+", "-", "@")):
            # It would be a formula again in the next sheet that it is exported to.
            self.fault(key, "formula", value)
        elif any(unicodedata.category(each) in ("Cc", "Cs", "Co") for each in value):
            self.fault(key, "odd_characters")
        return value

    def specialties(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for each in _SEPARATORS.split(self.text("specialty")) if each.strip()))

    def name(self) -> str:
        value = self.text("name")
        if value and not any(each.isalpha() for each in value):
            self.fault("name", "not_a_name", value)
        return value

    def id_number(self) -> str:
        value = _plain(self._cells.get("id_number", ""))
        if not value:
            self.fault("id_number", "missing")
            return ""
        try:
            return check_id_number(value)
        except IdNumberError as error:
            # Honest numbers may end with three zeros; only one that is wrong has lost its digits that way.
            stored = _NUMBER_STORED.fullmatch(value)
            self.fault("id_number", "stored_as_number" if stored else f"id_{error.fault}")
            return ""

    def mobile(self) -> str:
        value = re.sub(r"[\s-]", "", _plain(self._cells.get("mobile", ""))).removeprefix("+86")
        if value and not _MOBILE.fullmatch(value):
            self.fault("mobile", "not_a_mobile")
        return value

    def day(self, key: str) -> date | None:
        value = _plain(self._cells.get(key, ""))
        if not value:
            if self._columns[key].required:
                self.fault(key, "missing")
            return None
        # A sheet's date may bring a time of day along.
        found = _DATE.fullmatch(value.split()[0].split("T")[0]) or _PLAIN_DATE.fullmatch(value)
        try:
            day = date(*(int(each) for each in found.groups())) if found else None
        except ValueError:
            day = None
        if day is None or day.year not in YEARS:
            self.fault(key, "not_a_date", value)
            return None
        return day

    def hours(self) -> int:
        value = _plain(self._cells.get("hours", "")).removesuffix("学时").strip()
        if not value:
            self.fault("hours", "missing")
            return 0
        try:
            hundredths = Decimal(value) * 100
        except InvalidOperation:
            hundredths = Decimal("NaN")
        if not hundredths.is_finite() or hundredths <= 0 or hundredths != int(hundredths):
            self.fault("hours", "not_hours", value)
            return 0
        if hundredths > MOST_HOURS_A_DAY:
            self.fault("hours", "too_many_hours", value)
        return int(hundredths)

    def present(self) -> bool:
        value = self.text("present").lower()
        if value and value not in _PRESENT and value not in _ABSENT:
            self.fault("present", "not_yes_or_no", value)
        return value in _PRESENT

    def subject(self, usual: Subject) -> Subject:
        value = self.text("subject")
        if value and value not in SUBJECTS:
            self.fault("subject", "unknown_subject", value)
        return SUBJECTS.get(value, usual)


def _plain(text: str) -> str:
    """A cell as it is meant: full-width digits and letters made plain, invisible characters and blanks gone."""
    found = unicodedata.normalize("NFKC", text)
    return "".join(each for each in found if unicodedata.category(each) != "Cf").strip()
