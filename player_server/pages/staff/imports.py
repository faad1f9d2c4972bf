"""Imports as staff see them: upload, preview with every fault, confirmation, and the sheet of initial secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import BodyPartReader, web
from sqlalchemy import select

from player_server.learning import imports
from player_server.learning.import_secrets import give_secrets
from player_server.learning.imports import Uploader, UploadTooLarge
from player_server.learning.jobs import job_of
from player_server.pages.redirects import see_other
from player_server.pages.render import render, translator
from player_server.pages.staff import import_words as words
from player_server.pages.staff.import_templates import template
from player_server.pages.times import minute_text
from player_server.policy.hours import as_words
from player_server.policy.id_number import mask_id_number
from player_server.policy.names import mask_name
from player_server.policy.roles import Permission
from player_server.policy.sheets import KINDS, Kind
from player_server.storage import import_rows
from player_server.storage.tables import course
from player_server.web.address import address_of
from player_server.web.csrf import require_form, require_token, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

HOME = "/staff/imports"
NEWEST = 20
SHOWN_ROWS = 20
PROBLEMS_A_PAGE = 100
LONGEST_NAME = 120
_PIECE = 64 * 1024
_LONGEST_FIELD = 1024
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def imports_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/imports: what can be imported, and the newest imports."""
    viewer = await require_staff(request, Permission.IMPORT)
    return await _home(request, viewer)


async def upload(request: web.Request) -> web.StreamResponse:
    """POST /staff/imports: a form with the token, the kind and the file, in this order; the file is never whole in
    memory."""
    viewer = await require_staff(request, Permission.IMPORT)
    who = _who(request, viewer)
    if not request.content_type.startswith("multipart/"):
        raise web.HTTPBadRequest
    reader = await request.multipart()
    fields: dict[str, str] = {}
    kind: Kind | None = None
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise web.HTTPBadRequest
        if part.name != "file":
            fields[part.name or ""] = (await _short(part)).decode(errors="replace")
            continue
        # Before the first byte of the file is kept.
        require_token(request, fields.get("csrf"))
        kind = next((each for each in KINDS if each == fields.get("kind")), None)
        name = (part.filename or "").replace("\\", "/").rpartition("/")[2][:LONGEST_NAME]
        if kind is None or not name:
            return await _home(request, viewer, problem="no_file", status=422)
        try:
            _import_id, job_id = await imports.receive(request.app[SERVICES], who, kind, _pieces(part), name)
        except UploadTooLarge:
            return await _home(request, viewer, problem="too_large", status=413)
        return see_other(f"/staff/jobs/{job_id}")
    require_token(request, fields.get("csrf"))
    return await _home(request, viewer, problem="no_file", status=422)


