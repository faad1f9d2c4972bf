"""What the player page asks of its own challenge: the picture, the link, a new code, the same-device button."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import segno
from aiohttp import web

from player_server.learning import challenges
from player_server.learning.challenges import Renewal, current_code, link_of
from player_server.pages.phone import RESULTS, browser_of
from player_server.pages.render import N_, translator
from player_server.policy.challenges import Answer
from player_server.web import cookies
from player_server.web.csrf import require_csrf
from player_server.web.keys import SERVICES
from player_server.web.viewer import Viewer, optional_learner

#: A picture or a link is good for one turn of the code and must never be shown from a cache.
_NOT_KEPT = {"Cache-Control": "no-store"}

_STILL_OPEN = N_("现在的二维码还有效，请直接扫码。")


async def qr(request: web.Request) -> web.StreamResponse:
    """GET /challenges/{id}/qr.svg: the code of this moment. 404 unless it is the learner's own and open."""
    viewer = await _require_learner(request)
    services = request.app[SERVICES]
    code = await current_code(services, viewer.person_id, request.match_info["id"])
    if code is None:
        raise web.HTTPNotFound
    picture = BytesIO()
    # Dark on light with a quiet zone, whatever colours the page has: many scanners cannot read it otherwise.
    segno.make(link_of(services, code), error="m", micro=False).save(
        picture, kind="svg", border=4, dark="#000", light="#fff", omitsize=True
    )
    return web.Response(body=picture.getvalue(), content_type="image/svg+xml", headers=_NOT_KEPT)


async def link(request: web.Request) -> web.StreamResponse:
    """GET /challenges/{id}/link → {"link"}: the same as text, only where the operator shows it."""
    viewer = await _require_learner(request)
    services = request.app[SERVICES]
    if not services.settings.challenges.show_link:
        raise web.HTTPNotFound
    code = await current_code(services, viewer.person_id, request.match_info["id"])
    if code is None:
        raise web.HTTPNotFound
    return _json({"link": link_of(services, code)})


async def renew(request: web.Request) -> web.StreamResponse:
    """POST /challenges/{id}/renew → {"result": "renewed" | "not_held"}; 409 while the code is still good.

    The new challenge itself comes over the page's socket.
    """
    require_csrf(request)
    viewer = await _require_learner(request)
    renewal = await challenges.renew(request.app[SERVICES], viewer.person_id, request.match_info["id"])
    if renewal == Renewal.UNKNOWN:
        raise web.HTTPNotFound
    if renewal == Renewal.STILL_OPEN:
        return _error(409, renewal.value, translator(request)(_STILL_OPEN))
    return _json({"result": renewal.value})


async def tap(request: web.Request) -> web.StreamResponse:
    """POST /challenges/{id}/tap → {"result"} when confirmed, {"next": path} if this phone must be bound first."""
    require_csrf(request)
    viewer = await _require_learner(request)
    services = request.app[SERVICES]
    challenge_id = request.match_info["id"]
    browser = await browser_of(request)
    # A computer is refused there like anywhere else, and the attempt is written down.
    answer = await challenges.tap(services, viewer.person_id, challenge_id, browser)
    if answer in (Answer.CONFIRMED, Answer.ALREADY_CONFIRMED):
        return _json({"result": answer.value})
    if answer == Answer.UNKNOWN:
        raise web.HTTPNotFound
    if answer == Answer.NOT_ENROLLED:
        code = await current_code(services, viewer.person_id, challenge_id)
        if code is None:
            return _refused(request, Answer.LATE)
        response = _json({"next": f"/c/{code}"})
        if cookies.phone_credential(request) is None:
            cookies.set_phone_credential(request, response, browser.credential)
        return response
    return _refused(request, answer)


async def _require_learner(request: web.Request) -> Viewer:
    # These addresses are fetched by a page; a redirect to the log-in page would only confuse it.
    viewer = await optional_learner(request)
    if viewer is None:
        raise web.HTTPUnauthorized
    return viewer


def _refused(request: web.Request, answer: Answer) -> web.Response:
    words = RESULTS[answer]
    return _error(words.status, answer.value, translator(request)(words.advice))


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message}}, status)


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(document, status=status, headers=_NOT_KEPT)
