"""C01, C02: getting at the right answers, by looking at every byte or by trying very often."""

from __future__ import annotations

import asyncio
import base64
import codecs
import hashlib
import itertools
import json
import re
import secrets
import statistics
import time
from collections import Counter
from dataclasses import replace
from urllib.parse import quote, urljoin, urlsplit

from sqlalchemy import select

from player_server.policy.quiz_content import Question, QuizContent, version_of
from player_server.storage.tables import attempt
from tests.redteam.arena import Kind
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, open_cookie
from tests.support.http_browser import HttpBrowser
from tests.support.quizzes import CONTENT, add_quiz
from tests.support.sheet_reader import SheetReader

#: Longer than the grace, within which a quiz is opened before the last beats are there.
WATCH_S = 20.0
SHEETS = 120
#: Long enough for the third pause to begin.
GUESS_S = 95


def planted() -> QuizContent:
    """A quiz whose options are words that stand nowhere else; three of four questions have one right option."""
    word = secrets.token_hex
    texts = [f"Which word, {word(4)}?" for _ in range(4)]
    options = [tuple(f"canary{word(8)}" for _ in range(4)) for _ in texts]
    rights = ((1,), (3,), (0,), (0, 2))
    kinds = ("single", "single", "single", "multiple")
    rows = zip(kinds, texts, options, rights, strict=True)
    return QuizContent(tuple(Question(kind, text, given, right) for kind, text, given, right in rows))  # type: ignore[arg-type]


