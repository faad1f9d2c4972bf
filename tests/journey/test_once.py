"""Exactly once, whatever gets lost on the way: identical sheets and identical results of the exam, sent in parallel
to two nodes by clients who often never hear the answer and ask the other node again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import yaml
from sqlalchemy import select
from yarl import URL

from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from player_server.storage.exam_tables import exam_result
from player_server.storage.tables import attempt, ledger_entry, outbox
from tests.support import school
from tests.support.learner import learner
from tests.support.ports import free_port
from tests.support.processes import until
from tests.support.product import Product, product
from tests.support.quizzes import add_quiz

TIMES = 200
#: Of so many replies one is lost. Every other one of these has been sent already when the client is gone.
LOST_OF = 10


@dataclass(frozen=True, slots=True)
class Letter:
    """A POST that is sent again and again, word for word, and what every answer to it must hold."""

    path: str
    headers: dict[str, str]
    body: bytes

    async def send(self, nodes: list[str], number: int) -> tuple[int, bytes]:
        """Send it to one node; if the reply is lost, to the other one. Status and body of what was heard."""
        if number % LOST_OF == 0:
            await self._once(nodes[number // LOST_OF % 2], lost=True, answered=number % (2 * LOST_OF) == 0)
            number += number // LOST_OF + 1  # the other node
            heard = await self._once(nodes[number % 2])
        else:
            heard = await self._once(nodes[number % 2])
        assert heard is not None
        return heard

    async def _once(self, node: str, *, lost: bool = False, answered: bool = False) -> tuple[int, bytes] | None:
        """One connection of its own. `lost`: it is closed before anything is read; `answered`: when the answer
        begins to arrive."""
        url = URL(node)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            lines = [f"POST {self.path} HTTP/1.1", f"Host: {url.host}:{url.port}", f"Origin: {node}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + self.body)
            await writer.drain()
            if lost:
                if answered:
                    await reader.read(1)
                return None
            answer = await reader.read()
        finally:
            # With FIN, not RST: what was written arrives in any case.
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


async def test_two_hundred_identical_sheets_and_results_on_two_nodes_count_once(
    postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    async with product(postgres_url, valkey_url, tmp_path) as running:
        nodes = [running.url, await second_node(running)]
        pupil, video_id, sheet = await a_filled_in_sheet(running)
        candidate, result = await a_result_of_the_exam(running)
        answers = await asyncio.gather(
            *(letter.send(nodes, number) for number in range(TIMES) for letter in (sheet, result))
        )
        for status, body in answers[0::2]:
            assert status == 200 and "全部答对" in body.decode(), (status, body)
        results = [(status, json.loads(body)) for status, body in answers[1::2]]
        assert all(each == results[0] for each in results) and results[0][0] == 201, results

        async with running.services.db.read() as conn:
            entries = (await conn.execute(select(ledger_entry).where(ledger_entry.c.evidence != "{}"))).all()
            assert len((await conn.execute(select(attempt))).all()) == 1
            assert len((await conn.execute(select(exam_result))).all()) == 1
        assert sorted((row.learner_id, row.kind) for row in entries) == sorted(
            [(pupil, "online"), (candidate, "test")]
        )
        assert [row.id for row in entries if row.kind == "test"] == results[0][1]["entries"]
        assert [row.video_id for row in entries if row.kind == "online"] == [video_id]

        async def told() -> Counter[tuple[str, int]]:
            async with running.services.db.read() as conn:
                rows = await conn.execute(select(outbox.c.topic, outbox.c.learner_id, outbox.c.position))
                found = rows.all()
            # Each has got its place in the feed from the worker.
            return Counter() if None in {row.position for row in found} else Counter(row[:2] for row in found)

        events = await until(told, timeout=30)
        assert isinstance(events, Counter) and set(events.values()) == {1}, events
        wanted = {("hours.credited", pupil), ("hours.credited", candidate), ("exam.result", candidate)}
        assert wanted <= events.keys(), events


async def second_node(running: Product) -> str:
    """A second process behind the same public address, which is what its tokens are made for."""
    settings = yaml.safe_load(running.config.read_text(encoding="utf-8"))
    settings["server"]["public_url"] = running.url
    running.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    port = free_port()
    await running.start("serve-2", "serve", "--port", str(port))
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        with suppress(aiohttp.ClientError):
            async with aiohttp.request("GET", f"{url}/readyz") as answer:
                return answer.status == 200
        return False

    await until(ready, timeout=60)
    return url


async def a_filled_in_sheet(running: Product) -> tuple[int, int, Letter]:
    """Of a learner who has watched the whole video: learner, video, and what the browser sends."""
    services = running.services
    lessons = await school.add_course(services, running.institution_id, hours=(100, 50))
    video_id = lessons.video_ids[0]
    await add_quiz(services, video_id)
    running.course_id = lessons.course_id
    account = await running.add_learner("欧阳小明", 1)
    await school.add_progress(services, account.learner_id, video_id, school.DURATION_MS, watched_at=wall_ms())
    async with learner(running, account) as who:
        await who.first_log_in()
        fields = (await who.open_sheet(video_id)).fields()
        cookies = who.computer.http.cookie_jar.filter_cookies(URL(running.url))
        headers = {
            "Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": who.computer.http.headers["User-Agent"],
        }
    return account.learner_id, video_id, Letter(f"/quiz/{video_id}", headers, urlencode(fields).encode())


async def a_result_of_the_exam(running: Product) -> tuple[int, Letter]:
    """Of a learner who has all hours but those of the test: learner, and what the exam service sends."""
    services, at = running.services, running.institution_id
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at, "另一门")
    today, now = china_day(wall_ms()), wall_ms()
    await school.add_enrolment(
        services,
        pupil.learner_id,
        lessons.course_id,
        issue_date=today - timedelta(days=700),
        expiry_date=today + timedelta(days=300),
    )
    first, second = lessons.video_ids
    await school.add_entry(
        services,
        pupil.learner_id,
        lessons,
        first,
        1600,
        institution_id=at,
        occurred_at=now,
        kind="offline",
        subject="public",
    )
    await school.add_entry(services, pupil.learner_id, lessons, second, 4000, institution_id=at, occurred_at=now)
    headers = {
        "Authorization": f"Bearer {running.exam_token()}",
        "Content-Type": "application/json",
        "Idempotency-Key": "sitting-1",
    }
    body = {"learner": pupil.learner_id, "outcome": "passed", "score": 85}
    return pupil.learner_id, Letter("/api/v1/exam-results", headers, json.dumps(body).encode())
