"""Sheets written row by row into a file: XLSX and CSV, in constant memory however many rows there are.

Every text goes through `policy.cells.safe_cell`; numbers stay numbers.
"""

from __future__ import annotations

import asyncio
import csv
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Protocol

import xlsxwriter

from player_server.policy.cells import safe_cell

Cell = str | int | float | None
Format = Literal["xlsx", "csv"]

CONTENT_TYPES: dict[Format, str] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}
#: What one sheet of a workbook can hold below its headings; the rest goes on in a further sheet.
MOST_ROWS = 1_000_000
_READ_BYTES = 256 * 1024
_WIDEST = 40


class Sheet(Protocol):
    """A sheet under way. `add` rows, then `finish`, then read `chunks`; `drop` in any case."""

    async def add(self, rows: Iterable[Sequence[Cell]]) -> None: ...
    async def finish(self) -> None: ...
    def chunks(self) -> AsyncIterator[bytes]: ...
    def drop(self) -> None: ...


def open_sheet(form: Format, name: str, headings: Sequence[str]) -> Sheet:
    """A new sheet with these headings; `name` is the tab's in a workbook, at most 28 characters."""
    return _Workbook(name, headings) if form == "xlsx" else _Csv(headings)


class _File:
    def __init__(self, name: str) -> None:
        # A folder of its own: the library keeps its own temporary files beside the result.
        self.folder = Path(tempfile.mkdtemp(prefix="xueshi-sheet-"))
        self.path = self.folder / name

    async def chunks(self) -> AsyncIterator[bytes]:
        """The finished file, a part at a time."""
        with self.path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _READ_BYTES):
                yield chunk

    def drop(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _Csv(_File):
    def __init__(self, headings: Sequence[str]) -> None:
        super().__init__("sheet.csv")
        # The mark at the beginning tells spreadsheet programs that it is UTF-8; they would guess GBK.
        self._file: IO[str] = self.path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(headings)

    async def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        self._writer.writerows([safe_cell(each) if isinstance(each, str) else each for each in row] for row in rows)

    async def finish(self) -> None:
        self._file.close()

    def drop(self) -> None:
        self._file.close()
        super().drop()


class _Workbook(_File):
    def __init__(self, name: str, headings: Sequence[str]) -> None:
        super().__init__("sheet.xlsx")
        self._name, self._headings = name, headings
        self._book = xlsxwriter.Workbook(
            str(self.path),
            {
                "constant_memory": True,
                "tmpdir": str(self.folder),
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._bold = self._book.add_format({"bold": True, "bg_color": "#E6F0F8", "bottom": 1})
        self._hours = self._book.add_format({"num_format": "0.00"})
        self._sheets = 0
        self._row = 0
        self._closed = False
        self._new_sheet()

    def _new_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(self._name if self._sheets == 1 else f"{self._name} {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        for column, heading in enumerate(self._headings):
            # A Chinese character is as wide as two others.
            self._sheet.set_column(column, column, min(_WIDEST, max(12, 2 * len(heading) + 4)))
        for column, heading in enumerate(self._headings):
            self._sheet.write_string(0, column, heading, self._bold)
        self._row = 0

    async def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        for row in rows:
            if self._row == MOST_ROWS:
                self._new_sheet()
            self._row += 1
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    self._sheet.write_string(self._row, column, safe_cell(cell))
                elif isinstance(cell, float):
                    self._sheet.write_number(self._row, column, cell, self._hours)
                elif cell is not None:
                    self._sheet.write_number(self._row, column, cell)

    async def finish(self) -> None:
        # Packing takes seconds for a large sheet; it lets go of the interpreter while it does.
        self._closed = True
        await asyncio.to_thread(self._book.close)

    def drop(self) -> None:
        if not self._closed:
            with suppress(Exception):
                self._book.close()
        super().drop()
