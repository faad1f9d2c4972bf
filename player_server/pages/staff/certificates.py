"""The institution's certificates: which there are, and each to read and print."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from player_server.learning.certificates import Certificate, certificates_page, staff_certificate
from player_server.learning.roster import filters_from
from player_server.pages.certificates import paper_page, pdf_answer
from player_server.pages.language import lang_of
from player_server.pages.render import render, translator
from player_server.pages.times import date_text
from player_server.policy.certificates import read_number, show_number
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

LIST = "/staff/certificates"


async def certificates(request: web.Request) -> web.StreamResponse:
    """GET /staff/certificates?q=…&page=…: newest first, a page at a time."""
    viewer = await require_staff(request, Permission.READ)
    _ = translator(request)
    lang = lang_of(request)
    filters = filters_from(request.query)
    page = await certificates_page(
        request.app[SERVICES],
        viewer.scope,
        filters,
        number=database_id(request.query.get("page", "")) or 1,
        address=address_of(request),
    )

    def page_url(number: int) -> str:
        return f"{LIST}?" + urlencode(filters.query() | {"page": str(number)})

    def programme(of: Certificate) -> str:
        return of.content.programme.en if lang == "en" else of.content.programme.zh

    return render(
        request,
        "staff/certificates.html",
        viewer=viewer,
        page_title=_("学时证明"),
        page=page,
        search=filters.search,
        page_url=page_url,
        programme=programme,
        show_number=show_number,
        date=date_text,
    )


async def certificate(request: web.Request) -> web.StreamResponse:
    """GET /staff/certificates/{number}: to look at and to print."""
    viewer, found = await _found(request)
    return paper_page(request, viewer, found, back=LIST)


async def certificate_pdf(request: web.Request) -> web.StreamResponse:
    """GET /staff/certificates/{number}/pdf."""
    viewer, found = await _found(request)
    return await pdf_answer(request, viewer, found, back=LIST)


async def _found(request: web.Request) -> tuple[StaffViewer, Certificate]:
    viewer = await require_staff(request, Permission.READ)
    number = read_number(request.match_info["number"])
    found = None
    if number is not None:
        found = await staff_certificate(request.app[SERVICES], viewer.scope, number, address=address_of(request))
    if found is None:
        raise web.HTTPNotFound
    return viewer, found
