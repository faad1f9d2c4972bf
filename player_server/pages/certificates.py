"""学时证明: the learner takes, reads and prints one; anybody checks one by its number."""

from __future__ import annotations

import segno
from aiohttp import web

from player_server.auth.throttle import forgive
from player_server.learning.certificates import Certificate, NotComplete, issue, own_certificate, verify
from player_server.learning.ledger_check import InLog, check_entries
from player_server.observe import log
from player_server.pages.certificate_pdf import DrawingFailed, MissingCharacters, Order, draw
from player_server.pages.certificate_sheet import headings, revoked_text, row_of, sheet_of
from player_server.pages.language import lang_of
from player_server.pages.render import render, translator
from player_server.pages.times import date_text, minute_text
from player_server.policy.certificates import read_number, show_number
from player_server.storage.clock import wall_ms
from player_server.storage.fonts import find_fonts
from player_server.web.address import address_of
from player_server.web.csrf import require_form, text_field
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem
from player_server.web.turns import await_turn
from player_server.web.viewer import StaffViewer, Viewer, require_learner

#: No search engine is to list who has a certificate.
_NOT_INDEXED = {"X-Robots-Tag": "noindex, nofollow"}
LONGEST_NUMBER = 40


async def take(request: web.Request) -> web.StreamResponse:
    """POST /certificates: issue the one of an enrolment, or find it, and go there."""
    viewer = await require_learner(request)
    form = await require_form(request)
    enrolment_id = database_id(text_field(form, "enrolment"))
    if enrolment_id is None:
        raise web.HTTPNotFound
    try:
        number = await issue(
            request.app[SERVICES],
            learner_id=viewer.learner_id,
            person_id=viewer.person_id,
            enrolment_id=enrolment_id,
            address=address_of(request),
        )
    except NotComplete:
        # The button was there a moment ago: something was taken back since. The hours page says what is missing.
        raise web.HTTPSeeOther("/hours") from None
    if number is None:
        raise web.HTTPNotFound
    raise web.HTTPSeeOther(f"/certificates/{show_number(number)}")


async def certificate(request: web.Request) -> web.StreamResponse:
    """GET /certificates/{number}: the learner's own, to look at and to print."""
    viewer, found = await _own(request)
    return paper_page(request, viewer, found, back="/")


async def certificate_pdf(request: web.Request) -> web.StreamResponse:
    """GET /certificates/{number}/pdf: the same as a PDF, always in Chinese."""
    viewer, found = await _own(request)
    return await pdf_answer(request, viewer, found, back="/")


async def verify_form(request: web.Request) -> web.StreamResponse:
    """GET /verify: where to type a number; `?number=` goes on to its page."""
    typed = request.query.get("number", "")[:LONGEST_NUMBER]
    number = read_number(typed)
    if number is not None:
        raise web.HTTPSeeOther(f"/verify/{show_number(number)}")
    return _verify_page(request, None, typed=typed, state="odd" if typed else "")


async def verify_number(request: web.Request) -> web.StreamResponse:
    """GET /verify/{number}: whether it is valid, the masked name, and the hours by kind and period.

    Unknown numbers are counted by address and wait ever longer; known ones cost nothing.
    """
    typed = request.match_info["number"][:LONGEST_NUMBER]
    number = read_number(typed)
    if number is None:
        return _verify_page(request, None, typed=typed, state="odd")
    attempt = await await_turn(request, "verify", address_of(request))
    found = await verify(request.app[SERVICES], number)
    if found is None:
        return _verify_page(request, None, typed=show_number(number), state="unknown")
    await forgive(request.app[SERVICES], attempt)
    in_log = await check_entries(request.app[SERVICES], found.content.entries)
    return _verify_page(
        request, found, typed=show_number(number), state="valid" if found.valid else "revoked", in_log=in_log
    )


async def verify_proofs(request: web.Request) -> web.StreamResponse:
    """GET /verify/{number}/ledger.json: that the entries it rests on are in the signed log (docs/ledger.md)."""
    number = read_number(request.match_info["number"][:LONGEST_NUMBER])
    if number is None:
        raise Problem(404, "not_found", "This cannot be the number of a certificate.")
    attempt = await await_turn(request, "verify", address_of(request))
    found = await verify(request.app[SERVICES], number)
    if found is None:
        raise Problem(404, "not_found", "There is no such certificate.")
    await forgive(request.app[SERVICES], attempt)
    in_log = await check_entries(request.app[SERVICES], found.content.entries)
    document = {
        "certificate": show_number(number),
        "valid": found.valid,
        "entries": in_log.total,
        "covered": in_log.covered,
        "proofs": [each.as_json() for each in in_log.proofs],
    }
    return web.json_response(document, headers={"Cache-Control": "no-store", **_NOT_INDEXED})


