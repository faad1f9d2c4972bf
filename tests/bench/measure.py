"""One server, one number of players: memory, saturation, half of it, the nominal pace; and all coming at once."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from tests.bench.cost import cpu_s, memory_kb
from tests.bench.load import GENTLY, Crew, Delays
from tests.bench.stage import Counts, Kind, Server, Ticks, Use

#: One beat each five seconds: what a page does by itself.
NOMINAL_EVERY_S = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Spans:
    """How long each part is measured, in seconds. No part may last as long as silence may (`gap_grace`): while one
    server is measured, the players of the others wait."""

    warm_up: int  # players that come and go before anything is measured, so that code and connections are loaded
    settle: float
    ramp: float
    window: float
    rounds: int
    half: float
    nominal: float


FULL = Spans(warm_up=GENTLY, settle=2.0, ramp=0.3, window=2.0, rounds=7, half=1.5, nominal=10.0)
QUICK = Spans(warm_up=5, settle=0.2, ramp=0.1, window=0.4, rounds=1, half=0.5, nominal=1.0)


@dataclass(frozen=True, slots=True)
class Micros:
    """Microseconds of CPU per answered beat. `threads` is the part of `server` outside its event loop."""

    server: float
    threads: float
    database: float
    redis: float

    @classmethod
    def between(cls, before: Use, after: Use, beats: int) -> Micros:
        def each(seconds: float) -> float:
            return round(seconds * 1e6 / max(1, beats), 2)

        server, loop = after.server - before.server, after.loop - before.loop
        return cls(
            each(server),
            each(max(0.0, server - loop)),
            each(after.database - before.database),
            each(after.redis - before.redis),
        )

    @classmethod
    def median(cls, many: list[Micros]) -> Micros:
        return cls(
            *(
                statistics.median(getattr(each, name) for each in many)
                for name in ("server", "threads", "database", "redis")
            )
        )


@dataclass(frozen=True, slots=True)
class Played:
    """What one number of players cost one server."""

    kind: Kind
    players: int
    micros: Micros
    windows: list[float]  # the server's microseconds per beat in each round
    beats_per_second: float
    server_busy: float  # of one core, at saturation
    load_busy: float
    memory_kb: float  # a player
    half: Delays
    half_micros: Micros
    nominal: Delays | None
    nominal_micros: Micros | None
    ticks: Ticks | None
    surprises: dict[str, int]


@dataclass(frozen=True, slots=True)
class Started:
    """Everybody at once: until the last was welcomed, and each one's wait."""

    kind: Kind
    players: int
    seconds: float
    waits: Delays
    server_ms: float  # CPU a player
    database_ms: float
    surprises: dict[str, int]


class _Rig:
    """One server with its crew, and what was measured of it so far."""

    def __init__(self, server: Server, memory_kb: float, crew: Crew) -> None:
        self.server = server
        self.memory_kb = memory_kb
        self.crew = crew
        self.windows: list[Micros] = []
        self.paces: list[float] = []
        self.busy: list[tuple[float, float]] = []
        self.counts: list[Counts] = []
        self.halves: list[tuple[Delays, Micros]] = []
        self.nominal: tuple[Delays, Micros] | None = None

    async def turn(self, spans: Spans) -> None:
        """One window at saturation."""
        crew, server = self.crew, self.server
        before = await server.counts()
        crew.start()
        await asyncio.sleep(spans.ramp)
        use, ours, answers, began = server.cpu(), cpu_s(os.getpid()), crew.answers, perf_counter()
        await asyncio.sleep(spans.window)
        after, beats, took = server.cpu(), crew.answers - answers, perf_counter() - began
        self.windows.append(Micros.between(use, after, beats))
        self.paces.append(beats / took)
        self.busy.append(((after.server - use.server) / took, (cpu_s(os.getpid()) - ours) / took))
        await crew.stop()
        self.counts.append(before.until(await server.counts()))

    async def paced(self, per_second: float, seconds: float) -> tuple[Delays, Micros]:
        """Beats at a pace: how long the acks took, and what they cost."""
        before, answers = self.server.cpu(), self.crew.answers
        delays = await self.crew.paced(per_second, seconds)
        return delays, Micros.between(before, self.server.cpu(), self.crew.answers - answers)

    @property
    def pace(self) -> float:
        """Beats per second at saturation."""
        return statistics.median(self.paces)

    def played(self) -> Played:
        return Played(
            kind=self.server.kind,
            players=len(self.crew.lines),
            micros=Micros.median(self.windows),
            windows=[each.server for each in self.windows],
            beats_per_second=round(self.pace),
            server_busy=round(statistics.median(each[0] for each in self.busy), 3),
            load_busy=round(statistics.median(each[1] for each in self.busy), 3),
            memory_kb=round(self.memory_kb, 2),
            half=Delays.median([each[0] for each in self.halves]),
            half_micros=Micros.median([each[1] for each in self.halves]),
            nominal=self.nominal[0] if self.nominal else None,
            nominal_micros=self.nominal[1] if self.nominal else None,
            ticks=Counts.ticks_of(self.counts),
            surprises=dict(self.crew.surprises),
        )