async def import_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/imports/{import}?page=…: what the import would do, or did."""
    viewer = await require_staff(request, Permission.IMPORT)
    return await _one(request, viewer)


async def confirm(request: web.Request) -> web.StreamResponse:
    """POST /staff/imports/{import}/confirm"""
    viewer = await require_staff(request, Permission.IMPORT)
    await require_form(request)
    import_id = _import_id(request)
    await _found(request, viewer, import_id)
    job_id = await imports.confirm(request.app[SERVICES], _who(request, viewer), import_id)
    # Somebody else was faster: the page shows what became of it.
    return see_other(f"/staff/jobs/{job_id}" if job_id else f"{HOME}/{import_id}")


async def discard(request: web.Request) -> web.StreamResponse:
    """POST /staff/imports/{import}/discard"""
    viewer = await require_staff(request, Permission.IMPORT)
    await require_form(request)
    import_id = _import_id(request)
    await _found(request, viewer, import_id)
    await imports.discard(request.app[SERVICES], _who(request, viewer), import_id)
    return see_other(HOME)


async def secrets(request: web.Request) -> web.StreamResponse:
    """POST /staff/imports/{import}/secrets: the sheet to print, on this page and nowhere else."""
    viewer = await require_staff(request, Permission.IMPORT)
    form = await require_form(request)
    import_id = _import_id(request)
    found = await _found(request, viewer, import_id)
    lines = await give_secrets(
        request.app[SERVICES], _who(request, viewer), import_id, again=text_field(form, "again") == "yes"
    )
    if lines is None:
        return await _one(request, viewer, problem="unconfirmed", status=422)
    return render(
        request,
        "staff/import_secrets.html",
        viewer=viewer,
        page_title=translator(request)("初始密码单"),
        run=found,
        lines=lines,
        url=request.app[SERVICES].settings.public_url,
    )


async def template_file(request: web.Request) -> web.StreamResponse:
    """GET /staff/imports/template/{kind}: the sheet to fill in."""
    viewer = await require_staff(request, Permission.IMPORT)
    services = request.app[SERVICES]
    kind = next((each for each in KINDS if each == request.match_info["kind"]), None)
    if kind is None:
        raise web.HTTPNotFound
    async with services.db.read() as conn:
        query = select(course.c.specialty).where(
            course.c.institution_id == viewer.own_institution(), course.c.closed_at.is_(None)
        )
        specialties = list((await conn.scalars(query.distinct().order_by(course.c.specialty))).all())
    programmes = [each.programme.name.zh for each in services.programmes.values()]
    name = quote(f"{words.KINDS[kind]}-模板.xlsx", safe="")
    return web.Response(
        body=template(kind, programmes, specialties),
        content_type=_XLSX,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"},
    )


async def _home(
    request: web.Request, viewer: StaffViewer, *, problem: str = "", status: int = 200
) -> web.StreamResponse:
    _ = translator(request)
    services = request.app[SERVICES]
    async with services.db.read() as conn:
        runs = await import_rows.newest_runs(conn, viewer.own_institution(), NEWEST)
    limits = services.settings.imports
    return render(
        request,
        "staff/imports.html",
        viewer=viewer,
        status=status,
        page_title=_("导入"),
        kinds=[(kind, _(words.KINDS[kind]), _(words.ABOUT[kind])) for kind in KINDS],
        runs=[_line(_, each) for each in runs],
        problem=problem,
        limits=limits,
    )


async def _one(
    request: web.Request, viewer: StaffViewer, *, problem: str = "", status: int = 200
) -> web.StreamResponse:
    _ = translator(request)
    services = request.app[SERVICES]
    import_id = _import_id(request)
    run = await _found(request, viewer, import_id)
    number = max(1, database_id(request.query.get("page", "")) or 1)
    async with services.db.read() as conn:
        rows = await import_rows.first_rows(conn, import_id, SHOWN_ROWS)
        problems = await import_rows.problems_page(
            conn, import_id, offset=min(number - 1, 10_000) * PROBLEMS_A_PAGE, limit=PROBLEMS_A_PAGE
        )
    job = await job_of(services, run["job_id"], None) if run["job_id"] else None
    kept = min(run["problem_count"], imports.MOST_PROBLEMS)
    return render(
        request,
        "staff/import.html",
        viewer=viewer,
        status=status,
        page_title=words.kind_name(_, run["kind"]),
        run=run,
        line=_line(_, run),
        rows=[_row(services.keys.decrypt, _, run["kind"], each) for each in rows],
        problems=[
            (each["number"], each["heading"], words.fault_text(_, each["code"], each["detail"]))
            for each in problems
        ],
        fault=words.fault_text(_, run["fault"], None) if run["state"] == "failed" and run["fault"] else "",
        more_problems=run["problem_count"] - kept,
        number=number,
        pages=max(1, -(-kept // PROBLEMS_A_PAGE)),
        stopped=run["state"] in ("applying", "checking") and (job is None or job.over),
        problem=problem,
    )


def _line(_: Any, run: Any) -> dict[str, Any]:
    """One import in words."""
    state, tone = words.STATES[run["state"]]
    return {
        "id": run["id"],
        "kind": words.kind_name(_, run["kind"]),
        "file": run["file_name"],
        "state": _(state),
        "tone": tone,
        "at": minute_text(run["created_at"]),
        "rows": run["row_count"],
        "problems": run["problem_count"],
    }


def _row(decrypt: Any, _: Any, kind: str, row: Any) -> dict[str, Any]:
    """One checked row of the preview, masked."""
    data = msgspec.json.decode(row["data"])
    details = (
        (data["class_name"], data["issue_date"] or "", data["expiry_date"] or "")
        if kind == "learners"
        else (data["day"], as_words(data["hours"]) if data["hours"] else "—", data["employer"])
    )
    return {
        "number": row["number"],
        "name": mask_name(row["name"]),
        "id": mask_id_number(decrypt(row["id_cipher"])),
        "details": details,
        "outcome": words.outcome_name(_, row["outcome"]),
    }


async def _found(request: web.Request, viewer: StaffViewer, import_id: int) -> Any:
    """The import of this institution, 404 for every other."""
    services = request.app[SERVICES]
    async with services.db.read() as conn:
        found = await import_rows.find_run(conn, import_id, viewer.own_institution())
    if found is None:
        raise web.HTTPNotFound
    return found


def _import_id(request: web.Request) -> int:
    import_id = database_id(request.match_info["import"])
    if import_id is None:
        raise web.HTTPNotFound
    return import_id


def _who(request: web.Request, viewer: StaffViewer) -> Uploader:
    return Uploader(viewer.staff_id, viewer.own_institution(), address_of(request))


async def _short(part: BodyPartReader) -> bytes:
    """A field that is no file; a long one is nobody's honest form."""
    content = b""
    while piece := await part.read_chunk(_LONGEST_FIELD):
        content += piece
        if len(content) > _LONGEST_FIELD:
            raise web.HTTPRequestEntityTooLarge(max_size=_LONGEST_FIELD, actual_size=len(content))
    return content


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(_PIECE):
        yield piece