def paper_page(
    request: web.Request,
    viewer: Viewer | StaffViewer,
    found: Certificate,
    *,
    back: str,
    problem: str = "",
) -> web.Response:
    """The certificate as a page that prints on one sheet. `problem`: why there is no PDF, already translated."""
    _ = translator(request)
    settings = request.app[SERVICES].settings
    sheet = sheet_of(found, lang_of(request), settings.public_url)
    if not find_fonts(settings.certificate_font):
        problem = problem or _("这台服务器没有中文字体，不能生成 PDF。请直接打印本页，或在打印时选择“另存为 PDF”。")
    return render(
        request,
        "staff/certificate.html" if isinstance(viewer, StaffViewer) else "certificate.html",
        viewer=viewer,
        status=422 if problem and request.path.endswith("/pdf") else 200,
        page_title=_("学时证明"),
        sheet=sheet,
        qr=segno.make(sheet.verify_url, error="m", micro=False).svg_data_uri(border=2, dark="#000", light="#fff"),
        pdf_url=f"{'/staff' if isinstance(viewer, StaffViewer) else ''}/certificates/{sheet.number}/pdf",
        back=back,
        problem=problem,
    )


async def pdf_answer(
    request: web.Request, viewer: Viewer | StaffViewer, found: Certificate, *, back: str
) -> web.StreamResponse:
    """The certificate as a PDF, or the page that says why there is none."""
    _ = translator(request)
    settings = request.app[SERVICES].settings
    fonts = find_fonts(settings.certificate_font)
    if not fonts:
        return paper_page(request, viewer, found, back=back)
    sheet = sheet_of(found, "zh", settings.public_url)
    order = Order(
        fonts=[str(each) for each in fonts],
        title=sheet.title,
        number_label="编号",
        number=sheet.number,
        statement=sheet.statement,
        facts=list(sheet.facts),
        headings=list(sheet.headings),
        rows=[(row.rule, row.period, row.required, row.counted, row.kinds) for row in sheet.rows],
        issued_by=sheet.issued_by,
        issued_on=sheet.issued_on,
        verify_url=sheet.verify_url,
        verify_hint=sheet.verify_hint,
        revoked=sheet.revoked,
    )
    try:
        body = await draw(order)
    except MissingCharacters as error:
        text = _("服务器上的字体没有这些字：%(characters)s。PDF 会缺字，所以没有生成；请直接打印本页。")
        return paper_page(
            request, viewer, found, back=back, problem=text % {"characters": _pointed_out(error.characters)}
        )
    except DrawingFailed as error:
        log.error("certificate_pdf_failed", error=str(error))
        text = _("PDF 没有生成。请直接打印本页，或稍后再试。")
        return paper_page(request, viewer, found, back=back, problem=text)
    disposition = f'attachment; filename="xueshi-{sheet.number}.pdf"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=body, content_type="application/pdf", headers=headers)


def _pointed_out(characters: str) -> str:
    """With their code points: who reads this may not have a font for them either."""
    return " ".join(f"{each} (U+{ord(each):04X})" for each in characters)


async def _own(request: web.Request) -> tuple[Viewer, Certificate]:
    viewer = await require_learner(request)
    number = read_number(request.match_info["number"])
    found = None if number is None else await own_certificate(request.app[SERVICES], viewer.learner_id, number)
    if found is None:
        raise web.HTTPNotFound
    return viewer, found


def _verify_page(
    request: web.Request, found: Certificate | None, *, typed: str, state: str, in_log: InLog | None = None
) -> web.Response:
    _ = translator(request)
    lang = lang_of(request)
    response = render(
        request,
        "verify.html",
        page_title=_("核验学时证明"),
        status=404 if state == "unknown" else 200,
        found=found,
        programme="" if found is None else getattr(found.content.programme, lang),
        headings=headings(_),
        rows=() if found is None else tuple(row_of(each, lang, _) for each in found.content.lines),
        revoked="" if found is None else revoked_text(found, _),
        issued_on="" if found is None else date_text(found.issued_at),
        checked_at=minute_text(wall_ms()),
        typed=typed,
        state=state,
        in_log=in_log,
        signed_at="" if in_log is None or in_log.signed_at is None else minute_text(in_log.signed_at),
    )
    response.headers.update(_NOT_INDEXED)
    return response
