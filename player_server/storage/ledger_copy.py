"""Reading the ledger out of a copy of the database, without the server: an SQLite file, PostgreSQL, or its dump.

Nothing is ever written, and nothing of the product has to run.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from player_server.policy.ledger_log import ENTRY_COLUMNS, Leaf

_NUMBERS = frozenset(
    (
        "id",
        "learner_id",
        "institution_id",
        "course_id",
        "video_id",
        "hours",
        "round",
        "occurred_at",
        "reverses",
    )
)
_COLUMNS = ", ".join(f"entry.{name} AS of_{name}" for name in ENTRY_COLUMNS)
_LEAVES = (
    "SELECT leaf.position, leaf.entry_id, leaf.hash, leaf.logged_at, "  # noqa: S608  # Made of constants alone.
    f"{_COLUMNS} FROM ledger_leaf AS leaf LEFT JOIN ledger_entry AS entry ON entry.id = leaf.entry_id "
    "ORDER BY leaf.position"
)
_UNLOGGED = (
    "SELECT entry.id FROM ledger_entry AS entry "
    "LEFT JOIN ledger_leaf AS leaf ON leaf.entry_id = entry.id WHERE leaf.position IS NULL ORDER BY entry.id"
)
_COPY = re.compile(r'COPY (?:"?\w+"?\.)?"?(ledger_entry|ledger_leaf)"? \((.+)\) FROM stdin;')
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class CopyError(Exception):
    """The copy cannot be read; the message is one line."""


class LedgerCopy:
    """`leaves` once, in the order of their positions; then `unlogged` has the ids of entries without a leaf."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.unlogged: list[int] = []

    async def leaves(self) -> AsyncIterator[Leaf]:
        """Raises CopyError."""
        if re.match(r"postgres(ql)?(\+\w+)?://", self._source):
            async for leaf in self._of_postgres():
                yield leaf
            return
        for leaf in self._of_file(Path(self._source.removeprefix("sqlite+aiosqlite:///"))):
            yield leaf

    async def _of_postgres(self) -> AsyncIterator[Leaf]:
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", self._source)
        try:
            conn = await asyncpg.connect(url)
            try:
                # One instant: what is written meanwhile is seen neither here nor there.
                async with conn.transaction(isolation="repeatable_read", readonly=True):
                    async for row in conn.cursor(_LEAVES, prefetch=1000):
                        yield _leaf(dict(row))
                    self.unlogged = [row["id"] for row in await conn.fetch(_UNLOGGED)]
            finally:
                await conn.close()
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise CopyError(f"PostgreSQL: {error}") from None

    def _of_file(self, path: Path) -> Iterator[Leaf]:
        try:
            with path.open("rb") as file:
                start = file.read(16)
        except OSError as error:
            raise CopyError(f"{path}: {error.strerror}") from None
        if start.startswith(b"SQLite format 3"):
            yield from self._of_sqlite(path)
        elif start.startswith(b"PGDMP"):
            raise CopyError(f"{path}: a compressed dump; make it readable with pg_restore -f dump.sql {path.name}")
        else:
            yield from self._of_dump(path)

    def _of_sqlite(self, path: Path) -> Iterator[Leaf]:
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as conn:
                conn.row_factory = sqlite3.Row
                # A text that somebody has spoilt is read all the same, so that its position can be named.
                conn.text_factory = _text
                conn.execute("BEGIN")
                for row in conn.execute(_LEAVES):
                    yield _leaf(dict(row))
                self.unlogged = [row["id"] for row in conn.execute(_UNLOGGED)]
        except sqlite3.Error as error:
            raise CopyError(f"{path}: {error}") from None

    def _of_dump(self, path: Path) -> Iterator[Leaf]:
        tables = _read_dump(path)
        entries = {int(row["id"] or 0): _entry(row) for row in tables["ledger_entry"]}
        logged = set()
        for row in sorted(tables["ledger_leaf"], key=lambda each: int(each["position"] or 0)):
            entry_id = int(row["entry_id"] or 0)
            logged.add(entry_id)
            position, at = int(row["position"] or 0), int(row["logged_at"] or 0)
            yield Leaf(position, entry_id, row["hash"] or "", at, entries.get(entry_id))
        self.unlogged = sorted(entries.keys() - logged)


def _text(written: bytes) -> str:
    return written.decode("utf-8", "surrogateescape")


def _leaf(row: Mapping[str, Any]) -> Leaf:
    """SQLite keeps whatever is written into a column: what is no number there names no place, entry or moment."""
    entry = {name: row[f"of_{name}"] for name in ENTRY_COLUMNS}
    position, entry_id, at = (
        value if isinstance(value, int) else None for value in (row["position"], row["entry_id"], row["logged_at"])
    )
    return Leaf(
        -1 if position is None else position,
        entry_id or 0,
        str(row["hash"]),
        at,
        None if entry["id"] is None else entry,
    )


def _entry(row: Mapping[str, str | None]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in ENTRY_COLUMNS:
        value = row[name]
        values[name] = int(value) if value is not None and name in _NUMBERS else value
    return values


def _read_dump(path: Path) -> dict[str, list[dict[str, str | None]]]:
    """Both tables of a plain dump of pg_dump."""
    found: dict[str, list[dict[str, str | None]]] = {}
    columns: list[str] | None = None
    rows: list[dict[str, str | None]] = []
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                line = line.removesuffix("\n")
                if columns is None:
                    begin = _COPY.fullmatch(line)
                    if begin:
                        columns = [name.strip(' "') for name in begin[2].split(",")]
                        rows = found.setdefault(begin[1], [])
                elif line == "\\.":
                    columns = None
                else:
                    rows.append(dict(zip(columns, map(_unescape, line.split("\t")), strict=True)))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CopyError(f"{path}: {error}") from None
    missing = {"ledger_entry", "ledger_leaf"} - found.keys()
    if missing:
        raise CopyError(f"{path}: neither an SQLite file nor a plain dump with {' and '.join(sorted(missing))}")
    return found


def _unescape(text: str) -> str | None:
    if text == r"\N":
        return None
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
