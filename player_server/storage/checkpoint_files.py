"""Signed checkpoints as files, outside the database: what a rewritten database is found out with.

One file each, `FOLDER/DAY/SIZE.checkpoint`, never changed and never removed by the product.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SUFFIX = ".checkpoint"
_DIGITS = 12  # so that names sort as their numbers do


def keep_checkpoint(folder: Path, day: str, size: int, note: str) -> Path:
    """Write one durably and return its file. `day` is the name of the folder in it, e.g. 2026-11-20."""
    path = folder / day / f"{size:0{_DIGITS}d}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(note)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def newest_kept(folder: Path) -> str | None:
    """The newest note of the newest day, or None."""
    days = sorted((each for each in folder.glob("*") if each.is_dir()), reverse=True)
    for day in days:
        files = sorted(day.glob(f"[0-9]*{SUFFIX}"), reverse=True)
        if files:
            return files[0].read_text(encoding="utf-8")
    return None


def checkpoint_files(paths: Iterable[Path]) -> list[Path]:
    """The files that these names mean: a file, or every checkpoint of a folder and those in it."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
    return found
