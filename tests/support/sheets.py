"""Sheets as an institution fills them in: rosters and class ledgers, XLSX or CSV, with people who do not exist."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import xlsxwriter

from player_server.policy.id_number import check_character
from player_server.policy.sheets import COLUMNS, Kind


def id_number(serial: int) -> str:
    """A well-formed number of nobody: area 320199 was never given out."""
    block = serial // 999
    body = f"32019919{70 + block // 336}{block // 28 % 12 + 1:02d}{block % 28 + 1:02d}{serial % 999:03d}"
    return body + check_character(body)


def headings(kind: Kind) -> list[str]:
    return [each.heading for each in COLUMNS[kind]]


def learner(serial: int, **values: str) -> list[str]:
    """A good row of a roster; `values` by key put something else into it."""
    row = {
        "name": f"学员{'甲乙丙丁'[serial % 4]}",
        "id_number": id_number(serial),
        "mobile": f"138{serial:08d}",
        "class_name": f"第{serial % 3 + 1}期",
        "specialty": "建筑工程",
        "programme": "jiangsu-constructor-2",
        "issue_date": "2025-03-10",
        "expiry_date": "2028-03-09",
        "deadline": "",
    } | values
    return [row[each.key] for each in COLUMNS["learners"]]


def attendance(serial: int, **values: str) -> list[str]:
    """A good row of a class ledger."""
    row = {
        "name": f"学员{'甲乙丙丁'[serial % 4]}",
        "id_number": id_number(serial),
        "day": "2026-11-02",
        "hours": "16",
        "present": "是",
        "subject": "公共课",
        "class_name": "",
    } | values
    return [row[each.key] for each in COLUMNS["offline"]]


def as_xlsx(*rows: Sequence[object]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
    return buffer.getvalue()


def as_csv(*rows: Sequence[object], encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)
