"""The language of a page, its texts in that language, and the switch between the two.

The texts stand in the code in Chinese; the files of `locale/en/`, one an area, have them in English.
What is not in a catalogue stays Chinese, and a test names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from babel.core import negotiate_locale
from babel.messages.pofile import read_po

from player_server.web import cookies
from player_server.web.address import local_path
from player_server.web.csrf import require_form, text_field

CATALOGUES = Path(__file__).parent / "locale" / "en"
LANGUAGES = ("zh", "en")

Translate = Callable[[str], str]


def N_(text: str) -> str:
    """Mark a text for the catalogue where it is written but not yet shown; the extraction knows this name."""
    return text


def lang_of(request: web.Request) -> str:
    """`zh` or `en`: what was chosen in this browser, else what it prefers, else Chinese."""
    chosen = cookies.language(request)
    if chosen in LANGUAGES:
        return chosen
    preferred = [
        part.split(";")[0].strip() for part in request.headers.get("Accept-Language", "").split(",") if part.strip()
    ]
    return negotiate_locale(preferred, LANGUAGES, sep="-") or LANGUAGES[0]


def translator(request: web.Request) -> Translate:
    """The function `_` for this request: Chinese text → text in the viewer's language."""
    return translation_to(lang_of(request))


def translation_to(lang: str) -> Translate:
    """The function `_` of a language."""
    if lang == "zh":
        return N_
    catalogue = read_catalogue()
    return lambda text: _English(catalogue.get(text, text))


#: "1 hours": a figure of exactly one before a plural. Chinese has none, so the texts are written for many.
_ONE = re.compile(r"(?<![\d.,:/-])1 (hour|day|video|row|second|minute|question|page|learner|time|attempt|error)s\b")


class _English(str):
    """An English text that says "1 hour" once a figure is put in."""

    __slots__ = ()

    def __mod__(self, values: Any) -> str:
        text = _ONE.sub(r"1 \1", super().__mod__(values))
        return text.replace("1 hour are missing", "1 hour is missing")


@cache
def read_catalogue() -> dict[str, str]:
    """Chinese text → English text, read once."""
    texts: dict[str, str] = {}
    for path in sorted(CATALOGUES.glob("*.po")):
        with path.open("rb") as file:
            messages = read_po(file, locale="en")
        texts |= {str(message.id): str(message.string) for message in messages if message.id and message.string}
    return texts


async def switch_language(request: web.Request) -> web.StreamResponse:
    """POST /language: remember the choice and go back to where the switch stood."""
    form = await require_form(request)
    lang = text_field(form, "lang")
    if lang not in LANGUAGES:
        raise web.HTTPBadRequest
    response = web.Response(status=303, headers={"Location": local_path(text_field(form, "next"))})
    cookies.set_language(request, response, lang)
    return response
