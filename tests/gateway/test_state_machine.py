"""A learner's whole life against a model: pages, beats, takeovers, checks, quizzes, other videos, killed servers.

Time is an argument of the core here, so hours pass in milliseconds; stores, hub, committer and use cases are the
real ones. Only the socket is left out: what the hub sends goes into a list. The model knows three things: how much
virtual time somebody owned the player, what was durably acknowledged, and what was handed in.

500 sequences: XUESHI_SEQUENCES=500 ./run test tests/gateway/test_state_machine.py
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update

from player_server.gateway.connection import Connection
from player_server.gateway.hub import Hub
from player_server.gateway.player import Player
from player_server.learning import challenges
from player_server.learning.challenges import Browser
from player_server.learning.quiz import Sheet, Why, hand_in, open_sheet
from player_server.learning.services import Services
from player_server.learning.settle import settle, settle_person, sweep
from player_server.learning.watch import Occupied, Opened, Watching, draw, retire_silent
from player_server.standalone.valkey import Valkey
from player_server.storage.challenges import add_phone
from player_server.storage.playback import open_playback
from player_server.storage.progress import VideoProgress, video_progress
from player_server.storage.tables import challenge, ledger_entry, playback, video
from player_server.storage.tickets import Ticket
from telemetry.messages import Ack, Beat, Close
from telemetry.rules import watched_from_ms
from tests.support.checks import COMPUTER_AGENT, PHONE_AGENT
from tests.support.quizzes import add_quiz, right_answers, wrong_answers
from tests.support.school import Lessons, Pupil, add_course, add_enrolment, add_institution, add_learner, add_media
from tests.support.services import close_services, make_services
from tests.support.watch_client import log_in

# Few and always the same ones in `./run test`; as many new ones as wanted otherwise.
SEQUENCES = int(os.environ.get("XUESHI_SEQUENCES", "0"))
EVERY_DAY = 40
STEPS = 25
DURATIONS_MS = (15_000, 8_000)
T = TypeVar("T")


class Wire:
    """Where the hub's messages go instead of a socket."""

    def __init__(self) -> None:
        self.sent: list[msgspec.Struct] = []
        self.closed_with: Close | None = None

    def send(self, message: msgspec.Struct) -> None:
        self.sent.append(message)

    def close(self, code: Close) -> None:
        self.closed_with = self.closed_with or code

    async def closed(self) -> None:
        return None


@dataclass
class Page:
    """One page of the learner: its player if it was let in, and what it knows."""

    number: int
    wire: Wire
    player: Player
    node: Node
    seq: int = 0
    session: str = ""


@dataclass
class Node:
    """One server process: a hub with its committer. `kill` forgets everything that was not committed."""

    services: Services
    hub: Hub
    task: asyncio.Task[None]
    alive: bool = True


