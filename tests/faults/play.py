"""Plays one campaign on one store and returns its row of the table."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.faults.faults import Campaign, Store, cutting_proxy
from tests.faults.history import Verdict
from tests.faults.stage import Stage, stage
from tests.support.postgres import PostgresServer

#: A campaign that takes longer has hung, which is a finding as well.
LONGEST_S = 900
#: One line in so many is cut after something was passed on.
CUT_ONE_IN = 60


@dataclass
class Row:
    """What a campaign showed."""

    name: str
    store: Store
    nodes: int
    clients: int
    doses: int = 0
    seconds: float = 0.0
    recovery_s: tuple[float, float] | None = None  # median and longest time to the next ack of anybody
    verdict: Verdict = field(default_factory=Verdict)
    error: str = ""

    @property
    def held(self) -> bool:
        return self.verdict.held and not self.error

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"held": self.held}


async def play(campaign: Campaign, store: Store, *, doses: int, clients: int, seed: int) -> Row:
    """Never raises: what broke stands in the row."""
    nodes = 2 if store == "postgres" else 1
    row = Row(campaign.name, store, nodes, clients)
    began = time.monotonic()
    cutting = asyncio.Event()
    try:
        async with asyncio.timeout(LONGEST_S), AsyncExitStack() as stack:
            url = await _proxied(stack, seed, cutting) if campaign.proxied else None
            kind = "proxied" if campaign.proxied else store
            made = await stack.enter_async_context(
                stage(
                    kind,
                    nodes=nodes,
                    clients=clients,
                    seed=seed,
                    slow_clock=campaign.skewed_clock,
                    database_url=url,
                )
            )
            cutting.set()
            await _run(campaign, made, row, doses, cutting)
    except Exception:
        row.error = traceback.format_exc()
    row.seconds = time.monotonic() - began
    return row


async def _run(campaign: Campaign, made: Stage, row: Row, doses: int, cutting: asyncio.Event) -> None:
    made.play()
    await made.all_earn()
    try:
        await campaign.fault(made, doses)
        await made.all_earn()
    except TimeoutError:
        raise AssertionError(f"nobody earns any more: {made.logs()}") from None
    finally:
        row.doses = made.doses
        if made.recoveries:
            row.recovery_s = (median(made.recoveries), max(made.recoveries))
    cutting.clear()
    row.verdict = await made.finish()


async def _proxied(stack: AsyncExitStack, seed: int, cutting: asyncio.Event) -> str:
    """The address of a PostgreSQL whose lines are cut now and then."""
    postgres = PostgresServer()
    stack.callback(postgres.close)
    rng = random.Random(seed)
    place = await stack.enter_async_context(
        cutting_proxy(postgres.socket_folder, lambda: cutting.is_set() and rng.randrange(CUT_ONE_IN) == 0)
    )
    return postgres.url().replace(str(postgres.socket_folder), str(place))
