"""Reads a course folder from the disk: ``course.yaml``, and every file it names.

What belongs here: finding and reading the files, safely. What they must say is decided in
``policy/course_folder.py``, and nothing is stored or imported here. It blocks, for seconds with long
videos; callers on the event loop use ``asyncio.to_thread``.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from player_server.policy.course_document import Place, Problem, errors, problem
from player_server.policy.course_folder import (
    COURSE_FILE,
    CaptionFacts,
    CoursePlan,
    VideoFacts,
    draft_course,
    plan_course,
)
from player_server.policy.quiz_content import QuizContent
from player_server.policy.quiz_document import quiz_of_document, quiz_of_sheet
from player_server.storage.media import CAPTION_LIMIT_BYTES, BadMedia, probe, probe_caption

from .course_documents import DOCUMENT_LIMIT_BYTES, read_sheet, read_yaml

Progress = Callable[[str], None]
"""Called with the name of each file before it is looked at."""


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """A folder's course, or None when there is any error, and all errors and warnings in reading order."""

    plan: CoursePlan | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those problems that stop an import."""
        return errors(self.problems)


def check_folder(folder: Path, progress: Progress | None = None) -> CheckedFolder:
    """Read a whole course folder and find every error at once.

    Changes nothing, raises nothing for bad files.
    """
    problems: list[Problem] = []
    path = _found(folder, COURSE_FILE, Place(COURSE_FILE), problems)
    data = _read(path, Place(COURSE_FILE), problems) if path else None
    if data is None:
        return CheckedFolder(None, tuple(problems))
    document, found = read_yaml(data, COURSE_FILE)
    problems.extend(found)
    if document is None:
        return CheckedFolder(None, tuple(problems))
    draft, found = draft_course(document)
    problems.extend(found)
    reader = _Reader(folder, problems, progress or (lambda name: None))
    for video in draft.videos:
        reader.video(video.file.value, video.file.place)
        if video.quiz:
            reader.quiz(video.quiz.value, video.quiz.place)
    plan, found = plan_course(draft, problems, reader.videos, reader.quizzes, reader.captions)
    return CheckedFolder(plan, found)


class _Reader:
    """Looks at each named file once, however often it is named, and keeps what was found by its name."""

    def __init__(self, folder: Path, problems: list[Problem], progress: Progress) -> None:
        self.videos: dict[str, VideoFacts] = {}
        self.quizzes: dict[str, QuizContent] = {}
        self.captions: dict[str, CaptionFacts] = {}
        self._folder, self._problems, self._progress = folder, problems, progress
        self._seen: set[str] = set()

    def video(self, name: str, place: Place) -> None:
        """Probe a video and the captions that lie beside it under the same name."""
        if not self._is_new(name):
            return
        path = _found(self._folder, name, place, self._problems)
        if path is None:
            return
        try:
            self.videos[name] = probe(path)
        except BadMedia as error:
            self._problems.append(problem(error.code, place, name=name))
        except OSError as error:
            self._problems.append(_unreadable(name, place, error))
        beside = Path(name).with_suffix(".vtt").as_posix()
        if _exists(self._folder / beside):
            self._caption(name, beside)

    def quiz(self, name: str, place: Place) -> None:
        """Read a quiz from YAML or, by its ending, from a sheet."""
        if not self._is_new(name):
            return
        path = _found(self._folder, name, place, self._problems)
        data = _read(path, place, self._problems) if path else None
        if data is None:
            return
        content: QuizContent | None = None
        more: tuple[Problem, ...] = ()
        if name.lower().endswith(".xlsx"):
            rows, found = read_sheet(data, name)
            if rows is not None:
                content, more = quiz_of_sheet(Place(name), rows)
        else:
            document, found = read_yaml(data, name)
            if document is not None:
                content, more = quiz_of_document(document)
        self._problems.extend((*found, *more))
        if content is not None:
            self.quizzes[name] = content

    def _caption(self, video: str, name: str) -> None:
        place = Place(name)
        path = _found(self._folder, name, place, self._problems)
        if path is None:
            return
        try:
            self.captions[video] = CaptionFacts(name, probe_caption(path))
        except BadMedia as error:
            limit = CAPTION_LIMIT_BYTES // 1024
            self._problems.append(problem(error.code, place, name=name, limit=limit))
        except OSError as error:
            self._problems.append(_unreadable(name, place, error))

    def _is_new(self, name: str) -> bool:
        if name in self._seen:
            return False
        self._seen.add(name)
        self._progress(name)
        return True


def _found(folder: Path, name: str, place: Place, problems: list[Problem]) -> Path | None:
    """The file's real path, if it is a regular file inside the folder."""
    try:
        path = (folder / name).resolve(strict=True)
        # A link may lead anywhere; what it leads to must still lie in the folder.
        if not path.is_relative_to(folder.resolve()):
            problems.append(problem("path_escapes", place, path=name))
            return None
        # Opening a pipe or a device could wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            problems.append(problem("not_a_file", place, name=name))
            return None
        return path
    except (FileNotFoundError, NotADirectoryError):
        problems.append(problem("missing_file", place, name=name))
    except (OSError, RuntimeError) as error:
        # Python up to 3.12 says RuntimeError for links that lead in a circle.
        problems.append(_unreadable(name, place, error))
    return None


def _read(path: Path, place: Place, problems: list[Problem]) -> bytes | None:
    """At most one byte more than a document may have, so that a huge file is noticed and never loaded."""
    try:
        with path.open("rb") as file:
            return file.read(DOCUMENT_LIMIT_BYTES + 1)
    except OSError as error:
        problems.append(_unreadable(path.name, place, error))
        return None


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _unreadable(name: str, place: Place, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return problem("unreadable_file", place, name=name, reason=reason)
