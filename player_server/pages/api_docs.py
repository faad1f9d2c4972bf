"""GET /api/v1/docs: the OpenAPI document as a page for people, drawn here and not by a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from player_server.pages.render import render, translator
from player_server.web.openapi import API_DOCUMENT

_METHODS = ("get", "post")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table."""

    name: str
    kind: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A type with its fields. `anchor`: where it stands on the page."""

    name: str
    anchor: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer by status; `shape` "" where it has no body of a named type."""

    status: str
    text: str
    shape: str


@dataclass(frozen=True, slots=True)
class Described:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    scope: str
    parameters: tuple[Field, ...]
    body: str
    body_type: str
    answers: tuple[Answer, ...]


async def api_docs(request: web.Request) -> web.StreamResponse:
    """For everybody."""
    _ = translator(request)
    found = request.app[API_DOCUMENT]
    return render(
        request,
        "api_docs.html",
        page_title=_("接口文档"),
        info=found["info"],
        operations=list(_operations(found)),
        shapes=[_shape(name, schema) for name, schema in found["components"]["schemas"].items()],
    )


def _operations(found: dict[str, Any]) -> Iterator[Described]:
    for path, methods in found["paths"].items():
        for method in _METHODS:
            if method not in methods:
                continue
            each = methods[method]
            body_type, body = _content(each.get("requestBody", {}))
            scopes = [scope for one in each["security"] for names in one.values() for scope in names]
            yield Described(
                id=each["operationId"],
                method=method.upper(),
                path=path,
                summary=each["summary"],
                text=each.get("description", ""),
                scope=" ".join(scopes),
                parameters=tuple(
                    Field(p["name"], f"{_kind(p['schema'])} · {p['in']}", p["required"], p.get("description", ""))
                    for p in each.get("parameters", ())
                ),
                body=body,
                body_type=body_type,
                answers=tuple(_answer(status, answer) for status, answer in each["responses"].items()),
            )


def _answer(status: str, answer: dict[str, Any]) -> Answer:
    return Answer(status, answer["description"], _content(answer)[1])


def _content(part: dict[str, Any]) -> tuple[str, str]:
    """(media type, name of the shape) of a body; both "" where there is none."""
    for media_type, content in part.get("content", {}).items():
        return media_type, _name(content["schema"])
    return "", ""


def _shape(name: str, schema: dict[str, Any]) -> Shape:
    required = schema.get("required", [])
    return Shape(
        name,
        f"type-{name}",
        schema.get("description", ""),
        tuple(
            Field(key, _kind(value), key in required, value.get("description", ""))
            for key, value in schema.get("properties", {}).items()
        ),
    )


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words, e.g. `integer ≥ 1`, `exam | cycle`, `list of EntryAnswer`."""
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_kind(each) for each in schema["anyOf"])
    kind = str(schema.get("type", "value"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [schema.get("format", kind)]
    if schema.get("minimum", 0):
        words.append(f"≥ {schema['minimum']}")
    return " ".join(str(word) for word in words)