async def play(
    servers: Sequence[Server], players: int, first_person: int, spans: Spans, *, nominal: bool, say: Say
) -> list[Played]:
    """Measure one number of players on fresh servers, which take turns, so that a change of the machine's mood
    hits all of them. Uses `players` + `warm_up` people from `first_person` on."""
    rigs: list[_Rig] = []
    crews = [Crew(server.port, server.video_id) for server in servers]
    async with _awake(crews):
        for server, crew in zip(servers, crews, strict=True):
            say(f"{server.kind}: connecting")
            await _warm_up(server, first_person, spans.warm_up)
            before_kb = memory_kb(server.child.pid)
            await crew.come(players, server.tickets(first_person + spans.warm_up))
            await crew.once()
            await asyncio.sleep(spans.settle)
            rigs.append(_Rig(server, (memory_kb(server.child.pid) - before_kb) / players, crew))
    # Our own collector would stop the clock for those who wait for an answer.
    gc.collect()
    gc.disable()
    try:
        for number in range(spans.rounds):
            say(f"saturation, round {number + 1} of {spans.rounds}")
            for rig in rigs:
                await rig.turn(spans)
        for number in range(spans.rounds):
            say(f"half of saturation, round {number + 1} of {spans.rounds}")
            for rig in rigs:
                await _nobody_is_silent(crews)
                rig.halves.append(await rig.paced(rig.pace / 2, spans.half))
        for rig in rigs if nominal else ():
            say(f"{rig.server.kind}: nominal pace")
            await _nobody_is_silent(crews)
            rig.nominal = await rig.paced(players / NOMINAL_EVERY_S, spans.nominal)
    finally:
        gc.enable()
    for crew in crews:
        crew.go()
    return [rig.played() for rig in rigs]


@asynccontextmanager
async def _awake(crews: Sequence[Crew]) -> AsyncIterator[None]:
    """While some still connect, those who are there beat now and then, or they would be taken for gone."""

    async def stay_awake() -> None:
        while True:
            await asyncio.sleep(NOMINAL_EVERY_S)
            for crew in crews:
                crew.beat()

    task = asyncio.create_task(stay_awake())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _nobody_is_silent(crews: Sequence[Crew]) -> None:
    for crew in crews:
        await crew.once()


async def _warm_up(server: Server, first_person: int, players: int) -> None:
    crew = Crew(server.port, server.video_id)
    await crew.come(players, server.tickets(first_person))
    for _ in range(3):
        await crew.once()
    crew.go()
    await asyncio.sleep(0.2)


async def start_up(server: Server, players: int, first_person: int, spans: Spans, *, say: Say) -> Started:
    """Everybody comes at once, each with a ticket in its hand."""
    await _warm_up(server, first_person, spans.warm_up)
    say("tickets")
    office = server.tickets(first_person + spans.warm_up)
    ready = [await office(number) for number in range(players)]

    async def in_hand(number: int) -> str:
        return ready[number]

    say("all at once")
    crew = Crew(server.port, server.video_id)
    before, began = server.cpu(), perf_counter()
    async with _awake([crew]):
        waits = await crew.come(players, in_hand, at_once=players)
    seconds = perf_counter() - began
    after = server.cpu()
    crew.go()
    return Started(
        kind=server.kind,
        players=players,
        seconds=round(seconds, 2),
        waits=waits,
        server_ms=round((after.server - before.server) * 1000 / players, 3),
        database_ms=round((after.database - before.database) * 1000 / players, 3),
        surprises=dict(crew.surprises),
    )
