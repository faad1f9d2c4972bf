"""A learner who never gives up: plays in real time, and comes back after every broken line, often on another node.

It says that it is a little further than it is, so that any second given away is seen, and it drops one ack in ten:
then it acts as if the line had broken and asks another node.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from telemetry.messages import Close
from tests.faults.history import History, Study
from tests.support.watch_client import WatchClient

BEAT_S = 0.12
#: A page that claims to be this much ahead is not rewound (`jitter_s`), and must never get any of it.
LEAD_S = 0.3
DROPPED = 0.1
#: A page whose beats stay unanswered for so long takes the line for dead.
DEAF_S = 3.0
#: Between two attempts to come back.
AGAIN_S = (0.05, 0.3)
#: What may happen to an honest page while servers die; anything else is a mistake.
RETRIED = {Close.SILENT, Close.RESTART, Close.TRY_LATER, Close.SLOW_READER, Close.DISPLACED, Close.BUSY, 1006, 1011}
_BROKEN = (OSError, aiohttp.ClientError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError, EOFError)


@dataclass
class Client:
    """One person with a log-in cookie, before these nodes."""

    http: aiohttp.ClientSession
    nodes: list[str]
    csrf: str
    video_ids: tuple[int, ...]
    history: History
    rng: random.Random
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    sent: dict[int, int] = field(default_factory=dict)  # seq → position in ms, without an ack so far
    acked: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """No further beat; `run` returns soon."""
        self.stopped.set()

    def is_over(self) -> bool:
        return self.stopped.is_set()

    async def run(self) -> None:
        """Study video after video until told to stop."""
        for video_id in itertools.cycle(self.video_ids):
            await self._study(video_id)
            if self.is_over():
                break
        self.history.ended = time.monotonic()

    async def _study(self, video_id: int) -> None:
        """Play one video to its end, through as many lines as it takes."""
        study = self.history.study(video_id)
        former: WatchClient | None = None
        while not self.is_over() and not study.is_watched():
            page: WatchClient | None = None
            try:
                async with asyncio.timeout(10):
                    page = await self._enter(video_id, former)
                if page is None:
                    await self._pause()
                    continue
                former = page
                await self._play(page, study)
            except _BROKEN:
                self._is_unknown()
                await self._pause()
            finally:
                if page is not None:
                    self._check_close(page.socket.close_code)
                    if study.is_watched() and self.rng.random() < 0.5:
                        with suppress(*_BROKEN):
                            await page.bye()
                    else:
                        page.socket.transport.abort()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), self.rng.uniform(*AGAIN_S))

    async def _enter(self, video_id: int, former: WatchClient | None) -> WatchClient | None:
        """A page that was welcomed by some node; None if none lets us in now."""
        url = self.rng.choice(self.nodes)
        headers = {"X-CSRF-Token": self.csrf}
        timeout = aiohttp.ClientTimeout(total=5)
        async with self.http.post(
            f"{url}/api/v1/watch-tickets", json={"video": video_id}, headers=headers, timeout=timeout
        ) as answer:
            if answer.status >= 500 or answer.status == 429:
                return None
            if answer.status != 200:
                self.history.unexpected.append(f"ticket: {answer.status} {await answer.text()}")
                return None
            ticket = (await answer.json())["ticket"]
        asked = time.monotonic()
        page = await WatchClient.open(url, ticket, video_id, open_timeout=5, close_timeout=1)
        if self.history.began is None:
            self.history.began = time.monotonic()
        proof = None
        if former is not None:
            page.seq, page.rewind, proof = former.seq, former.rewind, former.session
        answer_ = await page.hello(session=proof, takeover=True)
        if answer_["type"] != "welcome":
            page.socket.transport.abort()
            return None
        study = self.history.study(video_id)
        if study.began is None:
            study.began, study.began_ms = asked, round(answer_["frontier"] * 1000)
        self._welcomed(page, answer_)
        return page

    def _welcomed(self, page: WatchClient, welcome: dict[str, Any]) -> None:
        history, study = self.history, self.history.study(page.video_id)
        frontier = round(welcome["frontier"] * 1000)
        promised = max(study.acked_ms, study.dropped_ms)
        if frontier < promised:
            history.lost.append(f"{page.video_id}: welcomed at {frontier} ms after {promised} were acknowledged")
        if frontier > study.acked_ms and self.sent:
            history.unknown_durable += 1
        self.sent.clear()
        history.epochs.append(welcome["epoch"])
        if welcome["watched"]:
            study.watched = True
            study.acked_ms = max(study.acked_ms, frontier)

    async def _play(self, page: WatchClient, study: Study) -> None:
        if study.watched:
            return
        start = page.welcome["frontier"]
        duration = page.welcome["duration"]
        began, heard, event = time.monotonic(), time.monotonic(), "play"
        listening = asyncio.create_task(page.receive(timeout=DEAF_S))
        try:
            while not self.is_over():
                now = time.monotonic()
                position = min(duration, start + now - began + LEAD_S)
                study.attempted_ms = max(study.attempted_ms, round(position * 1000))
                self.history.beats += 1
                seq = await page.beat(position, event="ended" if position >= duration else event)
                self.sent[seq] = round(position * 1000)
                event = "tick"
                wait_until = now + BEAT_S
                while (left := wait_until - time.monotonic()) > 0:
                    done, _ = await asyncio.wait([listening], timeout=left)
                    if not done:
                        break
                    message = listening.result()
                    heard = time.monotonic()
                    if message["type"] == "ack":
                        if self._ack(message, study):
                            raise ConnectionResetError("the ack was dropped on purpose")
                        if study.is_watched():
                            return
                    elif message["type"] == "rewind":
                        start, began = message["to"], time.monotonic()
                    listening = asyncio.create_task(page.receive(timeout=DEAF_S))
                if time.monotonic() - heard > DEAF_S:
                    raise TimeoutError("no answer")
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _ack(self, ack: dict[str, Any], study: Study) -> bool:
        """Take in an ack. Returns whether it is dropped."""
        history, frontier = self.history, round(ack["frontier"] * 1000)
        passed = (time.monotonic() - (study.began or 0.0)) * 1000
        if frontier - study.began_ms > passed and not history.early:
            history.early.append(f"{history.learner_id}: {frontier} ms from {study.began_ms} in {passed:.0f} ms")
        if self.rng.random() < DROPPED:
            study.dropped_ms = max(study.dropped_ms, frontier)
            return True
        covered = [seq for seq in self.sent if seq <= ack["seq"]]
        for seq in covered:
            del self.sent[seq]
        history.acks += len(covered)
        history.earned_at = time.monotonic()
        study.acked_ms = max(study.acked_ms, frontier)
        study.watched = study.watched or bool(ack["watched"])
        self.acked.set()
        return False

    def _is_unknown(self) -> None:
        self.history.unknown += len(self.sent)

    def _check_close(self, code: int | None) -> None:
        if code is not None and code not in RETRIED and code != Close.NO_COURSE and code != 1000:
            self.history.unexpected.append(f"closed with {code}")
