"""From a programme's YAML document to the programme, or to everything that is wrong with it at once.

What belongs here: which keys a file may have and how its values are read, each fault with its line and key. What
the rules mean is in `policy/hours.py`.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from .course_document import Fields, Items, Node, Place, Text
from .programmes import Programme, contradictions

#: Names of programmes (of their files) and of rules: they stand in interfaces, tables and addresses.
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HOURS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where, at which key (`rules.public.hours`; empty for the whole file), and what."""

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


@dataclass(slots=True)
class _Reading:
    """What has been found so far; places by key, for faults that show only when all is read."""

    faults: list[Fault] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    def fault(self, place: Place, key: str, message: str) -> None:
        self.faults.append(Fault(place, key, message))


def read_programme(document: Node) -> tuple[Programme | None, tuple[Fault, ...]]:
    """The programme of a document, or None and every fault, in the order of the file."""
    reading = _Reading()
    programme: Programme | None = _struct(document, Programme, "", reading)
    if programme is not None:
        for key, message in contradictions(programme):
            reading.fault(_nearest(reading.places, key, document.place), key, message)
    if reading.faults:
        return None, tuple(sorted(reading.faults, key=lambda each: each.place.line or 0))
    return programme, ()


def _struct(node: Node, kind: type[msgspec.Struct], path: str, reading: _Reading) -> Any:
    """An instance of `kind`, or None after at least one fault was noted."""
    if not isinstance(node, Fields):
        reading.fault(node.place, path, "must be a mapping (key: value)")
        return None
    before = len(reading.faults)
    known = {each.name: each for each in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in node.fields:
        inner = f"{path}.{key.value}" if path else key.value
        reading.places[inner] = key.place
        if key.value in known:
            values[key.value] = _value(value, known[key.value].type, inner, reading)
        else:
            reading.fault(key.place, inner, f"unknown key; known: {', '.join(known)}")
    for name, each in known.items():
        if each.required and name not in values:
            reading.fault(node.place, f"{path}.{name}" if path else name, "is missing")
    return kind(**values) if len(reading.faults) == before else None


def _value(node: Node, wanted: Any, path: str, reading: _Reading) -> Any:
    if isinstance(wanted, types.UnionType):
        # Only `Finish | None`: a key that is written down and left empty is taken as left out.
        if isinstance(node, Text) and not node.value:
            return None
        wanted = next(each for each in typing.get_args(wanted) if each is not type(None))
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(node, wanted, path, reading)
    if typing.get_origin(wanted) is dict:
        return _named(node, typing.get_args(wanted)[1], path, reading)
    if path.endswith(".hours"):
        return _hundredths(node, path, reading)
    try:
        # Values come as they were typed, so "30" and "true" have still to become a number and a truth.
        return msgspec.convert(_plain(node), wanted, strict=False)
    except msgspec.ValidationError as error:
        reading.fault(node.place, path, str(error))
        return None


def _named(node: Node, kind: type[msgspec.Struct], path: str, reading: _Reading) -> dict[str, Any]:
    if not isinstance(node, Fields):
        reading.fault(node.place, path, "must be a mapping (name: rule)")
        return {}
    for key, _ in node.fields:
        reading.places[f"{path}.{key.value}"] = key.place
        if not NAME.fullmatch(key.value):
            reading.fault(key.place, f"{path}.{key.value}", "a name is small letters, digits and hyphens")
    return {key.value: _struct(value, kind, f"{path}.{key.value}", reading) for key, value in node.fields}


def _hundredths(node: Node, path: str, reading: _Reading) -> int:
    if not isinstance(node, Text) or not _HOURS.fullmatch(node.value):
        reading.fault(node.place, path, "must be a number of hours with at most two decimals, like 16 or 1.5")
        return 0
    hundredths = int(Decimal(node.value) * 100)
    if not 0 < hundredths <= 1_000_000:
        reading.fault(node.place, path, "must be more than 0 and at most 10000 hours")
    return hundredths


def _plain(node: Node) -> Any:
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Items):
        return [_plain(each) for each in node.items]
    return {key.value: _plain(value) for key, value in node.fields}


def _nearest(places: Mapping[str, Place], key: str, otherwise: Place) -> Place:
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return otherwise
