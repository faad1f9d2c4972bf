"""The quiz's door: what leaves the server, and what a learner can do with it. On both databases."""

import html
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from sqlalchemy import func, select, update

from player_server.learning.services import Services
from player_server.pages import player, quiz
from player_server.policy.quiz_content import Question, QuizContent, version_of
from player_server.storage.tables import attempt, ledger_entry, playback, watch_progress
from tests.support import school
from tests.support.doors import browser_of, csrf_in, open_doors
from tests.support.quizzes import CONTENT, add_quiz
from tests.support.services import close_services, make_services
from tests.support.sheet_reader import SheetReader

SETTINGS = {"feedback": "score", "cooldown_after": 3, "cooldown_first_s": 300}


@dataclass
class Desk:
    """One learner's browser in front of one watched video."""

    services: Services
    server: TestServer
    browser: ClientSession
    pupil: school.Pupil
    lessons: school.Lessons

    @property
    def path(self) -> str:
        return f"/quiz/{self.lessons.video_ids[0]}"

    async def get(self, path: str = "") -> tuple[int, str]:
        async with self.browser.get(path or self.path, allow_redirects=False) as reply:
            return reply.status, await reply.text()

    async def sheet(self) -> SheetReader:
        status, page = await self.get()
        assert status == 200, page
        return SheetReader(page)

    async def post(self, fields: list[tuple[str, str]], path: str = "") -> tuple[int, str]:
        async with self.browser.post(path or self.path, data=fields, allow_redirects=False) as reply:
            return reply.status, await reply.text()

    async def count(self, table: object) -> int:
        async with self.services.db.read() as conn:
            return int(await conn.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def desk(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    services = await make_services(database_url, valkey_url, tmp_path, quiz=SETTINGS)
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    lessons = await school.add_course(services, at, hours=(150, 50))
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    await add_quiz(services, lessons.video_ids[0])
    await school.add_progress(
        services, pupil.learner_id, lessons.video_ids[0], school.DURATION_MS, watched_at=1_000
    )
    routes = [
        web.get("/quiz/{video}", quiz.quiz_page),
        web.post("/quiz/{video}", quiz.quiz_submit),
        web.get("/player/{video}", player.player),
    ]
    async with open_doors(services, routes) as server, browser_of(services, server, pupil) as browser:
        yield Desk(services, server, browser, pupil, lessons)
    await close_services(services)


def readable(page: str) -> str:
    """The page, and whatever in it can be decoded without a key."""
    parts = [page, html.unescape(page)]
    for word in re.findall(r"[A-Za-z0-9_\-+/=]{16,}", page):
        for start in range(4):
            with suppress(ValueError):
                parts.append(urlsafe_b64decode(word[start:] + "==").decode("latin-1"))
    return "\n".join(parts)


async def test_nothing_that_leaves_the_server_tells_right_from_wrong(desk: Desk) -> None:
    """The page of a quiz and of the same quiz with other right options are the same but for what is random."""
    turned = QuizContent(
        tuple(Question(q.kind, q.text, q.options, (len(q.options) - 1,)) for q in CONTENT.questions)
    )
    pages = []
    for content in (CONTENT, turned):
        await add_quiz(desk.services, desk.lessons.video_ids[0], content)
        _, page = await desk.get()
        assert version_of(content) not in readable(page)
        assert '"right"' not in readable(page) and "quiz_sha" not in readable(page)
        fieldsets = re.findall(r"<fieldset.*?</fieldset>", page, re.S)
        # Without the order, the numbers and the sealed token, only what everybody may know is left.
        plain = [
            sorted(re.findall(r"[^\s<>]+", re.sub(r'name="q\d+"|value="\d+"|question-\d+|\d+\.', "", each)))
            for each in fieldsets
        ]
        rest = re.sub(r'name="sheet" value="[^"]*"', "", re.sub(r"<fieldset.*</fieldset>", "", page, flags=re.S))
        pages.append((sorted(plain), rest))
    assert pages[0] == pages[1]


async def test_the_right_option_stands_at_every_place_equally_often(desk: Desk) -> None:
    places: Counter[str] = Counter()
    for _ in range(120):
        sheet = await desk.sheet()
        places[next(value for value, text, _ in sheet.options["高处作业的起算高度是？"] if text == "两米")] += 1
    # Five standard deviations around thirty.
    assert set(places) == {"0", "1", "2", "3"} and all(6 < count < 54 for count in places.values()), places


async def test_all_right_shows_the_hours_and_the_way_on(desk: Desk) -> None:
    status, page = await desk.post((await desk.sheet()).fields())
    assert status == 200 and "全部答对" in page and "1.5 学时已入账" in page
    assert f'href="/player/{desk.lessons.video_ids[1]}"' in page
    assert await desk.count(ledger_entry) == 1
    status, page = await desk.get()
    assert status == 200 and "1.5 学时已入账" in page and "<fieldset" not in page


async def test_a_double_click_is_one_attempt_with_one_result(desk: Desk) -> None:
    fields = (await desk.sheet()).fields()
    first, second = await desk.post(fields), await desk.post(fields)
    assert first == second and "学时已入账" in first[1]
    assert await desk.count(attempt) == 1


async def test_a_failure_tells_the_score_and_offers_another_try(desk: Desk) -> None:
    status, page = await desk.post((await desk.sheet()).fields(wrong={"发现隐患应当？"}))
    assert status == 200 and "还没有全部答对" in page and "答对 3 / 4 题" in page
    assert "再试一次" in page and "重新观看视频" in page and "发现隐患应当？" not in page
    assert await desk.count(ledger_entry) == 0


async def test_a_missing_answer_keeps_the_others_and_names_the_question(desk: Desk) -> None:
    sheet = await desk.sheet()
    field = next(name for name, text in sheet.questions.items() if text == "发现隐患应当？")
    status, page = await desk.post([pair for pair in sheet.fields() if pair[0] != field])
    assert status == 422 and f"第 {field[1:]} 题" in page
    again = SheetReader(page)
    assert again.hidden["sheet"] != "" and again.questions == sheet.questions
    assert not any(checked for _, _, checked in again.options["发现隐患应当？"])
    assert {text for _, text, checked in again.options["进入现场须佩戴？"] if checked} == {"安全帽", "安全带"}
    assert await desk.count(attempt) == 0
    assert "学时已入账" in (await desk.post(again.fields()))[1]


async def test_during_the_pause_nothing_is_taken_and_answers_are_kept(desk: Desk) -> None:
    kept = await desk.sheet()
    for _ in range(3):
        status, page = await desk.post((await desk.sheet()).fields(wrong={"发现隐患应当？"}))
    assert status == 200 and re.search(r'id="pause" data-seconds="(300|29\d)"', page)
    status, page = await desk.get()
    assert status == 429 and "请稍后再试" in page and "<fieldset" not in page
    status, page = await desk.post(kept.fields())
    assert status == 429 and SheetReader(page).questions == kept.questions
    assert await desk.count(attempt) == 3
    async with desk.services.db.write() as conn:
        await conn.execute(update(attempt).values(submitted_at=attempt.c.submitted_at - 301_000))
    assert "学时已入账" in (await desk.post(SheetReader(page).fields()))[1]


async def test_without_feedback_every_failure_has_the_same_page(
    database_url: str, valkey_url: str, tmp_path: Path, desk: Desk
) -> None:
    silent = await make_services(
        database_url, valkey_url, tmp_path, quiz={"feedback": "none", "cooldown_after": 99}
    )
    routes = [web.get("/quiz/{video}", quiz.quiz_page), web.post("/quiz/{video}", quiz.quiz_submit)]
    async with open_doors(silent, routes) as server, browser_of(silent, server, desk.pupil) as browser:
        quiet = Desk(silent, server, browser, desk.pupil, desk.lessons)
        pages = set()
        for wrong in ({"发现隐患应当？"}, {"进入现场须佩戴？"}, {question.text for question in CONTENT.questions}):
            pages.add(await quiet.post((await quiet.sheet()).fields(wrong)))
    await close_services(silent)
    assert len(pages) == 1
    assert "答对" in (page := pages.pop()[1]) and not re.search(r"答对 \d", page)


async def test_an_open_check_is_named_as_what_the_hours_wait_for(desk: Desk) -> None:
    await school.add_playback(desk.services, desk.pupil, desk.lessons.video_ids[0], school.DURATION_MS)
    async with desk.services.db.write() as conn:
        await conn.execute(update(playback).values(held_challenge_id="c"))
    _, page = await desk.post((await desk.sheet()).fields())
    assert "全部答对" in page and "播放验证没有完成" in page and "学时已入账" not in page
    assert await desk.count(ledger_entry) == 0


async def test_before_the_end_of_the_video_the_page_says_how_much_is_missing(desk: Desk) -> None:
    async with desk.services.db.write() as conn:
        await conn.execute(update(watch_progress).values(watched_at=None, frontier_ms=30_000))
    status, page = await desk.get()
    assert status == 200 and "还差 00:30" in page and "<fieldset" not in page


async def test_a_form_from_elsewhere_or_without_its_token_changes_nothing(desk: Desk) -> None:
    fields = (await desk.sheet()).fields()
    assert (await desk.post([pair for pair in fields if pair[0] != "csrf"]))[0] == 403
    async with desk.browser.post(desk.path, data=fields, headers={"Origin": "https://evil.example"}) as reply:
        assert reply.status == 403
    async with desk.browser.post(desk.path, data=fields, headers={"Sec-Fetch-Site": "cross-site"}) as reply:
        assert reply.status == 403
    assert await desk.count(attempt) == 0


async def test_a_foreign_learners_sheet_and_a_spoilt_one_are_refused(desk: Desk) -> None:
    sheet = await desk.sheet()
    other = await school.add_learner(desk.services, 1, name="李娜")
    await school.add_enrolment(desk.services, other.learner_id, desk.lessons.course_id)
    await school.add_progress(
        desk.services, other.learner_id, desk.lessons.video_ids[0], school.DURATION_MS, watched_at=1
    )
    async with browser_of(desk.services, desk.server, other) as browser:
        stranger = Desk(desk.services, desk.server, browser, other, desk.lessons)
        own = await stranger.sheet()
        for token in (sheet.hidden["sheet"], "", "学时", own.hidden["sheet"][:-3]):
            fields = [("csrf", own.hidden["csrf"]), ("sheet", token), *sheet.fields()[2:]]
            status, page = await stranger.post(fields)
            assert status == 409 and "这份练习已失效" in page
    assert await desk.count(attempt) == 0


async def test_odd_fields_are_no_answers(desk: Desk) -> None:
    sheet = await desk.sheet()
    odd = [
        ("q1", "9" * 400),
        ("q2", "-1"),
        ("q3", "1.0"),
        ("q4", "²"),
        ("q" + "9" * 30, "1"),
        ("qq", "0"),
        ("q", ""),
    ]
    status, page = await desk.post([*sheet.hidden.items(), *odd])
    assert status == 422 and page.count("请作答这一题") == len(CONTENT.questions)


async def test_a_video_that_is_not_there_for_this_learner_is_not_found(desk: Desk) -> None:
    elsewhere = await school.add_institution(desk.services, "另一家")
    foreign = (await school.add_course(desk.services, elsewhere)).video_ids[0]
    csrf = (await desk.sheet()).hidden["csrf"]
    for video in (foreign, 999_999, "0", "x", "9" * 30):
        assert (await desk.get(f"/quiz/{video}"))[0] == 404
        assert (await desk.post([("csrf", csrf)], f"/quiz/{video}"))[0] == 404


async def test_a_video_that_may_not_be_watched_leads_to_the_page_that_says_why(desk: Desk) -> None:
    unassigned = (await school.add_course(desk.services, 1, "未报名")).video_ids[0]
    async with desk.browser.get(f"/quiz/{unassigned}") as reply:
        assert reply.status == 403 and reply.url.path == f"/player/{unassigned}"


async def test_nobody_sees_a_quiz_without_logging_in(desk: Desk) -> None:
    async with browser_of(desk.services, desk.server) as browser:
        async with browser.get(desk.path, allow_redirects=False) as reply:
            assert reply.status == 303 and reply.headers["Location"].startswith("/login?next=")
        async with browser.post(desk.path, data={}, allow_redirects=False) as reply:
            assert reply.status == 303


async def test_the_page_is_escaped(desk: Desk) -> None:
    nasty = QuizContent((Question("single", "<script>alert(1)</script>", ('"><img src=x>', "好"), (1,)),))
    await add_quiz(desk.services, desk.lessons.video_ids[0], nasty)
    _, page = await desk.get()
    assert "<script>alert" not in page and "<img" not in page and "&lt;script&gt;" in page
    assert csrf_in(page)
