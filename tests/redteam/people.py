"""Who plays: a learner with an account of their own, and a page, which is one socket of theirs.

A `Page` reads everything that comes in a task of its own, as a browser does, and says only what it is told to.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Origin, Subprotocol

from player_server.auth.login_sessions import Client, hash_token, open_login
from player_server.storage.clock import wall_ms
from player_server.storage.progress import video_progress
from player_server.storage.tables import (
    enrolment,
    enrolment_course,
    finding,
    learner,
    ledger_entry,
    person,
    playback,
)
from telemetry.messages import SUBPROTOCOL
from tests.support.http_browser import HttpBrowser
from tests.support.school import Lessons

if TYPE_CHECKING:
    from tests.redteam.arena import Arena

Message = dict[str, Any]
ANSWER_S = 30.0  # for whatever is sure to be answered on a loaded machine
NEVER_S = 1_000_000  # a check that is due after so much earned time never comes
_numbers = itertools.count(1)


class Page:
    """One socket. `inbox` is all that came, in order; `frontier` and `rewind` are as last told."""

    def __init__(self, socket: ClientConnection, video_id: int, arena: Arena) -> None:
        self.socket = socket
        self.video_id = video_id
        self.arena = arena
        self.session: str | None = None
        self.seq = 0
        self.acked_seq = 0
        self.frontier = 0.0
        self.rewind: int | None = None
        self.rewound_to: float | None = None
        self.rewound_at = 0.0
        self.watched = False
        self.wait: float | None = None
        #: Seconds that the server said it did not count after silence, and what was played until that was heard.
        self.lost_in_gaps = 0.0
        self.sent_at = 0.0  # when the last beat was
        self.opened_at = 0.0  # on the servers' clock, before the hello was sent
        self.inbox: list[Message] = []
        self.sent: list[Message] = []  # the beats
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self.socket:
                self._take(json.loads(text))
                async with self._news:
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    def _take(self, message: Message) -> None:
        self.inbox.append(message)
        match message["type"]:
            case "welcome":
                self.session, self.frontier = message["session"], message["frontier"]
            case "ack":
                self.acked_seq, self.frontier = message["seq"], message["frontier"]
                self.watched, self.wait = message["watched"], message["wait"]
                lost = message["uncredited"]
                self.lost_in_gaps += lost["seconds"] if lost and lost["reason"] == "gap" else 0.0
            case "rewind":
                self.rewind, self.rewound_to = message["id"], message["to"]
                self.rewound_at = self.arena.now()
                if message["reason"] == "gap":
                    self.lost_in_gaps += self.rewound_at - self.sent_at

    @property
    def closed(self) -> bool:
        return self._reader.done()

    @property
    def close_code(self) -> int | None:  # 1006 if the line was cut
        return self.socket.close_code

    @property
    def checked(self) -> bool:
        """Whether a check is open that this page was told of."""
        told = self.last("challenge", "resume")
        return told is not None and told["type"] == "challenge"

    @property
    def passed(self) -> float:
        """Seconds on the servers' clock since the hello was sent: nothing can have been earned beyond them."""
        return self.arena.now() - self.opened_at

    def all(self, kind: str) -> list[Message]:
        """Every message of this type that came."""
        return [each for each in self.inbox if each["type"] == kind]

    def last(self, *kinds: str) -> Message | None:
        return next((each for each in reversed(self.inbox) if each["type"] in kinds), None)

    async def until(self, *kinds: str, after: int = 0, timeout: float = ANSWER_S) -> Message | None:
        """The first message of these types at or after place `after` of the inbox; None: closed, or too late."""
        place = after
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._news:
                while True:
                    for message in itertools.islice(self.inbox, place, None):
                        if message["type"] in kinds:
                            return message
                    place = len(self.inbox)
                    if self.closed:
                        return None
                    await self._news.wait()
        return None

    async def until_closed(self, timeout: float = ANSWER_S) -> int | None:
        """Wait for the end of the socket; its code, or None if it is still open then."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reader), timeout)
        return self.close_code

    async def raw(self, text: str | bytes) -> bool:
        """Put this on the wire; False if the socket is closed."""
        try:
            await self.socket.send(text)
        except ConnectionClosed:
            return False
        return True

    async def send(self, **message: Any) -> bool:
        return await self.raw(json.dumps(message))

    async def hello(self, *, session: str | None = None, takeover: bool = False) -> Message | None:
        """Say hello; the welcome, busy or error that answers it. None: closed without a word."""
        place = len(self.inbox)
        self.opened_at = self.arena.now()
        await self.send(type="hello", video=self.video_id, session=session, takeover=takeover)
        return await self.until("welcome", "busy", "error", after=place)

    async def beat(self, position: float, *, playing: bool = True, event: str = "tick", **more: Any) -> bool:
        """Send one beat with the next seq and the latest rewind, unless `more` says otherwise."""
        self.seq += 1
        message: Message = {"type": "beat", "seq": self.seq, "position": position, "playing": playing}
        message |= {"event": event, "rate": 1.0, "visible": True, "rewind": self.rewind}
        self.sent_at = self.arena.now()
        message |= more
        self.sent.append(message)
        return await self.raw(json.dumps(message))

    async def acked(self, position: float, **more: Any) -> bool:
        """Send one beat and wait until it is acknowledged; False if the socket closes before."""
        if not await self.beat(position, **more):
            return False
        return await self.settle()

    async def settle(self, timeout: float = ANSWER_S) -> bool:
        """Wait until everything that was sent is acknowledged."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._news:
                while self.acked_seq < self.seq and not self.closed:
                    await self._news.wait()
        return self.acked_seq >= self.seq

    async def drop(self) -> None:
        """Cut the line without a word, as a lost network does."""
        self.socket.transport.abort()
        await self.until_closed()

    async def bye(self) -> None:
        """Leave politely."""
        await self.send(type="bye")
        await self.close()

    async def close(self) -> None:
        """Close the socket from this side."""
        with suppress(ConnectionClosed):
            await self.socket.close()
        await self.until_closed()

    async def watch(self, seconds: float | None = None, *, start: float | None = None, every: float = 5.0) -> float:
        """Watch as an honest page does, for so many seconds of the servers' clock; returns how long it really was.

        None: until cancelled. Ends with a pause. Goes back when it is told to; stops early when the socket closes
        or a check comes.
        """
        clock, position = self.arena.now, self.frontier if start is None else start
        await self.acked(position, event="play")
        began = heard = clock()
        reports = [(self.seq, began)]
        try:
            while not self.closed and not self.checked:
                left = every if seconds is None else min(every, began + seconds - clock())
                if left <= 0:
                    break
                await asyncio.sleep(left / self.arena.speed)
                position, heard = self._onward(position, heard)
                # As a page does, it does not wait for the last answer before it reports again.
                await self.beat(position)
                reports.append((self.seq, heard))
        except asyncio.CancelledError:
            position, heard = self._onward(position, heard)
        if not await self.acked(position, playing=False, event="pause"):
            # Closed: what was never acknowledged was never promised.
            heard = max(at for seq, at in reports if seq <= max(self.acked_seq, reports[0][0]))
        return heard - began

    def _onward(self, position: float, heard: float) -> tuple[float, float]:
        """Where the video stands now, having stood at `position` at `heard`, or been rewound since."""
        now = self.arena.now()
        if self.rewound_to is not None:
            position, heard, self.rewound_to = self.rewound_to, self.rewound_at, None
        return position + now - heard, now


