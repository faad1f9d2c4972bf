"""What one row of an imported sheet may say, and what is said about each thing wrong with it."""

from __future__ import annotations

from datetime import date

import pytest

from player_server.policy.id_number import check_character
from player_server.policy.sheets import find_columns, read_hours, read_learner

GOOD = {
    "name": " 欧阳·娜 ",
    "id_number": "１１０１０１１９９００３０７７４７５",
    "mobile": "138 0000 0000",
    "class_name": "第1期",
    "specialty": "建筑工程、机电工程",
    "programme": "jiangsu-constructor-2",
    "issue_date": "2025年3月10日",
    "expiry_date": "2028/3/9",
}
TODAY = date(2026, 11, 20)


def faults_of(**values: str) -> list[tuple[str, str]]:
    row, faults = read_learner(GOOD | values)
    assert (row is None) == bool(faults)
    return [(each.heading, each.code) for each in faults]


def test_a_learner_is_read_however_the_sheet_writes_it() -> None:
    row, faults = read_learner(GOOD)
    assert faults == () and row is not None
    assert (row.name, row.id_number, row.mobile) == ("欧阳·娜", "110101199003077475", "13800000000")
    assert row.specialties == ("建筑工程", "机电工程")
    assert (row.issue_date, row.expiry_date, row.deadline) == (date(2025, 3, 10), date(2028, 3, 9), None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": ""}, ("姓名", "missing")),
        ({"name": "=cmd|' /C calc'!A0"}, ("姓名", "formula")),
        ({"name": "12345"}, ("姓名", "not_a_name")),
        ({"id_number": "3.20102199003078E+17"}, ("身份证号", "stored_as_number")),
        ({"id_number": "320102199003077000"}, ("身份证号", "stored_as_number")),
        ({"id_number": "110101199003077476"}, ("身份证号", "id_checksum")),
        ({"id_number": "11010119900307747"}, ("身份证号", "id_length")),
        ({"id_number": "110101199013077475"}, ("身份证号", "id_date")),
        ({"mobile": "0551-1234567"}, ("手机号", "not_a_mobile")),
        ({"issue_date": "2025-02-30"}, ("发证日期", "not_a_date")),
        ({"issue_date": "45726"}, ("发证日期", "not_a_date")),
        ({"expiry_date": "2024-01-01"}, ("有效期至", "expiry_before_issue")),
        ({"class_name": "长" * 61}, ("班级", "too_long")),
        ({"specialty": " "}, ("专业", "missing")),
    ],
)
def test_each_thing_wrong_is_named_with_its_column(values: dict[str, str], expected: tuple[str, str]) -> None:
    assert faults_of(**values) == [expected]


def test_an_honest_number_that_ends_with_zeros_is_taken() -> None:
    number = next(
        body + "0"
        for body in (f"1101011990{day:04d}100" for day in range(101, 129))
        if check_character(body) == "0"
    )
    assert faults_of(id_number=number) == []


def test_everything_wrong_with_a_row_is_said_at_once_and_never_the_number_itself() -> None:
    _, faults = read_learner(GOOD | {"name": "", "id_number": "123", "issue_date": "x"})
    assert [each.code for each in faults] == ["missing", "id_length", "not_a_date"]
    assert all("123" not in each.detail for each in faults)


def test_columns_are_found_in_any_order_by_any_known_heading() -> None:
    found, faults = find_columns("learners", ["专业", "身份证号码*", "学员姓名", "备注", "培训项目 "])
    assert faults == () and found == {"specialty": 0, "id_number": 1, "name": 2, "programme": 4}
    _, faults = find_columns("offline", ["姓名", "姓名", "身份证"])
    assert [(each.heading, each.code) for each in faults] == [
        ("姓名", "column_twice"),
        ("培训日期", "column_missing"),
        ("学时", "column_missing"),
        ("是否出勤", "column_missing"),
    ]


def test_hours_of_a_day() -> None:
    cells = {"name": "张三", "id_number": "110101199003077475", "day": "20261102", "hours": "7.5", "present": "√"}
    row, faults = read_hours("offline", cells, TODAY)
    assert faults == () and row is not None
    assert (row.day, row.hours, row.present, row.subject) == (date(2026, 11, 2), 750, True, "public")
    absent, faults = read_hours("offline", cells | {"present": "缺勤", "hours": ""}, TODAY)
    assert absent is not None and not absent.present and faults == ()
    for values, code in (
        ({"hours": "-1"}, "not_hours"),
        ({"hours": "NaN"}, "not_hours"),
        ({"hours": "1.005"}, "not_hours"),
        ({"hours": "16.5"}, "too_many_hours"),
        ({"present": "也许"}, "not_yes_or_no"),
        ({"day": "2026-11-21"}, "day_in_future"),
        ({"subject": "体育"}, "unknown_subject"),
    ):
        _, faults = read_hours("offline", cells | values, TODAY)
        assert [each.code for each in faults] == [code], values
