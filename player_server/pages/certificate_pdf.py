"""A certificate as a PDF: A4, drawn in a process of its own.

What belongs here: layout, fonts and characters. A process of its own, because drawing holds the interpreter for
about half a second, and people who watch on the same server would wait for it. The texts come from
`pages/certificate_sheet.py`; nothing here knows a rule.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from fpdf import FPDF

#: How many are drawn at once in one server; others wait their turn.
AT_ONCE = 2
#: A drawing that takes longer is given up, in seconds. It is polite, so on a busy machine it takes its time.
LONGEST_S = 60.0
#: The drawing process is polite to the server beside it.
NICE = 10
#: Exit status: characters are missing; they stand in the output.
MISSING = 3

_turns = asyncio.Semaphore(AT_ONCE)


class Order(msgspec.Struct, frozen=True):
    """What is to be drawn, in words. `fonts`: files, the best first. `revoked`: "" while it is valid."""

    fonts: list[str]
    title: str
    number_label: str
    number: str
    statement: str
    facts: list[tuple[str, str]]
    headings: list[str]
    rows: list[tuple[str, ...]]
    issued_by: str
    issued_on: str
    verify_url: str
    verify_hint: str
    revoked: str

    @property
    def texts(self) -> str:
        """Every character that is drawn."""
        parts = [self.title, self.number_label, self.number, self.statement, self.issued_by, self.issued_on]
        parts += [self.verify_url, self.verify_hint, self.revoked, *self.headings]
        parts += [text for pair in self.facts for text in pair]
        parts += [text for row in self.rows for text in row]
        return "".join(parts)


class MissingCharacters(Exception):
    """No font of this system has these characters. Nothing was drawn: an empty box would be a wrong name."""

    def __init__(self, characters: str) -> None:
        super().__init__(f"no font has {characters.encode('unicode_escape').decode()}")
        self.characters = characters


class DrawingFailed(Exception):
    """The process ended without a PDF; the message is for the log."""


async def draw(order: Order) -> bytes:
    """The PDF. Raises MissingCharacters, or DrawingFailed."""
    async with _turns:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                output, errors = await process.communicate(msgspec.json.encode(order))
        except TimeoutError:
            raise DrawingFailed(f"not done in {LONGEST_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == MISSING:
        raise MissingCharacters(output.decode())
    if process.returncode != 0 or not output.startswith(b"%PDF"):
        raise DrawingFailed(errors.decode(errors="replace")[-2000:])
    return output


def main() -> int:
    """The drawing process: an Order as JSON comes in, a PDF (or the missing characters) goes out."""
    os.nice(NICE)
    # The library warns of each missing character; we look ourselves before anything is drawn.
    logging.disable(logging.WARNING)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    pdf = _new_page()
    missing = _load_fonts(pdf, order.fonts, order.texts)
    if missing:
        sys.stdout.buffer.write(missing.encode())
        return MISSING
    _draw(pdf, order)
    sys.stdout.buffer.write(bytes(pdf.output()))
    return 0


def _new_page() -> FPDF:
    from fpdf import FPDF

    pdf = FPDF(format="A4")
    pdf.set_margins(26, 26, 26)
    pdf.set_auto_page_break(True, margin=26)
    return pdf


def _load_fonts(pdf: FPDF, paths: Sequence[str], texts: str) -> str:
    """Load as many fonts as the texts need, the first for what it has; the characters that none has."""
    missing = {each for each in texts if not each.isspace()}
    loaded: list[str] = []
    for number, path in enumerate(paths):
        if loaded and not missing:
            break
        name = f"font{number}"
        pdf.add_font(name, fname=path, collection_font_number=_face(path))
        found: Any = pdf.fonts[name]
        if loaded and not any(ord(each) in found.cmap for each in missing):
            continue
        loaded.append(name)
        missing = {each for each in missing if ord(each) not in found.cmap}
    if loaded:
        pdf.set_font(loaded[0])
        pdf.set_fallback_fonts(loaded[1:])
    return "".join(sorted(missing))


def _face(path: str) -> int:
    """Of a collection the face for simplified Chinese: the same character looks different in Japan."""
    if not path.lower().endswith(".ttc"):
        return 0
    from fontTools.ttLib import TTCollection

    with TTCollection(path, lazy=True) as collection:
        for number, font in enumerate(collection.fonts):
            name = font["name"].getDebugName(4) or ""
            if "SC" in name.split() and "Mono" not in name.split():
                return number
    return 0


def _draw(pdf: FPDF, order: Order) -> None:
    from fpdf.enums import TableBordersLayout, WrapMode, XPos, YPos
    from fpdf.fonts import FontFace

    family = pdf.font_family
    pdf.set_title(f"{order.title} {order.number}")
    pdf.set_lang("zh-CN")
    pdf.add_page()
    _frame(pdf)
    below: dict[str, Any] = {"new_x": XPos.LMARGIN, "new_y": YPos.NEXT}
    pdf.set_font(family, size=32)
    pdf.set_char_spacing(6)
    pdf.cell(0, 20, order.title, align="C", **below)
    pdf.set_char_spacing(0)
    pdf.set_font(family, size=10.5)
    pdf.set_text_color(90)
    pdf.cell(0, 8, f"{order.number_label} {order.number}", align="C", **below)
    pdf.set_text_color(0)
    if order.revoked:
        pdf.ln(3)
        pdf.set_text_color(168, 36, 28)
        pdf.set_draw_color(168, 36, 28)
        pdf.set_font(family, size=13)
        pdf.multi_cell(0, 9, order.revoked, border=1, align="C", **below)
        pdf.set_text_color(0)
    pdf.ln(8)
    pdf.set_font(family, size=14)
    # Chinese has no spaces to break at; without this a long name would be pushed to a line of its own.
    pdf.multi_cell(0, 10, order.statement, align="L", wrapmode=WrapMode.CHAR, **below)
    pdf.ln(4)
    pdf.set_font(family, size=11)
    for label, text in order.facts:
        pdf.set_text_color(90)
        pdf.cell(44, 8, label)
        pdf.set_text_color(0)
        pdf.multi_cell(0, 8, text, wrapmode=WrapMode.CHAR, **below)
    pdf.ln(5)
    pdf.set_draw_color(150)
    pdf.set_font(family, size=9.5)
    with pdf.table(
        col_widths=(32, 44, 17, 17, 48),
        text_align=("LEFT", "LEFT", "RIGHT", "RIGHT", "LEFT"),
        line_height=6,
        padding=1.2,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(family=family, emphasis="", color=70),
        wrapmode=WrapMode.CHAR,
    ) as table:
        for texts in (order.headings, *order.rows):
            cells = table.row()
            for text in texts:
                cells.cell(text)
    _foot(pdf, order, family)


#: The foot must not be cut in two: QR code, hint and who issued it, in millimetres.
FOOT_MM = 46
QR_MM = 34


def _foot(pdf: FPDF, order: Order, family: str) -> None:
    """The QR code at the left, who issued it and when at the right; at the end of the last page."""
    from fpdf.enums import WrapMode

    if pdf.get_y() + FOOT_MM + 6 > pdf.h - 26:
        pdf.add_page()
        _frame(pdf)
    top = pdf.h - 26 - FOOT_MM
    _qr(pdf, order.verify_url, pdf.l_margin, top)
    pdf.set_font(family, size=12)
    pdf.set_xy(pdf.l_margin + QR_MM + 6, top + 6)
    width = pdf.w - pdf.r_margin - pdf.get_x()
    pdf.multi_cell(width, 8, order.issued_by, align="R", wrapmode=WrapMode.CHAR, new_x="LEFT", new_y="NEXT")
    pdf.cell(width, 8, order.issued_on, align="R", new_x="LEFT", new_y="NEXT")
    pdf.set_xy(pdf.l_margin, top + QR_MM + 2)
    pdf.set_font(family, size=9)
    pdf.set_text_color(90)
    pdf.cell(0, 5, order.verify_hint, new_x="LMARGIN", new_y="NEXT")
    pdf.cell(0, 5, order.verify_url, link=order.verify_url)


def _frame(pdf: FPDF) -> None:
    """Two lines around the page."""
    pdf.set_draw_color(23, 87, 143)
    pdf.set_line_width(0.9)
    pdf.rect(12, 12, pdf.w - 24, pdf.h - 24)
    pdf.set_line_width(0.2)
    pdf.rect(14.5, 14.5, pdf.w - 29, pdf.h - 29)


def _qr(pdf: FPDF, text: str, left: float, top: float) -> None:
    import segno

    matrix = segno.make(text, error="m", micro=False).matrix
    size = QR_MM / len(matrix)
    pdf.set_fill_color(0)
    for line, row in enumerate(matrix):
        for column, dark in enumerate(row):
            if dark:
                pdf.rect(left + column * size, top + line * size, size, size, style="F")


if __name__ == "__main__":
    sys.exit(main())