class Refused(Exception):
    """A door did not let the learner in: the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass
class Learner:
    """An account with a log-in, enrolled for a course of its own or one shared with others."""

    arena: Arena
    person_id: int
    learner_id: int
    name: str
    lessons: Lessons
    cookie: str
    pages: list[Page] = field(default_factory=list)

    @property
    def csrf(self) -> str:
        """The token that every page of this log-in carries."""
        return self.arena.services.keys.mac("csrf", self.cookie)

    @property
    def login_hash(self) -> str:
        return hash_token(self.cookie)

    def headers(self, node: int = 0) -> dict[str, str]:
        """What this learner's browser sends with a fetch."""
        origin = self.arena.nodes[node % len(self.arena.nodes)]
        return {"Cookie": f"xueshi={self.cookie}", "X-CSRF-Token": self.csrf, "Origin": origin}

    def browser(self, node: int = 0, user_agent: str = "Mozilla/5.0 (X11; Linux x86_64) red team") -> HttpBrowser:
        """A logged-in browser for the HTML doors; close it with `async with`."""
        browser = HttpBrowser(self.arena.nodes[node % len(self.arena.nodes)], user_agent)
        browser.http.cookie_jar.update_cookies({"xueshi": self.cookie})
        return browser

    async def log_in_again(self) -> None:
        """Another log-in of the same account, as another browser would have."""
        self.cookie = await open_cookie(self)

    async def ticket(self, video: int = 0, *, node: int = 0, video_id: int | None = None) -> str:
        """A ticket for the video with this index, by the real door. Raises Refused."""
        url = f"{self.arena.nodes[node % len(self.arena.nodes)]}/api/v1/watch-tickets"
        wanted = {"video": video_id or self.lessons.video_ids[video]}
        async with self.arena.http.post(url, json=wanted, headers=self.headers(node)) as answer:
            if answer.status != 200:
                raise Refused(answer.status)
            return str((await answer.json())["ticket"])

    async def socket(self, video: int = 0, *, node: int | None = None, video_id: int | None = None) -> Page:
        """A page with an open socket that has not said hello. Nodes take turns unless named. Raises Refused."""
        node = next(_numbers) if node is None else node
        ticket = await self.ticket(video, node=node, video_id=video_id)
        return await self.redeem(ticket, video_id or self.lessons.video_ids[video], node=node)

    async def redeem(
        self, ticket: str, video_id: int, *, node: int = 0, origin: str | None = None, cookie: str = ""
    ) -> Page:
        """Open a socket with this ticket; `origin` "" sends none. Raises Refused if the handshake is."""
        address = self.arena.nodes[node % len(self.arena.nodes)]
        try:
            socket = await connect(
                f"{address.replace('http', 'ws', 1)}/ws/watch?ticket={ticket}",
                origin=Origin(address if origin is None else origin) if origin != "" else None,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Cookie": f"xueshi={cookie}"} if cookie else None,
                proxy=None,
                compression=None,
                open_timeout=ANSWER_S,
                ping_interval=None,
                max_queue=None,
            )
        except (InvalidHandshake, OSError) as error:
            raise Refused(getattr(getattr(error, "response", None), "status_code", 0)) from None
        page = Page(socket, video_id, self.arena)
        self.pages.append(page)
        return page

    async def page(
        self, video: int = 0, *, node: int | None = None, session: str | None = None, takeover: bool = True
    ) -> Page:
        """A page that was welcomed."""
        page = await self.socket(video, node=node)
        answer = await page.hello(session=session, takeover=takeover)
        assert answer is not None and answer["type"] == "welcome", answer
        return page

    async def check_due_in(self, seconds: float) -> None:
        """As `checks_due_in`."""
        await checks_due_in([self], seconds)

    # ---------------------------------------------------------------- what was stored

    async def earned(self, *videos: int) -> float:
        """Seconds earned in these videos (by index; none named: all), as the product's own progress query says."""
        chosen = [self.lessons.video_ids[each] for each in videos] or self.lessons.video_ids
        total = 0
        async with self.arena.services.db.read() as conn:
            for video_id in chosen:
                progress = await video_progress(conn, self.learner_id, video_id)
                total += progress.frontier_ms if progress else 0
        return total / 1000

    async def hours(self) -> int:
        """Hundredths of hours in the ledger."""
        total = select(func.coalesce(func.sum(ledger_entry.c.hours), 0))
        async with self.arena.services.db.read() as conn:
            return int((await conn.scalar(total.where(ledger_entry.c.learner_id == self.learner_id))) or 0)

    async def findings(self) -> dict[str, int]:
        """How often each kind was found."""
        rows = select(finding.c.kind, func.sum(finding.c.count)).where(finding.c.person_id == self.person_id)
        async with self.arena.services.db.read() as conn:
            return {row[0]: int(row[1]) for row in await conn.execute(rows.group_by(finding.c.kind))}

    async def row(self) -> Any:
        """The person's playback row."""
        async with self.arena.services.db.read() as conn:
            query = select(playback).where(playback.c.person_id == self.person_id)
            return (await conn.execute(query)).one_or_none()


