"""`./run bench api`: what a signed answer costs, beside a bare aiohttp handler with one SELECT by primary key.

Both run in turn on the same core, on the same PostgreSQL; the load and the database have the other core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop
import yaml
from sqlalchemy.engine import make_url

from player_server.app import open_services
from player_server.auth.service_clients import Scope
from player_server.auth.service_tokens import make_access_token
from player_server.config import load
from player_server.learning.services import Services
from player_server.standalone.child import ChildProcess
from player_server.standalone.supervisor import product_process
from player_server.standalone.valkey import start_valkey
from player_server.storage.clock import wall_ms
from tests.bench import api_school
from tests.bench.cost import Cores, cpu_s, machine, running_on
from tests.bench.http_load import Answers, Line, at_pace, saturate
from tests.bench.stage import ROOT, until_ready
from tests.support.clients import add_client_row
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

LINES = 64
FEW = 1000
#: Learners with so many entries each, behind the others: what one more entry costs.
LADDER = (1, 11, 21, 41)
ON_A_STEP = 500


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    child: ChildProcess


@dataclass(frozen=True, slots=True)
class Spans:
    """Learners, seconds of a round, rounds, and how many batches."""

    learners: int
    seconds: float
    rounds: int
    batches: int


FULL = Spans(100_000, 6.0, 5, 15)
QUICK = Spans(2_000, 1.0, 2, 3)


def main(arguments: list[str]) -> int:
    """Run it; 1 if an answer was not 200."""
    parser = argparse.ArgumentParser(prog="./run bench api", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short smoke, no figures to rely on")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "bench-api.json")
    options = parser.parse_args(arguments)
    found = uvloop.run(_run(QUICK if options.quick else FULL))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(_report(found))
    print(f"\nWritten to {options.output}")
    return int(bool(found["wrong"]))


async def _run(spans: Spans) -> dict[str, Any]:
    cores = Cores.split()
    os.sched_setaffinity(0, cores.others)
    found: dict[str, Any] = {"machine": machine(), "load": os.getloadavg(), "learners": spans.learners, "wrong": {}}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xueshi-bench-api-")))
        valkey = await start_valkey(folder / "valkey")
        stack.push_async_callback(valkey.stop)
        postgres = PostgresServer()
        stack.callback(postgres.close)
        url = postgres.url(postgres.create_database())
        port = free_port()
        tree = {
            "server": {"port": port, "insecure_http": True},
            "data": {"folder": str(folder), "database_url": url, "redis_url": valkey.url},
            "exam": {"requests_per_minute": 100_000_000, "access_token_s": 3600},
        }
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(tree), encoding="utf-8")
        services = await stack.enter_async_context(open_services(load(config)))
        _say(f"{FEW} learners")
        await api_school.found(services)
        await add_client_row(services, "exam", 1)
        await api_school.add_learners(services, 1, FEW, wall_ms())
        await api_school.tidy(services)
        product = product_process("serve", "serve", "--config", str(config)).argv
        dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        bare_port = free_port()
        bare = (sys.executable, "-m", "tests.bench.bare", str(bare_port), dsn)
        ours = await stack.enter_async_context(_running(product, port, folder / "serve.log", cores))
        plain = await stack.enter_async_context(_running(bare, bare_port, folder / "bare.log", cores))
        found["cpu_us_few"] = await _cpu(ours, services, FEW, spans, found)
        _say(f"{spans.learners} learners")
        for first in range(FEW + 1, spans.learners + 1, 20_000):
            await api_school.add_learners(services, first, min(spans.learners, first + 19_999), wall_ms())
        first = spans.learners + 1
        for entries in LADDER:
            await api_school.add_learners(services, first, first + ON_A_STEP - 1, wall_ms(), entries=entries)
            first += ON_A_STEP
        await api_school.tidy(services)
        found["cpu_us_many"] = await _cpu(ours, services, spans.learners, spans, found)
        await _compare(ours, plain, services, spans, found)
        await _batches(ours, services, spans, found)
        found["cpu_us_by_entries"] = {
            entries: await _cpu(
                ours, services, ON_A_STEP, spans, found, first=spans.learners + 1 + step * ON_A_STEP
            )
            for step, entries in enumerate(LADDER)
        }
    return found


async def _compare(ours: Server, plain: Server, services: Services, spans: Spans, found: dict[str, Any]) -> None:
    """Both in turn, so that whatever else the machine does meets both."""
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(spans.rounds):
        for name, server in (("bare", plain), ("ours", ours)):
            _say(f"round {number + 1} of {spans.rounds}: {name}")
            before = cpu_s(server.child.pid)
            answers = await saturate(
                server.port, _singles(services, spans.learners), lines=LINES, seconds=spans.seconds
            )
            _note(answers, found)
            rates[name].append(answers.rate)
            cpu[name].append((cpu_s(server.child.pid) - before) / len(answers.took) * 1e6)
    found["rate_bare"], found["rate_ours"] = statistics.median(rates["bare"]), statistics.median(rates["ours"])
    found["ratio"] = statistics.median(a / b for a, b in zip(rates["ours"], rates["bare"], strict=True))
    found["cpu_us_bare"], found["cpu_us_ours"] = statistics.median(cpu["bare"]), statistics.median(cpu["ours"])
    half = found["rate_ours"] / 2
    paced = []
    for number in range(spans.rounds):
        _say(f"half load, round {number + 1} of {spans.rounds}")
        answers = await at_pace(
            ours.port, _singles(services, spans.learners), lines=LINES, seconds=spans.seconds, rate=half
        )
        _note(answers, found)
        paced.append((answers.percentile_ms(0.5), answers.percentile_ms(0.99)))
    found["half_p50_ms"] = statistics.median(each[0] for each in paced)
    found["half_p99_ms"] = statistics.median(each[1] for each in paced)


async def _batches(ours: Server, services: Services, spans: Spans, found: dict[str, Any]) -> None:
    _say("batches of 1000")
    line = await Line.open(ours.port)
    took: list[float] = []
    plain: list[float] = []
    for number in range(spans.batches):
        first = 1 + number * 1000 % (spans.learners - 999)
        for times, assertions in ((took, True), (plain, False)):
            body = json.dumps({"learners": list(range(first, first + 1000)), "assertions": assertions}).encode()
            began = perf_counter()
            status, _ = await line.ask(_request(services, "POST", "/api/v1/eligibility:batch", body))
            times.append((perf_counter() - began) * 1000)
            if status != 200:
                found["wrong"][status] = found["wrong"].get(status, 0) + 1
    line.close()
    found["batch_ms"], found["batch_slowest_ms"] = statistics.median(took), max(took)
    found["batch_unsigned_ms"] = statistics.median(plain)


async def _cpu(
    ours: Server, services: Services, learners: int, spans: Spans, found: dict[str, Any], first: int = 1
) -> float:
    """The server's CPU for one answer, in microseconds, at saturation."""
    costs = []
    for _ in range(spans.rounds):
        before = cpu_s(ours.child.pid)
        requests = _singles(services, learners, first)
        answers = await saturate(ours.port, requests, lines=LINES, seconds=spans.seconds / 2)
        _note(answers, found)
        costs.append((cpu_s(ours.child.pid) - before) / len(answers.took) * 1e6)
    return statistics.median(costs)


