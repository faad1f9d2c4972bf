"""The tables: what was measured, and beside it what issue 3 asks for. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import Played, Started
from tests.bench.stage import Kind

NAMES: dict[Kind, str] = {"echo": "echo", "sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure of issue 3: the most it may be, and the most it should be."""

    figure: str
    measured: float
    must: float
    aim: float

    @property
    def verdict(self) -> str:
        return "aim" if self.measured <= self.aim else "must" if self.measured <= self.must else "missed"


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run measured. `played` holds an echo for every number of players."""

    machine: str
    commit: str
    load: str
    settings: Mapping[Kind, dict[str, Any]]
    played: Sequence[Played]
    started: Sequence[Started]

    def echo(self, players: int) -> Played:
        return next(each for each in self.played if each.kind == "echo" and each.players == players)

    def ratio(self, each: Played) -> float:
        """CPU of the server process per beat, as a multiple of the echo's with as many players: the median of the
        rounds, because the two take turns within each."""
        rounds = zip(each.windows, self.echo(each.players).windows, strict=True)
        return statistics.median(ours / echo for ours, echo in rounds)

    def growth(self, kind: Kind) -> float | None:
        """CPU per beat with the most players over that with the fewest, as a multiple of the echo's own growth."""
        runs = [each for each in self.played if each.kind == kind]
        return self.ratio(runs[-1]) / self.ratio(runs[0]) if len(runs) > 1 else None

    def goals(self) -> list[Goal]:
        """The figures that have a limit. Those for a thousand players are taken from the run nearest to that."""
        found: list[Goal] = []
        for kind, must, aim in (("postgresql", 1.8, 1.3), ("sqlite", 2.8, 2.0)):
            runs = [each for each in self.played if each.kind == kind]
            if not runs:
                continue
            at = min(runs, key=lambda each: abs(each.players - 1000))
            name = f"{NAMES[at.kind]}, {at.players} players"
            beyond = at.memory_kb - self.echo(at.players).memory_kb
            found += [
                Goal(f"server CPU per beat ÷ echo, {name}", round(self.ratio(at), 2), must, aim),
                Goal(f"ack p99 at half of saturation, ms, {name}", at.half.p99, 100, 25),
                Goal(f"memory a player beyond the echo's, KB, {name}", round(beyond, 1), 10, 4),
            ]
            if (growth := self.growth(at.kind)) is not None:
                found.append(
                    Goal(
                        f"growth from the fewest to the most players ÷ echo's, {NAMES[at.kind]}",
                        round(growth, 2),
                        1.3,
                        1.0,
                    )
                )
        return found

    def surprises(self) -> list[str]:
        """What happened that an honest run does not bring. Figures of such a run mean nothing."""
        every: list[Played | Started] = [*self.played, *self.started]
        return [
            f"NOT CLEAN: {each.kind}, {each.players} players: {each.surprises}" for each in every if each.surprises
        ]

    def text(self) -> str:
        """The tables, for people."""
        parts = [f"{self.machine}\ncommit {self.commit}; load average before: {self.load}"]
        parts += [
            f"{NAMES[kind]}: " + ", ".join(f"{name} {value}" for name, value in said.items())
            for kind, said in self.settings.items()
        ]
        parts.append(_beats(self))
        if nominal := [each for each in self.played if each.nominal]:
            parts.append(_nominal(nominal))
        parts.append(_start_up(self.started))
        parts.append(_goals(self.goals()))
        parts += self.surprises()
        return "\n\n".join(parts)


def _beats(run: Run) -> str:
    head = (
        "players",
        "server",
        "µs/beat",
        "threads",
        "database",
        "Redis",
        "÷ echo",
        "beats/s",
        "busy",
        "load busy",
        "p50 ms",
        "p99 ms",
        "KB/player",
        "rows/tick",
        "tx/tick",
        "Redis reads/tick",
    )
    rows = [
        (
            each.players,
            NAMES[each.kind],
            each.micros.server,
            each.micros.threads,
            each.micros.database,
            each.micros.redis,
            f"{run.ratio(each):.2f}",
            round(each.beats_per_second),
            f"{each.server_busy:.0%}",
            f"{each.load_busy:.0%}",
            each.half.p50,
            each.half.p99,
            each.memory_kb,
            *(
                (
                    each.ticks.rows,
                    "–" if each.ticks.transactions is None else each.ticks.transactions,
                    each.ticks.redis_reads,
                )
                if each.ticks
                else ("–", "–", "–")
            ),
        )
        for each in run.played
    ]
    return "At saturation: CPU a beat (median of the rounds); p50 and p99 of acks at half of it\n" + _table(
        head, rows
    )


def _nominal(runs: list[Played]) -> str:
    head = ("players", "server", "µs/beat", "threads", "database", "Redis", "p50 ms", "p99 ms", "worst ms")
    rows = [
        (
            each.players,
            NAMES[each.kind],
            each.nominal_micros.server,
            each.nominal_micros.threads,
            each.nominal_micros.database,
            each.nominal_micros.redis,
            each.nominal.p50,
            each.nominal.p99,
            each.nominal.worst,
        )
        for each in runs
        if each.nominal and each.nominal_micros
    ]
    return "Nominal pace: one beat a player each five seconds\n" + _table(head, rows)


def _start_up(runs: Sequence[Started]) -> str:
    head = ("players", "server", "all in s", "p50 ms", "p99 ms", "server ms/player", "database ms/player")
    rows = [
        (
            each.players,
            NAMES[each.kind],
            each.seconds,
            each.waits.p50,
            each.waits.p99,
            each.server_ms,
            each.database_ms,
        )
        for each in runs
    ]
    return "Everybody connecting at once, until the welcome\n" + _table(head, rows)


def _goals(goals: list[Goal]) -> str:
    head = ("figure", "measured", "must", "aim", "verdict")
    return _table(head, [(each.figure, each.measured, each.must, each.aim, each.verdict) for each in goals])


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    align: list[Callable[[str, int], str]] = [
        str.rjust if rows and all(_is_number(row[n]) for row in rows) else str.ljust for n in range(len(head))
    ]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(align[n](cell, widths[n]) for n, cell in enumerate(row)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])


def _is_number(cell: object) -> bool:
    return str(cell).replace(".", "").rstrip("%").isdigit() or cell == "–"
