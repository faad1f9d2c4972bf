"""A browser without pictures: keeps cookies, finds forms, fills them in. For the doors that are plain HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self

import aiohttp

#: Inputs that send nothing until somebody chooses them.
CHOICES = ("checkbox", "radio")


@dataclass
class Form:
    """One form of a page with the values it holds."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
            self.open = True
        elif tag == "input" and self.open and "name" in values and values.get("type") not in CHOICES:
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = False


class HttpBrowser:
    """`page` is the text of the last answer, `path` where it came from, `status` its status."""

    def __init__(self, url: str, user_agent: str = "Mozilla/5.0 (X11; Linux x86_64) test") -> None:
        self.url = url
        self.http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"User-Agent": user_agent, "Origin": url}
        )
        self.page = ""
        self.path = ""
        self.status = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.close()

    async def get(self, path: str) -> str:
        """Open a page, follow redirects."""
        async with self.http.get(path if path.startswith("http") else self.url + path) as answer:
            return await self._take(answer)

    async def submit(self, action: str, **values: str) -> str:
        """Fill in the form of the current page that goes to `action` and send it."""
        forms = _Forms()
        forms.feed(self.page)
        form = next((each for each in forms.forms if each.action == action), None)
        assert form is not None, f"no form to {action} on {self.path}: {[each.action for each in forms.forms]}"
        return await self.post(action, {**form.fields, **values})

    async def post(self, path: str, fields: dict[str, str]) -> str:
        async with self.http.post(self.url + path, data=fields) as answer:
            return await self._take(answer)

    async def _take(self, answer: aiohttp.ClientResponse) -> str:
        self.page, self.path, self.status = await answer.text(), answer.url.path, answer.status
        return self.page