@dataclass
class World:
    """The stores of one run, shared by all sequences; each sequence has a learner of its own."""

    loop: asyncio.AbstractEventLoop
    services: Services
    institution_id: int
    lessons: Lessons
    nodes: list[Node] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def do(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return self.loop.run_until_complete(run())

    async def node(self) -> Node:
        watching = Watching(self.services, f"node-{len(self.nodes)}")
        hub = Hub(self.services, watching, open_playback(self.services.db, self.services.clock))
        node = Node(self.services, hub, asyncio.create_task(hub.committer.run()))
        self.nodes.append(node)
        return node


WORLD: list[World] = []


class LiveLearner(RuleBasedStateMachine):
    """The learner. Virtual milliseconds pass only in `beat`."""

    def __init__(self) -> None:
        super().__init__()
        self.world = WORLD[0]
        self.services = self.world.services
        self.now = 1_000_000
        self.pages: list[Page] = []
        self.live: Page | None = None
        self.owned_ms = 0
        self.acked = dict.fromkeys(self.world.lessons.video_ids, 0)
        self.passed: set[int] = set()
        self.held_at: dict[int, int] | None = None

    # ------------------------------------------------------------------------------ set-up

    @initialize()
    def enrol(self) -> None:
        self.world.do(self._enrol())
        self.world.do(self._hello(self.world.lessons.video_ids[0], None, False))

    async def _enrol(self) -> None:
        self.pupil: Pupil = await add_learner(self.services, self.world.institution_id)
        await add_enrolment(self.services, self.pupil.learner_id, self.world.lessons.course_id)
        self.login_hash = await log_in(self.services, self.pupil)
        self.credential = f"phone-{self.pupil.person_id}"
        async with self.services.db.write() as conn:
            await add_phone(conn, self.pupil.person_id, self.credential, device="phone", now=1)
        self.node = next((each for each in self.world.nodes if each.alive), None) or await self.world.node()

    # ------------------------------------------------------------------------------ pages

    @rule(second=st.booleans(), takeover=st.booleans())
    def open_page(self, second: bool, takeover: bool) -> None:
        video_id = self.world.lessons.video_ids[int(second)]
        self.world.do(self._hello(video_id, None, takeover))

    @precondition(lambda self: self.live is not None)
    @rule()
    def reconnect(self) -> None:
        assert self.live is not None
        self.world.do(self._hello(self.live.player.opened.video_id, self.live, False))

    async def _hello(self, video_id: int, same: Page | None, takeover: bool) -> None:
        ticket = Ticket(self.pupil.person_id, self.pupil.learner_id, video_id, self.login_hash)
        proof = same.session if same else None
        answer = await self.node.hub.watching.open(ticket, video_id, proof, takeover, COMPUTER_AGENT)
        row = await self._row()
        if isinstance(answer, Occupied):
            assert self.live is not None and not takeover and same is None
            self.world.seen["busy"] += 1
            return
        assert isinstance(answer, Opened), answer
        assert self.live is None or takeover or same is self.live, "two pages were let in"
        assert row.epoch == answer.epoch
        assert answer.session.frontier_ms == self.acked[video_id], "the welcome forgets or invents progress"
        self.world.seen["same page" if same else "takeover" if self.live else "welcome"] += 1
        if same is None:
            assert not answer.recovered and answer.session.carry_ms == 0
        opened = msgspec.structs.replace(answer.session, last_tick_ms=self.now)
        wire = Wire()
        rules = self.node.hub.watching.rules
        player = Player(
            replace(answer, session=opened), cast(Connection, wire), rules, lambda: draw(self.services), self.now
        )
        self.node.hub.adopt(player)
        page = Page(len(self.pages), wire, player, self.node, same.seq if same else 0, answer.session_id)
        self.pages.append(page)
        self.live = page
        await self.node.hub.idle()

    @precondition(lambda self: self.live is not None)
    @rule(second=st.booleans())
    def leave_for(self, second: bool) -> None:
        """A reload, or a click on another video: bye, then a new page."""
        self.world.do(self._leave())
        self.world.do(self._hello(self.world.lessons.video_ids[int(second)], None, False))

    async def _leave(self) -> None:
        assert self.live is not None
        page, self.live = self.live, None
        await page.node.hub.leave(page.player, "bye")

    @precondition(lambda self: self.live is not None)
    @rule()
    def kill_the_server(self) -> None:
        """What was not committed is lost; the page finds another node with its session."""
        self.world.do(self._kill())

    async def _kill(self) -> None:
        self.world.seen["kill"] += 1
        self.node.task.cancel()
        await asyncio.gather(self.node.task, return_exceptions=True)
        await self.node.hub.committer.close()
        self.node.alive = False
        self.node = await self.world.node()
        assert self.live is not None
        await self._hello(self.live.player.opened.video_id, self.live, False)

    # ------------------------------------------------------------------------------ watching

    @precondition(lambda self: self.live is not None)
    @rule(
        passed=st.integers(0, 20_000),
        ahead=st.integers(-10_000, 30_000),
        honest=st.booleans(),
        playing=st.booleans(),
        ended=st.booleans(),
    )
    def beat(self, passed: int, ahead: int, honest: bool, playing: bool, ended: bool) -> None:
        assert self.live is not None
        self.now += passed
        self.owned_ms += passed
        state = self.live.player.state
        position = state.frontier_ms + (min(passed, 15_000) if honest else ahead)
        self.world.do(self._beat(self.live, position, playing or honest, "ended" if ended else "tick"))

    @precondition(lambda self: self.live is not None)
    @rule(beats=st.integers(1, 6), then=st.sampled_from(["nothing", "confirm", "other phone", "miss", "renew"]))
    def watch_on(self, beats: int, then: str) -> None:
        """What learners mostly do, and what they make of the check that comes."""
        for _ in range(beats):
            self._honest_beat()
        if then in ("confirm", "other phone"):
            self.world.do(self._answer(then != "confirm"))
        elif then != "nothing":
            self.world.do(self._miss(then == "renew"))

    def _honest_beat(self) -> None:
        assert self.live is not None
        self.now += 5_000
        self.owned_ms += 5_000
        self.world.do(self._beat(self.live, self.live.player.state.frontier_ms + 5_000, True, "tick"))

    async def _beat(self, page: Page, position: int, playing: bool, event: str) -> None:
        page.seq += 1
        message = Beat(
            seq=page.seq,
            position=max(0, position) / 1000,
            playing=playing,
            event=event,  # type: ignore[arg-type]
            rewind=page.player.state.rewind_id or None,
        )
        before = len(page.wire.sent)
        held = page.player.state.held
        frontier = page.player.state.frontier_ms
        hub = page.node.hub
        if hub.owns(page.player) and page.player.beat(message, self.now):
            hub.committer.add(page.player)
            await hub.committer.drained(page.player)
            await hub.idle()
        acks = [each for each in page.wire.sent[before:] if isinstance(each, Ack)]
        if page is self.live:
            assert len(acks) == 1 and acks[0].seq == page.seq, "an accepted beat is acknowledged once"
            acked = round(acks[0].frontier * 1000)
            video_id = page.player.opened.video_id
            assert acked >= self.acked[video_id]
            if held is not None:
                assert acked == frontier, "nothing counts while a challenge is open"
            self.acked[video_id] = acked
        else:
            self.world.seen["flush"] += 1
            assert not acks, "a displaced page was acknowledged"

    @precondition(lambda self: len(self.pages) > 1)
    @rule(which=st.integers(0, 20), position=st.integers(0, 20_000))
    def an_old_page_flushes(self, which: int, position: int) -> None:
        page = self.pages[which % len(self.pages)]
        if page is not self.live and page.node.alive:
            self.world.do(self._beat(page, position, True, "tick"))

    # ------------------------------------------------------------------------------ checks

    @property
    def is_held(self) -> bool:
        """A check is open, as the pages so far have learnt."""
        return any(page.player.state.held is not None for page in self.pages[-1:])

    @precondition(lambda self: self.is_held)
    @rule(wrong=st.booleans())
    def answer_the_challenge(self, wrong: bool) -> None:
        self.world.do(self._answer(wrong))

    async def _answer(self, wrong: bool) -> None:
        held = (await self._row_or_none(("held_challenge_id",))) or None
        if held is None:
            return
        credential = "somebody-else" if wrong else self.credential
        browser = Browser(credential, login_person_id=None, device=PHONE_AGENT, address="127.0.0.1")
        answer = await challenges.confirm(self.services, held, browser)
        self.world.seen[f"challenge {answer.value}"] += 1
        await self._see_hold()

    @precondition(lambda self: self.is_held)
    @rule(renew=st.booleans())
    def miss_the_challenge(self, renew: bool) -> None:
        self.world.do(self._miss(renew))

    async def _miss(self, renew: bool) -> None:
        held = await self._row_or_none(("held_challenge_id",))
        if held is None:
            return
        async with self.services.db.write() as conn:
            await conn.execute(update(challenge).where(challenge.c.id == held).values(issued_at=1, deadline=2))
        await challenges.expire_due(self.services)
        assert await self._row_or_none(("held_challenge_id",)) == held, "a missed challenge holds on"
        if renew:
            await challenges.renew(self.services, self.pupil.person_id, held)
            successor = await self._row_or_none(("held_challenge_id",))
            assert successor not in (None, held)
            self.world.seen["successor"] += 1
        await self._see_hold()

    async def _see_hold(self) -> None:
        """The hint, as the hub gets it."""
        if self.live is not None:
            await self.live.node.hub._look_at_hold(self.live.player)
            await self.live.node.hub.idle()

    # ------------------------------------------------------------------------------ quiz and credit

    @precondition(lambda self: self.reached)
    @rule(which=st.integers(0, 1), right=st.booleans(), twice=st.booleans())
    def do_the_quiz(self, which: int, right: bool, twice: bool) -> None:
        self.world.do(self._do_the_quiz(self.reached[which % len(self.reached)], right, twice))

    @property
    def reached(self) -> list[int]:
        """Videos whose end is near enough for the quiz to open."""
        ends = zip(self.world.lessons.video_ids, DURATIONS_MS, strict=True)
        return [video_id for video_id, duration in ends if self.acked[video_id] >= duration - 8_000]

    async def _do_the_quiz(self, video_id: int, right: bool, twice: bool) -> None:
        sheet = await open_sheet(self.services, self.pupil.learner_id, video_id)
        if isinstance(sheet, Sheet):
            await self._hand_in(video_id, sheet, right, twice)
        else:
            assert sheet.why is Why.PASSED, sheet

    async def _hand_in(self, video_id: int, sheet: Sheet, right: bool, twice: bool) -> None:
        answers = right_answers(sheet) if right else wrong_answers(sheet)
        send = [
            hand_in(self.services, self.pupil.learner_id, video_id, sheet.token, answers) for _ in range(1 + twice)
        ]
        results = await asyncio.gather(*send)
        if any(getattr(each, "passed", False) for each in results):
            self.passed.add(video_id)
            self.world.seen["passed"] += 1

    @precondition(lambda self: self.reached)
    @rule()
    def everybody_settles_at_once(self) -> None:
        self.world.do(self._settle())

    async def _settle(self) -> None:
        learner = self.pupil.learner_id
        await asyncio.gather(
            *(settle(self.services, learner, video_id, 1) for video_id in self.world.lessons.video_ids),
            settle_person(self.services, self.pupil.person_id),
            sweep(self.services),
            retire_silent(self.services),
        )

    # ------------------------------------------------------------------------------ what always holds

    @invariant()
    def nothing_is_earned_that_nobody_owned(self) -> None:
        # Real time is far below a second a sequence; it counts where a gap is measured by the store's clock.
        assert sum(self.acked.values()) <= self.owned_ms + 60_000 * 0.05

    @invariant()
    def every_reader_sees_what_was_acknowledged(self) -> None:
        if hasattr(self, "pupil"):
            for video_id, frontier in self.acked.items():
                assert self.world.do(self._progress(video_id)).frontier_ms == frontier

    @invariant()
    def hours_are_credited_once_and_only_for_all_of_it(self) -> None:
        if hasattr(self, "pupil"):
            self.world.do(self._check_ledger())

    async def _check_ledger(self) -> None:
        async with self.services.db.read() as conn:
            query = select(ledger_entry.c.video_id, func.count()).where(
                ledger_entry.c.learner_id == self.pupil.learner_id
            )
            rows = await conn.execute(query.group_by(ledger_entry.c.video_id))
            entries: dict[int, int] = {row[0]: row[1] for row in rows}
        assert set(entries.values()) <= {1}
        self.world.seen["credited"] += len(entries)
        held = await self._row_or_none(("held_challenge_id",))
        for video_id, duration in zip(self.world.lessons.video_ids, DURATIONS_MS, strict=True):
            watched = self.acked[video_id] >= watched_from_ms(duration)
            if video_id in entries:
                assert watched and video_id in self.passed
            elif watched and video_id in self.passed and held is None:
                # Whoever was last must have settled it: the beat, the quiz or the phone.
                raise AssertionError("a credit was left behind without a crash")

    def teardown(self) -> None:
        self.world.do(self._settle())
        self.hours_are_credited_once_and_only_for_all_of_it()

    # ------------------------------------------------------------------------------ looking

    async def _progress(self, video_id: int) -> VideoProgress:
        async with self.services.db.read() as conn:
            found = await video_progress(conn, self.pupil.learner_id, video_id)
        assert found is not None
        return found

    async def _row(self) -> Any:
        async with self.services.db.read() as conn:
            query = select(playback).where(playback.c.person_id == self.pupil.person_id)
            return (await conn.execute(query)).one()

    async def _row_or_none(self, columns: tuple[str]) -> str | None:
        async with self.services.db.read() as conn:
            query = select(playback.c[columns[0]]).where(playback.c.person_id == self.pupil.person_id)
            value: str | None = await conn.scalar(query)
        return value


async def _open_world(loop: asyncio.AbstractEventLoop, database_url: str, valkey_url: str, folder: Path) -> World:
    services = await make_services(
        database_url,
        valkey_url,
        folder,
        # Nothing random and nothing that real time decides: Hypothesis must be able to play a sequence again.
        watch={"lock_ttl_s": 3600},
        challenges={"earliest_s": 10, "latest_s": 10, "answer_s": 3600, "identity_answer_s": 3600},
        quiz={"cooldown_after": 1000},
    )
    institution_id = await add_institution(services, "学校")
    lessons = await add_course(services, institution_id, hours=(100, 50))
    for video_id, duration in zip(lessons.video_ids, DURATIONS_MS, strict=True):
        sha = await add_media(services, duration_ms=duration)
        async with services.db.write() as conn:
            await conn.execute(update(video).where(video.c.id == video_id).values(media_sha=sha))
        await add_quiz(services, video_id)
    return World(loop, services, institution_id, lessons)


@pytest.fixture
def world(sqlite_url: str, valkey: Valkey, tmp_path: Path) -> Iterator[World]:
    """Stores for all sequences, on an event loop of their own: Hypothesis calls the rules as plain functions."""
    loop = uvloop.new_event_loop()
    opened = loop.run_until_complete(_open_world(loop, sqlite_url, valkey.url, tmp_path))
    yield opened
    loop.run_until_complete(_close_world(opened))
    loop.close()


async def _close_world(world: World) -> None:
    for node in world.nodes:
        node.task.cancel()
        await asyncio.gather(node.task, return_exceptions=True)
        await node.hub.committer.close()
    await close_services(world.services)


def test_a_learner_s_life_agrees_with_the_model(world: World) -> None:
    WORLD[:] = [world]
    run_state_machine_as_test(
        LiveLearner,
        settings=settings(
            max_examples=SEQUENCES or EVERY_DAY,
            derandomize=not SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(world.seen))
    # A model that never gets anywhere agrees with everything.
    for step in ("busy", "takeover", "same page", "kill", "flush", "challenge confirmed", "successor", "credited"):
        assert world.seen[step] > 0, f"no sequence got as far as: {step} ({dict(world.seen)})"
