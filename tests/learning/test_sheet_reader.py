"""Files that are no sheets, or are built to use up the machine, are refused before they are parsed."""

from __future__ import annotations

import io
import zipfile

import pytest

from player_server.learning.sheet_reader import UnreadableSheet, read_table
from tests.support.sheets import as_csv, as_xlsx

MOST_ROWS = 1000


def bomb() -> bytes:
    """A sheet of 2 MB that inflates to 400."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(400):
                part.write(bytes(1024 * 1024))
    return content.getvalue()


def far_cell() -> bytes:
    content = io.BytesIO()
    sheet = '<worksheet><sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (bomb(), "too_large_inside"),
        (far_cell(), "too_many_rows"),
        (b"PK\x03\x04 nothing", "not_a_sheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old_excel"),
        ("姓名\n\0".encode(), "not_a_sheet"),
        (b"\xff\xff\xff", "unknown_encoding"),
        (as_csv(*([["a"]] * (MOST_ROWS + 2))), "too_many_rows"),
        (as_xlsx(*([["a"]] * (MOST_ROWS + 2))), "too_many_rows"),
        (as_csv(["a"] * 61), "too_many_columns"),
        (b'a,"b\n', "bad_csv"),
    ],
)
def test_what_is_no_sheet_is_refused_with_the_reason(content: bytes, code: str) -> None:
    with pytest.raises(UnreadableSheet) as refused:
        read_table(content, MOST_ROWS)
    assert refused.value.code == code


def test_sheets_of_every_kind_give_the_same_rows() -> None:
    rows = [["姓名", "学时"], ["欧阳𠮷", "1.5"], ["", ""], ["李娜", "=1+1"]]
    assert [len(read_table(as_xlsx(*rows), MOST_ROWS).rows), read_table(as_xlsx(*rows), MOST_ROWS).rows] == [
        4,
        rows,
    ]
    for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16"):
        assert read_table(as_csv(*rows, encoding=encoding), MOST_ROWS).rows == rows, encoding
    assert len(read_table(as_csv(*([["a"]] * (MOST_ROWS + 1))), MOST_ROWS).rows) == MOST_ROWS + 1


def test_numbers_and_dates_of_a_sheet_read_as_people_see_them() -> None:
    assert read_table(as_xlsx([8, 7.5, True, 320102199003077896]), MOST_ROWS).rows == [
        ["8", "7.5", "true", "3.201021990030779e+17"]
    ]
