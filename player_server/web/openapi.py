"""The OpenAPI 3.1 document of the REST interface, made from the operations and from the types that they use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from player_server.auth.service_clients import Scope
from player_server.web.operations import FORM, JSON, Operation
from player_server.web.problems import CONTENT_TYPE

#: The document of this server, under its application.
API_DOCUMENT: web.AppKey[dict[str, Any]] = web.AppKey("api_document", dict)

VERSION = "1.0.0"
LARGEST_ID = 2**63 - 1
_COMPONENTS = "#/components/schemas/{name}"
_SCOPES = {
    Scope.ELIGIBILITY: "ask whether hours are complete",
    Scope.HOURS: "read a learner's ledger entries",
    Scope.RESULTS: "hand in results of the exam",
    Scope.LAUNCHES: "redeem launches",
    Scope.EVENTS: "read what happened",
}
_ALWAYS = {"X-Request-Id": "Names this request; tell it when you ask the operator."}
_PACE = {
    "RateLimit-Policy": "How many questions a minute this client has.",
    "RateLimit": "How many are left, and for how many seconds.",
}


class ProblemDocument(msgspec.Struct, frozen=True):
    """RFC 9457. `code` is a stable word for programs, `detail` a sentence for people that says what to do.

    `error`: at the token address, the word of RFC 6749.
    """

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


def document(operations: Sequence[Operation], public_url: str) -> dict[str, Any]:
    """The whole document, as JSON values."""
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas, components)
    token_url = f"{public_url}/api/v1/oauth/token"
    flows = {"clientCredentials": {"tokenUrl": token_url, "scopes": {each.value: _SCOPES[each] for each in Scope}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "学时 Xueshi",
            "version": VERSION,
            "description": "For services that must be able to trust whether a learner's hours are complete. "
            "Errors are problem+json (RFC 9457). Times are RFC 3339 in UTC, hours decimal strings, days calendar "
            "days in China. Keys to verify assertions with: /.well-known/jwks.json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "oauth": {"type": "oauth2", "flows": flows},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The access token."},
            },
        },
    }


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    types: list[Any] = [ProblemDocument]
    for each in operations:
        types += [each.body] if each.body else []
        types += [each.query] if each.query else []
        types += [answer for answer in each.answers.values() if answer is not None]
    unique = list(dict.fromkeys(types))
    made, components = msgspec.json.schema_components(unique, ref_template=_COMPONENTS)
    # Fields that were renamed by nobody: the document has the names of the code.
    return dict(zip(unique, made, strict=True)), {name: components[name] for name in sorted(components)}


def _operation(each: Operation, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": each.name, "summary": each.summary}
    if each.description:
        found["description"] = each.description
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", each.path)]
    if each.query is not None:
        parameters += _query_parameters(components.pop(each.query.__name__))
    parameters += [
        {"name": name, "in": "header", "required": required, "description": text, "schema": _header_schema(name)}
        for name, (text, required) in each.headers.items()
    ]
    if parameters:
        found["parameters"] = parameters
    if each.body is not None:
        found["requestBody"] = {"required": True, "content": {each.body_type: {"schema": schemas[each.body]}}}
    found["responses"] = _responses(each, schemas)
    found["security"] = [] if each.scope is None else [{"oauth": [each.scope.value]}, {"bearer": []}]
    return found


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    return {"name": name, "in": "path", "required": True, "description": f"The {name}'s id.", "schema": schema}


def _query_parameters(struct: dict[str, Any]) -> list[dict[str, Any]]:
    required = struct.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        for name, schema in struct["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out, never null."""
    schema = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    if "anyOf" not in schema:
        return schema
    rest = [each for each in schema["anyOf"] if each != {"type": "null"}]
    kept = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest}


def _header_schema(name: str) -> dict[str, Any]:
    if name == "Idempotency-Key":
        return {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]+$"}
    return {"type": "string"}


def _responses(each: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    paced = _PACE if each.scope is not None else {}
    found: dict[str, Any] = {}
    for status, answer in each.answers.items():
        headers = {**_ALWAYS, **paced, **each.reply_headers}
        found[str(status)] = {
            "description": "Unchanged; the kept answer is still good." if answer is None else "Done.",
            "headers": _headers(headers),
        }
        if answer is not None:
            found[str(status)]["content"] = {JSON: {"schema": schemas[answer]}}
    for status, text in sorted({**_common_problems(each), **each.problems}.items()):
        found[str(status)] = {
            "description": text,
            "headers": _headers(_ALWAYS),
            "content": {CONTENT_TYPE: {"schema": schemas[ProblemDocument]}},
        }
    return found


def _common_problems(each: Operation) -> dict[int, str]:
    found = {}
    if each.query is not None or each.body is not None or each.headers:
        found[400] = "Something in the question is not as this document says; `detail` names it."
    if each.scope is not None:
        found[401] = "The access token is missing, wrong or has expired."
        found[403] = f"The access token lacks the scope {each.scope}."
    if each.scope is not None or each.body_type == FORM:
        found[429] = "Too many questions; Retry-After says when to go on."
    if each.body is not None:
        found[413] = "The body is too large."
        found[415] = f"The body is not {each.body_type}."
    return found


def _headers(texts: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()}
