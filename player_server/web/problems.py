"""What goes wrong under /api/, as RFC 9457 problem+json."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """Raise it in a handler under /api/: the middleware answers with it.

    `code` is a stable word for programs, `detail` a sentence for people that says what to do. `extra` is merged
    into the document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """The answer to a problem."""
    document: dict[str, Any] = {
        "type": f"urn:xueshi:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.detail:
        document["detail"] = problem.detail
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(document | problem.extra),
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def is_api(request: web.BaseRequest) -> bool:
    """Whether this path answers programs, with problems, rather than people, with pages."""
    return request.path.startswith("/api/")