def _singles(services: Services, learners: int, first: int = 1) -> Iterator[bytes]:
    """Questions about learners all over the table, in an order that no cache knows."""
    number = 0
    head = _request(services, "GET", "/api/v1/eligibility/@")
    while True:
        number = (number * 5 + 7919) % learners
        yield head.replace(b"@", str(first + number).encode(), 1)


def _request(services: Services, method: str, path: str, body: bytes = b"") -> bytes:
    token = make_access_token(services, "exam", frozenset(Scope)).token
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _note(answers: Answers, found: dict[str, Any]) -> None:
    for status, count in answers.wrong.items():
        found["wrong"][status] = found["wrong"].get(status, 0) + count


@asynccontextmanager
async def _running(argv: Any, port: int, log: Path, cores: Cores) -> AsyncIterator[Server]:
    child = ChildProcess(log.stem, argv, output=log)
    with running_on(cores.server):
        await child.start()
    try:
        await until_ready(port, child, log)
        yield Server(port, child)
    finally:
        await child.stop(20)


def _report(found: dict[str, Any]) -> str:
    ladder = found["cpu_us_by_entries"]
    steps = ", ".join(f"{entries}: {cost:.0f}" for entries, cost in ladder.items())
    rows = [
        ("requests/s, bare handler", f"{found['rate_bare']:.0f}", ""),
        ("requests/s, signed eligibility", f"{found['rate_ours']:.0f}", ""),
        ("… ÷ bare of the same round", f"{found['ratio']:.2f}", _verdict(found["ratio"] >= 0.5, "≥ 0.50")),
        ("server CPU an answer, µs (bare)", f"{found['cpu_us_ours']:.0f} ({found['cpu_us_bare']:.0f})", ""),
        ("half load p50, ms", f"{found['half_p50_ms']:.1f}", ""),
        ("half load p99, ms", f"{found['half_p99_ms']:.1f}", _verdict(found["half_p99_ms"] <= 50, "≤ 50")),
        ("batch of 1000, ms (slowest)", f"{found['batch_ms']:.0f} ({found['batch_slowest_ms']:.0f})",
         _verdict(found["batch_ms"] <= 250, "≤ 250")),
        ("… without assertions, ms", f"{found['batch_unsigned_ms']:.0f}", ""),
        (f"CPU an answer among {FEW} learners, µs", f"{found['cpu_us_few']:.0f}", ""),
        (f"CPU an answer among {found['learners']}, µs", f"{found['cpu_us_many']:.0f}",
         _verdict(found["cpu_us_many"] <= 1.25 * found["cpu_us_few"], "does not grow")),
        ("CPU an answer by entries, µs", steps, ""),
    ]  # fmt: skip
    title = f"{found['machine']}; load before {found['load'][0]:.1f}; PostgreSQL, one server process"
    wide = max(len(name) for name, _, _ in rows)
    lines = [f"{name.ljust(wide)}  {value:>14}  {verdict}" for name, value, verdict in rows]
    wrong = f"\nAnswers that were not 200: {found['wrong']}" if found["wrong"] else ""
    return "\n".join([title, *lines]) + wrong


def _verdict(good: bool, goal: str) -> str:
    return f"{'ok' if good else 'MISSED'} ({goal})"


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