def disguises(text: str) -> set[bytes]:
    """A text as it might be hidden in a page: plain, reversed, escaped, encoded, hashed."""
    raw = text.encode()
    found = {raw, raw[::-1], raw.hex().encode(), codecs.encode(text, "rot13").encode(), quote(text).encode()}
    found |= {json.dumps(text)[1:-1].encode(), "".join(f"&#{ord(each)};" for each in text).encode()}
    found |= {"".join(f"\\u{ord(each):04x}" for each in text).encode()}
    found |= {hash_(raw).hexdigest().encode() for hash_ in (hashlib.md5, hashlib.sha1, hashlib.sha256)}
    for shift in range(3):
        # The characters that also depend on the neighbours are cut off.
        coded = base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4]
        found |= {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Listener:
    """Keeps every byte that was sent to a learner, headers included."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def finds(self, texts: list[str]) -> list[str]:
        """Where one of these texts stands, in any disguise."""
        needles = {needle: text for text in texts for needle in disguises(text)}
        pattern = re.compile(b"|".join(re.escape(each) for each in needles))
        return [
            f"{where}: {found.group()[:40]!r}" for where, data in self.heard for found in pattern.finditer(data)
        ]

    async def crawl(self, browser: HttpBrowser, *starts: str) -> int:
        """Open these pages and everything they link to; returns how many there were."""
        waiting, seen = list(starts), set(starts)
        while waiting and len(seen) < 300:
            path = waiting.pop()
            async with browser.http.get(browser.url + path) as answer:
                body = await answer.read()
                self.heard.append((path, str(answer.headers).encode() + body))
                here = answer.url.path
            links = re.findall(rb"""(?:href|src)="([^"#]+)"|["'](\.{1,2}/[\w./-]+\.js)["']""", body)
            for one, other in links:
                url = urljoin(here, (one or other).decode())
                if url not in seen and not urlsplit(url).netloc and url.startswith("/"):
                    seen.add(url)
                    waiting.append(url)
        return len(seen)


async def watched_learner(game: Game, content: QuizContent, **options: object) -> Learner:
    """A learner of a short video with this quiz, which is not watched yet."""
    learner = await game.learner(WATCH_S, **options)
    await add_quiz(learner.arena.services, learner.lessons.video_ids[0], content)
    return learner


async def watch_it(learner: Learner) -> bytes:
    """Watch the video to its end, honestly; everything that the socket said."""
    page = await learner.page()
    await page.watch(WATCH_S + 0.3, every=2.0)
    await page.acked(WATCH_S, playing=False, event="ended")
    while not page.watched:
        await asyncio.sleep((page.wait or 0) + 0.05)
        await page.acked(WATCH_S, playing=False, event="ended")
    await page.until("watched")
    await page.bye()
    return json.dumps(page.inbox).encode()


@case(
    "C01",
    "every byte sent (HTTP, headers, WebSocket, JS) scanned for planted right answers, raw, encoded and hashed",
    "learning.quiz.Sheet has no field for a right option; the sheet's token is encrypted; order is drawn per sheet",
    seconds=40,
    twin=False,
    smoke=True,
)
async def canaries(game: Game) -> None:
    content, listener = planted(), Listener()
    learner = await watched_learner(game, content)
    video = learner.lessons.video_ids[0]
    every = [option for question in content.questions for option in question.options]
    # The version is the hash of the content with its marks: who knew it could try the marks out at home.
    secret = [
        version_of(content),
        *(f'"right":{json.dumps(each.right)}'.replace(" ", "") for each in content.questions),
    ]
    async with learner.browser() as browser:
        starts = ("/", f"/courses/{learner.lessons.course_id}", f"/player/{video}", f"/quiz/{video}", "/hours")
        count = await listener.crawl(browser, *starts)
        listener.heard.append(("the socket", await watch_it(learner)))
        game.check(f"nothing of the quiz before the end ({count} addresses)", not listener.finds([*every, *secret]))

        pages = [await browser.get(f"/quiz/{video}") for _ in range(SHEETS)]
        _judge_sheets(game, content, pages)
        listener.heard += [("a sheet", page.encode()) for page in pages]
        await _hand_in(browser, video, content, wrong={each.text for each in content.questions})
        listener.heard.append(("the result", browser.page.encode()))
        game.check("a wrong sheet is refused", browser.status == 200 and await learner.hours() == 0)
        game.check("a result names no option", not any(each in browser.page for each in every))
        await listener.crawl(browser, *starts[:3], "/hours")
        game.check("the version and the marks are nowhere", not listener.finds(secret))
        await _hand_in(browser, video, content, wrong=set())
        game.check("the right sheet gives the hours", await learner.hours() == 100)
    game.note(
        f"{sum(len(data) for _, data in listener.heard) // 1024} KiB in {len(listener.heard)} answers scanned"
    )


async def _hand_in(browser: HttpBrowser, video: int, content: QuizContent, wrong: set[str]) -> None:
    """Open a sheet and hand it in, wrong at these questions; the result is the browser's page."""
    fields = SheetReader(await browser.get(f"/quiz/{video}"), content).fields(wrong)
    async with browser.http.post(f"{browser.url}/quiz/{video}", data=fields) as answer:
        browser.page, browser.status = await answer.text(), answer.status


def _judge_sheets(game: Game, content: QuizContent, pages: list[str]) -> None:
    """Right and wrong options look alike, and stand at every place equally often."""
    looks: dict[bool, set[str]] = {True: set(), False: set()}
    places: dict[str, Counter[str]] = {}
    rights = {each.options[index] for each in content.questions for index in each.right}
    for page in pages:
        for label in re.findall(r"<label.*?</label>", page, re.S):
            word = re.search(r"canary[0-9a-f]{16}", label)
            place = re.search(r'value="(\d+)"', label)
            assert word and place
            kind = "checkbox" in label
            plain = re.sub(r'name="q\d+"|value="\d+"|canary[0-9a-f]{16}', "·", label)
            looks[word.group() in rights].add(f"{kind} {plain}")
            places.setdefault(word.group(), Counter())[place.group(1)] += 1
    game.check(f"right and wrong options look alike ({looks})", looks[True] == looks[False] and looks[True])
    low, high = SHEETS / 4 - 5 * (SHEETS * 3 / 16) ** 0.5, SHEETS / 4 + 5 * (SHEETS * 3 / 16) ** 0.5
    even = all(low <= each[str(place)] <= high for each in places.values() for place in range(4))
    game.check(f"every option stands everywhere equally often in {SHEETS} sheets", even)


@case(
    "C02",
    "100 submissions, 20 at once, from 3 devices; then 20 right ones at once; `none` compared in body and time",
    "storage.attempts.take_turn: one learner's submissions wait for each other; policy.quiz.CoolDown; settle once",
    seconds=110,
    load=6,
    twin=False,
)
async def many_submissions(game: Game) -> None:
    await asyncio.gather(_guess(game), _pass_at_once(game), _feedback_none(game))


async def _devices(learner: Learner, count: int = 3) -> list[Learner]:
    """The same learner in so many browsers."""
    return [replace(learner, cookie=await open_cookie(learner), pages=[]) for _ in range(count)]


async def _guess(game: Game) -> None:
    """100 wrong sheets, opened before the first was handed in, over and over until the time is up."""
    learner = await watched_learner(game, CONTENT)
    await watch_it(learner)
    path = f"/quiz/{learner.lessons.video_ids[0]}"
    devices = [each.browser(node) for node, each in enumerate(await _devices(learner))]
    sheets = [await devices[number % 3].get(path) for number in range(100)]
    texts = {each.text for each in CONTENT.questions}
    statuses: Counter[int] = Counter()
    at_once = asyncio.Semaphore(20)

    async def hand_in(number: int) -> None:
        async with (
            at_once,
            devices[number % 3].http.post(
                devices[number % 3].url + path, data=SheetReader(sheets[number]).fields(texts)
            ) as answer,
        ):
            statuses[answer.status] += 1
            await answer.read()

    began = time.monotonic()
    while time.monotonic() - began < GUESS_S:
        await asyncio.gather(*(hand_in(number) for number in range(100)))
        await asyncio.sleep(2)
    for each in devices:
        await each.http.close()
    async with game.arena.services.db.read() as conn:
        query = select(attempt.c.submitted_at).where(attempt.c.learner_id == learner.learner_id)
        times = sorted((await conn.scalars(query)).all())
    pauses = [(later - earlier) / 1000 for earlier, later in itertools.pairwise(times[2:])]
    game.check(f"3 submissions, then pauses of 30, 60 s … ({pauses})", len(times) >= 4)
    for pause, least in zip(pauses, (30, 60, 120), strict=False):
        game.check(f"a pause of {pause:.1f} s is at least {least} s", pause >= least)
    game.check(f"only 200 and 429 ({dict(statuses)})", set(statuses) <= {200, 429})
    game.check("guessing gave no hours", await learner.hours() == 0)
    game.note(f"{sum(statuses.values())} submissions in {GUESS_S} s: {len(times)} were graded")


async def _pass_at_once(game: Game) -> None:
    """20 sheets that are all right, at once, each of them twice."""
    learner = await watched_learner(game, CONTENT)
    await watch_it(learner)
    path = f"/quiz/{learner.lessons.video_ids[0]}"
    devices = [each.browser(node) for node, each in enumerate(await _devices(learner))]
    sheets = [SheetReader(await devices[number % 3].get(path)).fields() for number in range(20)]

    async def hand_in(number: int) -> int:
        browser = devices[number % 3]
        async with browser.http.post(browser.url + path, data=sheets[number % 20]) as answer:
            await answer.read()
            return answer.status

    statuses = await asyncio.gather(*(hand_in(number) for number in range(20)))
    statuses += await asyncio.gather(*(hand_in(number % 20) for number in range(20)))
    for each in devices:
        await each.http.close()
    game.check(f"every answer is a page ({Counter(statuses)})", all(each < 500 for each in statuses))
    async with game.arena.services.db.read() as conn:
        query = select(attempt.c.id).where(attempt.c.learner_id == learner.learner_id, attempt.c.passed)
        passed = len((await conn.scalars(query)).all())
    game.check(f"one of them counts ({passed})", passed == 1)
    game.check(f"the hours once ({await learner.hours()})", await learner.hours() == 100)


async def _feedback_none(game: Game) -> None:
    """Under `none`, one wrong answer and four wrong answers cannot be told apart by body or time."""
    kind = Kind({"quiz": {"feedback": "none", "cooldown_after": 10_000}})
    async with game.own_arena(kind, nodes=1) as arena:
        learner = await watched_learner(game, CONTENT, arena=arena)
        await watch_it(learner)
        path = f"/quiz/{learner.lessons.video_ids[0]}"
        texts = [each.text for each in CONTENT.questions]
        bodies: dict[int, set[str]] = {1: set(), 4: set()}
        times: dict[int, list[float]] = {1: [], 4: []}
        async with learner.browser() as browser:
            for number in range(80):
                wrong = (1, 4)[number % 2]
                fields = SheetReader(await browser.get(path)).fields(set(texts[:wrong]))
                began = time.perf_counter()
                async with browser.http.post(browser.url + path, data=fields) as answer:
                    body = await answer.text()
                times[wrong].append(time.perf_counter() - began)
                bodies[wrong].add(body)
        game.check(
            "the same body for one and for four wrong answers", bodies[1] == bodies[4] and len(bodies[1]) == 1
        )
        one, four = statistics.median(times[1]), statistics.median(times[4])
        spread = statistics.median(abs(each - one) for each in times[1])
        # A difference that a client could use would stand out of the spread of single answers.
        game.check(
            f"the same time: {one * 1000:.2f} and {four * 1000:.2f} ms", abs(one - four) < max(spread, 0.002)
        )
        game.note(f"feedback none: medians {one * 1000:.2f} / {four * 1000:.2f} ms, spread {spread * 1000:.2f} ms")
