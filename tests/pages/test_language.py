"""Every text of the pages is in the English catalogue, and the switch between the languages works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from player_server.learning.services import Services
from player_server.pages.language import CATALOGUES, read_catalogue, translation_to
from tests.support.identity import Visitor, browsers

PAGES = CATALOGUES.parents[1]
KEYWORDS = {"_": None, "N_": None}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def texts() -> Iterator[tuple[str, str]]:
    """(where, text) of everything that is marked for translation."""
    for path in sorted([*PAGES.rglob("*.py"), *PAGES.rglob("*.html")]):
        method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
        with path.open("rb") as file:
            options = {} if path.suffix == ".py" else {"trimmed": "false", "silent": "false"}
            for line, text, _comments, _context in extract(method, file, KEYWORDS, options=options):
                yield f"{path.relative_to(PAGES)}:{line}", text if isinstance(text, str) else text[0]


def test_every_text_has_an_english_translation() -> None:
    catalogue = read_catalogue()
    missing = [f"{where}: {text}" for where, text in texts() if text not in catalogue]
    assert not missing, "append to a file of player_server/pages/locale/en:\n" + "\n".join(missing)


def test_translations_keep_the_placeholders() -> None:
    for chinese, english in read_catalogue().items():
        assert sorted(PLACEHOLDER.findall(chinese)) == sorted(PLACEHOLDER.findall(english)), chinese


def test_no_entry_stands_twice_or_is_left_empty() -> None:
    ids: list[str] = []
    for path in sorted(CATALOGUES.glob("*.po")):
        with path.open("rb") as file:
            assert all(entry.string for entry in read_po(file, locale="en") if entry.id), path.name
        ids += re.findall(r'^msgid "(.+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    assert ids
    assert [text for text in sorted(set(ids)) if ids.count(text) > 1] == []


def test_templates_hold_no_chinese_outside_of_marked_texts() -> None:
    marked = {text for _where, text in texts()}
    for path in sorted(PAGES.rglob("*.html")):
        source = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for text in sorted(marked, key=len, reverse=True):
            source = source.replace(text, "")
        # A text that is the name of its own language stays as it is.
        source = re.sub(r'lang="zh-CN">[^<]*<', "", source)
        assert not CHINESE.search(source), (path.name, CHINESE.findall(source))


def test_english_says_one_hour_and_two_hours() -> None:
    _ = translation_to("en")
    for hours, text in (("1", "1 hour missing"), ("2", "2 hours missing"), ("0.1", "0.1 hours missing")):
        assert _("还差 %(hours)s 学时") % {"hours": hours} == text
    assert translation_to("zh")("还差 %(hours)s 学时") % {"hours": "1"} == "还差 1 学时"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def heading(visitor: Visitor, accept: str = "") -> str:
    text = await (await visitor.get("/login", headers={"Accept-Language": accept})).text()
    found = re.search(r"<h1>(.*?)</h1>", text)
    assert found is not None
    return found.group(1)


async def test_the_browser_decides_until_somebody_chooses(services: Services) -> None:
    async with browsers(services) as [visitor]:
        assert await heading(visitor) == "登录"
        assert await heading(visitor, "en-GB,en;q=0.9") == "Log in"
        assert await heading(visitor, "zh-CN,zh;q=0.9,en;q=0.8") == "登录"
        assert await heading(visitor, "fr, de;q=0.5") == "登录"
        answer = await visitor.post("/language", {"lang": "en", "next": "/forgot"}, page="/login")
        assert (answer.status, answer.headers["Location"]) == (303, "/forgot")
        assert await heading(visitor, "zh-CN") == "Log in"
        answer = await visitor.post("/language", {"lang": "zh", "next": "//evil.example"}, page="/login")
        assert answer.headers["Location"] == "/"
        assert await heading(visitor, "en") == "登录"
        assert (await visitor.post("/language", {"lang": "xx"}, page="/login")).status == 400
