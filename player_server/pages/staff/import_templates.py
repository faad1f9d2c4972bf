"""The sheets to fill in: one for each kind of import, made on the spot with the institution's own courses."""

from __future__ import annotations

import io

import xlsxwriter

from player_server.policy.sheets import COLUMNS, Kind

_ROWS = 5000
#: A sheet's drop-down list may not be longer than this; then there is none.
_LONGEST_LIST = 250
_EXAMPLES = {
    "name": "张三",
    "id_number": "110101199003077475",
    "mobile": "13800000000",
    "class_name": "2026年第1期",
    "issue_date": "2024-03-10",
    "expiry_date": "2027-03-09",
    "deadline": "（可不填）",
    "day": "2026-11-02",
    "hours": "8",
    "present": "是",
    "subject": "公共课",
    "employer": "某某建筑有限公司",
}
_DATES = ("issue_date", "expiry_date", "deadline", "day")


def template(kind: Kind, programmes: list[str], specialties: list[str]) -> bytes:
    """The XLSX to download. Cells are texts, so that ID numbers keep their digits."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False}) as book:
        heading = book.add_format({"bold": True, "bg_color": "#E7F0EC", "border": 1, "text_wrap": True})
        text = book.add_format({"num_format": "@"})
        sheet = book.add_worksheet("填写")
        sheet.freeze_panes(1, 0)
        lists = {"programme": programmes, "specialty": specialties, "present": ["是", "否"]}
        lists["subject"] = ["公共课", "专业课", "选修课"]
        for index, column in enumerate(COLUMNS[kind]):
            sheet.set_column(index, index, 24 if column.key == "id_number" else 18, text)
            sheet.write_string(0, index, column.heading + ("*" if column.required else ""), heading)
            choices = lists.get(column.key, [])
            if choices and sum(len(each) + 1 for each in choices) <= _LONGEST_LIST:
                # A warning only: two specialties in one cell are right as well.
                rule = {"validate": "list", "source": choices, "error_type": "warning"}
                sheet.data_validation(1, index, _ROWS, index, rule)
        _explain(book, kind, lists)
    return buffer.getvalue()


def _explain(book: xlsxwriter.Workbook, kind: Kind, lists: dict[str, list[str]]) -> None:
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    bold = book.add_format({"bold": True})
    sheet = book.add_worksheet("填写说明")
    sheet.set_column(0, 0, 16)
    sheet.set_column(1, 1, 10)
    sheet.set_column(2, 3, 44)
    for index, title in enumerate(("列", "必填", "示例", "可以填写")):
        sheet.write_string(0, index, title, bold)
    for row, column in enumerate(COLUMNS[kind], 1):
        choices = lists.get(column.key, [])
        example = (
            choices[0] if column.key in ("programme", "specialty") and choices else _EXAMPLES.get(column.key, "")
        )
        allowed = "、".join(choices)
        if column.key == "specialty":
            allowed += "（两个专业之间用顿号）"
        elif column.key in _DATES:
            allowed = "年-月-日"
        for index, value in enumerate((column.heading, "是" if column.required else "", example, allowed)):
            sheet.write_string(row, index, value, wrap)
