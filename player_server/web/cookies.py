"""Every cookie the server sets: name, life and flags stand here and nowhere else.

On https the names carry `__Host-`, so no sibling domain can plant one. On plain http, which needs
`server.insecure_http`, browsers would refuse that prefix, so the names go without it.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from player_server.web.keys import SERVICES

#: 256 bits, as 43 characters.
TOKEN_BYTES = 32
#: A longer value was not made here and is not looked at.
LONGEST_VALUE = 128
#: A phone is enrolled once; browsers cap longer lives anyway.
PHONE_SECONDS = 2 * 365 * 24 * 3600
LANGUAGE_SECONDS = 365 * 24 * 3600

LOGIN = "xueshi"
VISITOR = "xueshi_visitor"
PHONE = "xueshi_phone"
LANGUAGE = "xueshi_lang"
INSTITUTION = "xueshi_institution"


def new_token() -> str:
    """A value nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def login_token(request: web.Request) -> str | None:
    """The log-in cookie of this browser, whatever it is worth."""
    return _read(request, LOGIN)


def set_login_token(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Give the browser its log-in. It ends with the browser, or when its row expires."""
    _set(request, response, LOGIN, token, max_age=None)


def forget_login(request: web.Request, response: web.StreamResponse) -> None:
    """Take the log-in cookie away."""
    response.del_cookie(
        _name(request, LOGIN), path="/", secure=not _insecure(request), httponly=True, samesite="Lax"
    )


def visitor_token(request: web.Request) -> str | None:
    """The cookie that ties forms to a browser that has not logged in."""
    return _read(request, VISITOR)


def set_visitor_token(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Tie later forms to this browser."""
    _set(request, response, VISITOR, token, max_age=None)


def phone_credential(request: web.Request) -> str | None:
    """The secret of an enrolled phone, if this browser holds one. SQL keeps only its SHA-256."""
    return _read(request, PHONE)


def set_phone_credential(request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Make this browser the phone that holds `value` (from `new_token`)."""
    _set(request, response, PHONE, value, max_age=PHONE_SECONDS)


def language(request: web.Request) -> str | None:
    """The language chosen in this browser, unchecked."""
    return _read(request, LANGUAGE)


def set_language(request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Remember the chosen language."""
    _set(request, response, LANGUAGE, value, max_age=LANGUAGE_SECONDS)


def chosen_institution(request: web.Request) -> str | None:
    """The institution that a regulator looks at in this browser, unchecked."""
    return _read(request, INSTITUTION)


def set_chosen_institution(request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Remember it until the browser ends; "" is all of them."""
    _set(request, response, INSTITUTION, value, max_age=None)


def _insecure(request: web.Request) -> bool:
    return request.app[SERVICES].settings.server.insecure_http


def _name(request: web.Request, name: str) -> str:
    return name if _insecure(request) else f"__Host-{name}"


def _read(request: web.Request, name: str) -> str | None:
    value = request.cookies.get(_name(request, name))
    return value if value and len(value) <= LONGEST_VALUE and value.isascii() else None


def _set(request: web.Request, response: web.StreamResponse, name: str, value: str, *, max_age: int | None) -> None:
    # `__Host-` demands Secure, Path=/ and no Domain. Lax, not Strict: a scanned link or a link in a message must
    # find the log-in and the phone.
    response.set_cookie(
        _name(request, name),
        value,
        max_age=max_age,
        path="/",
        secure=not _insecure(request),
        httponly=True,
        samesite="Lax",
    )
