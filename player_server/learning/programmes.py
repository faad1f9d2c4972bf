"""The programmes of this installation: one YAML file each, read and checked once at the start.

What belongs here: files in, `LoadedProgramme`s or one error with everything that is wrong out. What a file may say
is in `policy/programme_document.py`, what its rules mean in `policy/hours.py`; docs/programmes.md is for operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from player_server.config import ConfigError
from player_server.learning.course_documents import read_yaml
from player_server.policy.course_document import Node, Place
from player_server.policy.programme_document import NAME, Fault, read_programme
from player_server.policy.programmes import Programme, version_of

#: The programmes that come with the product.
BUILT_IN = Path(__file__).parent.parent / "programmes"


@dataclass(frozen=True, slots=True)
class LoadedProgramme:
    """`id` is the file's name without `.yaml`; `version` the SHA-256 of what its rules say (the rule version)."""

    id: str
    version: str
    programme: Programme


Programmes = Mapping[str, LoadedProgramme]


class ProgrammesError(ConfigError):
    """The programmes cannot be used; the message has one line for each fault: file, line, key and what."""


def load_programmes(folder: Path | None = None) -> Programmes:
    """Every `*.yaml` of the folder (None: the built-in one), by id. Raises ProgrammesError with all faults."""
    folder = BUILT_IN if folder is None else folder
    try:
        paths = sorted(each for each in folder.iterdir() if each.suffix == ".yaml")
    except OSError as error:
        raise ProgrammesError(f"{folder}: {error.strerror}") from None
    if not paths:
        raise ProgrammesError(f"{folder}: there is no programme (*.yaml) in this folder")
    loaded: dict[str, LoadedProgramme] = {}
    faults: list[str] = []
    for path in paths:
        programme, found = _read(path)
        faults += found
        if programme is not None:
            loaded[path.stem] = LoadedProgramme(path.stem, version_of(programme), programme)
    if faults:
        raise ProgrammesError("\n".join(faults))
    return loaded


def _read(path: Path) -> tuple[Programme | None, list[str]]:
    file = str(path)
    try:
        document, problems = read_yaml(path.read_bytes(), file)
    except OSError as error:
        return None, [f"{file}: {error.strerror}"]
    faults = [each.text("en") for each in problems]
    if not NAME.fullmatch(path.stem):
        faults.append(str(Fault(Place(file), "", "the file's name is small letters, digits and hyphens")))
    programme = None
    if document is not None:
        programme, found = _programme(document)
        faults += found
    return (None if faults else programme), faults


def _programme(document: Node) -> tuple[Programme | None, list[str]]:
    programme, faults = read_programme(document)
    return programme, [str(each) for each in faults]
