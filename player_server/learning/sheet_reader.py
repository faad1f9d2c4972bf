"""From an uploaded file to rows of texts: XLSX, or CSV in UTF-8 or GBK.

What belongs here: the bounds that keep a hostile file from using up the machine, looked at before anything is
parsed. It blocks, for seconds with a large file. What the rows say is read in `policy/sheets.py`.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from dataclasses import dataclass

from python_calamine import CalamineError, CalamineWorkbook

#: An honest sheet of 50,000 rows is about 3 MB, its XML 40 MB.
MOST_PARTS = 500
MOST_INFLATED_BYTES = 256 * 1024 * 1024
#: The reader makes a full table as large as the farthest cell, so that cell must be near.
MOST_COLUMNS = 60
LONGEST_CELL = 2000

_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_CELL = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]+)["']""")
_PIECE = 1024 * 1024
#: A reference that lies on the border of two pieces is found in the second one.
_OVERLAP = 64


class UnreadableSheet(Exception):
    """The file is no sheet that is taken; `code` says why."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows` are numbered from 1 as in the sheet; each is as long as it is."""

    rows: list[list[str]]


def read_table(data: bytes, most_rows: int) -> Sheet:
    """All rows of the file's first sheet, at most `most_rows` below the heading. Raises UnreadableSheet."""
    if not data:
        raise UnreadableSheet("empty_file")
    if data.startswith(_ZIP):
        return Sheet(_xlsx(data, most_rows + 1))
    if data.startswith(_OLD_EXCEL):
        raise UnreadableSheet("old_excel")
    return Sheet(_csv(data, most_rows + 1))


def _xlsx(data: bytes, most_rows: int) -> list[list[str]]:
    try:
        _check_archive(data, most_rows)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        rows = workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, zipfile.BadZipFile, OSError, LookupError, NotImplementedError, RuntimeError, ValueError):
        raise UnreadableSheet("not_a_sheet") from None
    return [[_text(value) for value in row] for row in rows]


def _check_archive(data: bytes, most_rows: int) -> None:
    """Inflate everything once in small pieces: only then is it known how large it really is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_INFLATED_BYTES:
            raise UnreadableSheet("too_large_inside")
        if not any(part.filename == "xl/workbook.xml" for part in parts):
            raise UnreadableSheet("not_a_sheet")
        for part in parts:
            is_sheet = "worksheets/" in part.filename
            tail = b""
            # The archive checks size and checksum at the end: a part that promises less than it holds is refused.
            with archive.open(part) as packed:
                while piece := packed.read(_PIECE):
                    if is_sheet:
                        _check_cells(tail + piece, most_rows)
                        tail = piece[-_OVERLAP:]


def _check_cells(xml: bytes, most_rows: int) -> None:
    for letters, row in _CELL.findall(xml):
        if len(row) > 8 or int(row) > most_rows:
            raise UnreadableSheet("too_many_rows", str(most_rows - 1))
        if len(letters) > 2 or _column_number(letters) > MOST_COLUMNS:
            raise UnreadableSheet("too_many_columns", str(MOST_COLUMNS))


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _csv(data: bytes, most_rows: int) -> list[list[str]]:
    text = _decoded(data)
    if "\0" in text:
        raise UnreadableSheet("not_a_sheet")
    heading = text.partition("\n")[0]
    delimiter = max(",\t;", key=heading.count)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if len(rows) >= most_rows:
                raise UnreadableSheet("too_many_rows", str(most_rows - 1))
            if len(row) > MOST_COLUMNS:
                raise UnreadableSheet("too_many_columns", str(MOST_COLUMNS))
            # Excel shows ="0012" for a text that must not become a number.
            rows.append([_unquoted(each)[:LONGEST_CELL] for each in row])
    except csv.Error:
        raise UnreadableSheet("bad_csv", str(len(rows) + 1)) from None
    return rows


def _decoded(data: bytes) -> str:
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # GB 18030 contains GBK; nearly every UTF-8 text would also pass as GB 18030, so UTF-8 is tried first.
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableSheet("unknown_encoding")


def _unquoted(cell: str) -> str:
    return cell[2:-1] if cell.startswith('="') and cell.endswith('"') else cell.lstrip("\t")


def _text(value: object) -> str:
    """A cell's value as its author sees it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)[:LONGEST_CELL]