async def open_cookie(learner: Learner) -> str:
    """A log-in session without the log-in page (its password hash would cost more than the case); its cookie."""
    services, client = learner.arena.services, Client(address="127.0.0.1", device="red team")
    who = {"person_id": learner.person_id, "learner_id": learner.learner_id}
    async with services.db.write() as conn:
        return await open_login(services, conn, client=client, must_change=False, **who)


async def checks_due_in(learners: list[Learner], seconds: float) -> None:
    """The next check of each comes after so much earned time, as if it had been drawn in an earlier visit."""
    row = {"epoch": 0, "frontier_ms": 0, "position_ms": 0, "carry_ms": 0}
    row |= {"playing": False, "challenge_sequence": 0, "until_challenge_ms": round(seconds * 1000)}
    async with learners[0].arena.services.db.write() as conn:
        await conn.execute(insert(playback), [row | {"person_id": each.person_id} for each in learners])


async def make_learners(arena: Arena, lessons: Lessons, count: int, *, enrolled: bool = True) -> list[Learner]:
    """Accounts in bulk, in one transaction."""
    made: list[Learner] = []
    services, now = arena.services, wall_ms()
    async with services.db.write() as conn:
        for _ in range(count):
            number = f"red-{next(_numbers)}"
            secret = {"id_hash": services.keys.mac("id number", number), "id_cipher": services.keys.encrypt(number)}
            who = insert(person).values(**secret, name="张伟", created_at=now).returning(person.c.id)
            person_id = int((await conn.execute(who)).scalar_one())
            account = {"institution_id": arena.product.institution_id, "person_id": person_id, "created_at": now}
            row = insert(learner).values(**account).returning(learner.c.id)
            learner_id = int((await conn.execute(row)).scalar_one())
            if enrolled:
                programme = {"learner_id": learner_id, "programme": "jiangsu-constructor-2", "created_at": now}
                contract = insert(enrolment).values(**programme).returning(enrolment.c.id)
                enrolment_id = int((await conn.execute(contract)).scalar_one())
                course = {"enrolment_id": enrolment_id, "course_id": lessons.course_id}
                await conn.execute(insert(enrolment_course).values(**course))
            client = Client(address="127.0.0.1", device="red team")
            cookie = await open_login(services, conn, person_id=person_id, learner_id=learner_id, client=client)
            made.append(Learner(arena, person_id, learner_id, number, lessons, cookie))
    return made
