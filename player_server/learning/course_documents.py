"""Reads YAML and XLSX files into documents that know where each value was written.

What belongs here: bytes in, a document or its problems out, and the bounds that keep a hostile file from
using up the machine. What a document must say is decided in ``policy/``.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile

import yaml
from python_calamine import CalamineError, CalamineWorkbook

from player_server.policy.course_document import Fields, Items, Node, Place, Problem, Text, problem

DOCUMENT_LIMIT_BYTES = 1024 * 1024
"""A quiz of 200 questions is about 100 KiB."""

MAX_DEPTH = 12
"""How deeply a YAML document may be nested; a quiz needs four."""

SHEET_LIMIT_BYTES = 32 * 1024 * 1024
"""How large a sheet may become when it is unpacked."""

SHEET_LIMIT_ROWS, SHEET_LIMIT_COLUMNS = 5000, 100
"""The reader makes a full table as large as the farthest cell, so that cell must be near."""


class _BadDocument(Exception):
    def __init__(self, found: Problem) -> None:
        super().__init__(found.code)
        self.found = found


def read_yaml(data: bytes, file: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """The document of a YAML file, every value as it was typed. ``file`` is the name used in places.

    Values have no types: ``0.50`` stays ``0.50`` and ``no`` is a word. There is no document when it cannot be
    read to the end.
    """
    try:
        return _yaml_document(data, file)
    except _BadDocument as error:
        return None, (error.found,)


def read_sheet(data: bytes, file: str) -> tuple[list[list[Text]] | None, tuple[Problem, ...]]:
    """All rows of the first sheet of an XLSX file, each cell with its place such as ``B3``."""
    try:
        _check_sheet_size(data, file)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        rows = workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except _BadDocument as error:
        return None, (error.found,)
    except (CalamineError, zipfile.BadZipFile, OSError, IndexError, NotImplementedError, RuntimeError):
        return None, (problem("sheet_unreadable", Place(file)),)
    return [
        [
            Text(Place(file, cell=f"{column_name(column)}{number}"), _typed(value))
            for column, value in enumerate(row)
        ]
        for number, row in enumerate(rows, 1)
    ], ()


def column_name(index: int) -> str:
    """The letters of a column, counted from 0: A, B, … Z, AA."""
    return (column_name(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _yaml_document(data: bytes, file: str) -> tuple[Node, tuple[Problem, ...]]:
    if len(data) > DOCUMENT_LIMIT_BYTES:
        raise _BadDocument(problem("file_too_large", Place(file), limit=DOCUMENT_LIMIT_BYTES // 1024))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _BadDocument(problem("not_utf8", Place(file, line))) from error
    try:
        events = list(_checked_events(text, file))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _BadDocument(problem("yaml_syntax", Place(file, line), reason=error.reason)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What was never closed is noticed after the end of the file, where an author would look in vain.
        place = Place(file, min(mark.line, text.rstrip().count("\n")) + 1 if mark else None)
        reason = error.problem or error.context or ""
        raise _BadDocument(problem("yaml_syntax", place, reason=reason)) from error
    problems: list[Problem] = []
    events.reverse()
    return _node(events, file, problems), tuple(problems)


def _checked_events(text: str, file: str) -> list[yaml.Event]:
    """The events of the only document, without those that open and close it."""
    kept: list[yaml.Event] = []
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = _place(event, file)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _BadDocument(problem("yaml_syntax", place, reason="---"))
        # An alias can make a small file huge, and a tag can ask for any type; neither helps an author.
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise _BadDocument(problem("yaml_alias", place))
        if getattr(event, "tag", None) is not None:
            raise _BadDocument(problem("yaml_alias", place))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _BadDocument(problem("yaml_too_deep", place))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            kept.append(event)
    return kept


def _node(events: list[yaml.Event], file: str, problems: list[Problem]) -> Node:
    """The node that the last of the reversed events opens; takes all its events away."""
    if not events:
        return Text(Place(file, 1), "")
    event = events.pop()
    place = _place(event, file)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(events[-1], yaml.SequenceEndEvent):
            items.append(_node(events, file, problems))
        events.pop()
        return Items(place, tuple(items))
    if isinstance(event, yaml.MappingStartEvent):
        fields: list[tuple[Text, Node]] = []
        seen: set[str] = set()
        while not isinstance(events[-1], yaml.MappingEndEvent):
            key, value = _node(events, file, problems), _node(events, file, problems)
            if not isinstance(key, Text):
                problems.append(problem("not_a_text", key.place, key="?"))
            elif key.value in seen:
                problems.append(problem("duplicate_key", key.place, key=key.value))
            else:
                seen.add(key.value)
                fields.append((key, value))
        events.pop()
        return Fields(place, tuple(fields))
    typed: str = getattr(event, "value", "")
    plain_null = getattr(event, "style", None) is None and typed in ("~", "null")
    return Text(place, "" if plain_null else typed.strip())


def _place(event: yaml.Event, file: str) -> Place:
    return Place(file, event.start_mark.line + 1 if event.start_mark else None)


def _check_sheet_size(data: bytes, file: str) -> None:
    if len(data) > DOCUMENT_LIMIT_BYTES:
        raise _BadDocument(problem("file_too_large", Place(file), limit=DOCUMENT_LIMIT_BYTES // 1024))
    too_large = _BadDocument(problem("sheet_too_large", Place(file)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > SHEET_LIMIT_BYTES:
            raise too_large
        for part in archive.infolist():
            if "worksheets" not in part.filename:
                continue
            with archive.open(part) as packed:
                xml = packed.read(SHEET_LIMIT_BYTES + 1)
            for letters, row in re.findall(rb"""\br\s*=\s*["']([A-Za-z]*)([0-9]+)["']""", xml):
                far = len(letters) > 2 or _column_number(letters) > SHEET_LIMIT_COLUMNS
                if far or len(row) > 7 or int(row) > SHEET_LIMIT_ROWS:
                    raise too_large


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _typed(value: object) -> str:
    """A cell's value as its author sees it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value).strip()
