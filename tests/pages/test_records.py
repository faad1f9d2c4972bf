"""学习记录: the learner reads what counted, what did not and why, and every finding in plain words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from player_server.learning.findings import record_finding
from player_server.learning.services import Services
from player_server.pages import hours, records
from player_server.pages.language import read_catalogue
from player_server.policy.findings import HOUR_MS, china_day, day_start_ms
from player_server.storage.clock import wall_ms
from player_server.storage.playback import SegmentRow
from player_server.storage.segments import add_segments
from telemetry.findings import FindingKind
from tests.support import school
from tests.support.doors import browser_of, open_doors

MINUTE_MS = 60_000


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [web.get("/records", records.records), web.get("/hours", hours.hours)]
    async with open_doors(services, routes) as opened:
        yield opened


async def read(services: Services, server: TestServer, pupil: school.Pupil | None, lang: str = "zh") -> str:
    async with (
        browser_of(services, server, pupil) as browser,
        browser.get("/records", headers={"Accept-Language": lang}, allow_redirects=False) as reply,
    ):
        return await reply.text() if reply.status == 200 else str(reply.status)


def words(html: str) -> str:
    """The text of the page's main part."""
    main = html.split("<main", 1)[1].split("</main>", 1)[0]
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())


async def add(
    services: Services, pupil: school.Pupil, video_id: int, number: int, start: int, minutes: int, reason: str
) -> None:
    begin, length = (number - 1) * 10 * MINUTE_MS, minutes * MINUTE_MS
    row = SegmentRow(
        session_id="s",
        number=number,
        learner_id=pupil.learner_id,
        video_id=video_id,
        round=1,
        from_ms=begin,
        to_ms=begin + length,
        started_at=start,
        ended_at=start + length,
        reason=reason,
    )
    async with services.db.write() as conn:
        await add_segments(conn, [row])


def test_every_kind_of_finding_has_a_sentence_in_both_languages() -> None:
    assert set(records.SENTENCES) == set(FindingKind)
    english = [read_catalogue()[sentence] for sentence in records.SENTENCES.values()]
    assert len(set(english)) == len(FindingKind)


async def test_without_a_log_in_the_page_leads_to_it(services: Services, server: TestServer) -> None:
    assert await read(services, server, None) == "303"


async def test_a_new_learner_reads_that_there_is_nothing_yet(services: Services, server: TestServer) -> None:
    pupil = await school.add_learner(services, await school.add_institution(services, "示例"))
    text = words(await read(services, server, pupil))
    assert "没有需要您留意的事情" in text and "还没有学习记录" in text
    text = words(await read(services, server, pupil, "en"))
    assert "Nothing to note" in text and "No study record yet" in text


async def test_stretches_say_when_they_counted_and_why_they_ended(services: Services, server: TestServer) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    morning = day_start_ms(china_day(wall_ms()) - 1) + 9 * HOUR_MS
    first, last = lessons.video_ids
    await add(services, pupil, first, 1, morning, 8, "challenge")
    await add(services, pupil, first, 2, morning + 10 * MINUTE_MS, 4, "gap")
    await add(services, pupil, last, 3, morning + 15 * MINUTE_MS, 5, "watched")
    stranger = await school.add_learner(services, at)
    await add(services, stranger, first, 40, morning, 1, "pause")
    text = words(await read(services, server, pupil))
    assert "计时 17:00" in text
    assert (
        "09:00–09:08 第1讲 00:00 → 08:00 之后 02:00 没有计时：等待您完成播放验证 有异议？ 第1讲 09:08 +08:00"
        in text
    )
    assert (
        "09:10–09:14 第1讲 10:00 → 14:00 之后 01:00 没有计时：网络中断的时间太长 有异议？ 第1讲 09:14 +04:00"
        in text
    )
    assert "第2讲 20:00 → 25:00 到此为止：视频已看完 +05:00" in text
    english = words(await read(services, server, pupil, "en"))
    assert "Then 02:00 did not count: a playback check waited for you" in english


async def test_findings_are_told_in_words_and_only_to_the_one_they_concern(
    services: Services, server: TestServer
) -> None:
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    other = await school.add_learner(services, at)
    noon = day_start_ms(china_day(wall_ms())) - 12 * HOUR_MS
    async with services.db.write() as conn:
        for number in range(3):
            await record_finding(
                conn,
                FindingKind.CHALLENGE_MISSED,
                source=f"challenge:{number}",
                person_id=pupil.person_id,
                learner_id=pupil.learner_id,
                video_id=lessons.video_ids[0],
                at=noon + number,
            )
        await record_finding(
            conn, FindingKind.PHONE_REUSED, source="x", person_id=other.person_id, at=noon, learner_id=None
        )
    text = words(await read(services, server, pupil))
    assert "12:00 有播放验证没有在规定时间内完成" in text and "3 次 · 第1讲" in text
    assert "同一部手机" not in text and "提示本身不会减少学时" in text
    assert "同一部手机用于了不止一位学员的验证" in words(await read(services, server, other))
