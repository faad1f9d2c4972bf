"""The loop that delivers events: one task for each endpoint that has work, so that a slow one delays no other."""

from __future__ import annotations

import asyncio

from player_server.learning.deliveries import claim_some, deliver, endpoints_with_work
from player_server.learning.services import Services
from player_server.learning.xapi import XAPI
from player_server.observe import log
from player_server.storage.outgoing import Outgoing

#: How long a due message may lie before this worker looks.
LOOK_EVERY_S = 0.5
#: Endpoints that one worker serves at a time. The others wait for a free place; nothing is lost meanwhile.
ENDPOINTS_AT_ONCE = 16


async def deliver_for_ever(services: Services) -> None:
    """Deliver what is due until cancelled. What fails is in SQL and is found again."""
    outgoing = Outgoing(allow_private=services.settings.webhooks.allow_private)
    # The record store is the operator's own choice, and may stand in a network of our own.
    trusted = Outgoing(allow_private=True, trusted=True)
    running: dict[int, asyncio.Task[None]] = {}
    try:
        while True:
            try:
                for endpoint_id in await endpoints_with_work(services):
                    if endpoint_id not in running and len(running) < ENDPOINTS_AT_ONCE:
                        running[endpoint_id] = asyncio.create_task(_serve(services, outgoing, trusted, endpoint_id))
            except Exception:
                log.exception("job_failed", job="deliver")
            await asyncio.sleep(LOOK_EVERY_S)
            running = {endpoint_id: task for endpoint_id, task in running.items() if not task.done()}
    finally:
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        await outgoing.close()
        await trusted.close()


async def _serve(services: Services, outgoing: Outgoing, trusted: Outgoing, endpoint_id: int) -> None:
    """Everything that is due for one endpoint, a few messages at a time."""
    try:
        while True:
            token, claimed = await claim_some(services, endpoint_id)
            if not claimed:
                return
            sender = trusted if claimed[0].kind == XAPI else outgoing
            await asyncio.gather(*(deliver(services, sender, token, each) for each in claimed))
    except Exception:
        # Claims that were not finished run out, and the messages go out again.
        log.exception("job_failed", job="deliver", endpoint=endpoint_id)
