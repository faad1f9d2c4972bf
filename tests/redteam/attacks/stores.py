"""D03: Redis away, and Redis emptied while an old owner sleeps."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import redis.asyncio

from telemetry.messages import Close
from tests.redteam.arena import Arena
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, Page, Refused

LEARNERS = 5
LOCK_TTL_S = 20.0


@case(
    "D03",
    "Redis down for 60 s with two sockets per learner; Redis emptied while an old owner sleeps",
    "learning.watch.Watching.open: closed for newcomers without Redis; the row in SQL decides, the epoch fences",
    seconds=150,
    load=4,
    twin=False,
)
async def redis_away(game: Game) -> None:
    await asyncio.gather(_down(game), _emptied(game))


async def _down(game: Game) -> None:
    away = game.seconds(60, 10)
    async with game.own_arena() as arena, game.twin(arena=arena):
        learners = await game.learners_of(LEARNERS, 7200, arena=arena)
        owners = [await each.page() for each in learners]
        watching = [asyncio.create_task(page.watch()) for page in owners]
        rivals = [await each.socket() for each in learners]
        for page in rivals:
            answer = await page.hello()
            game.check("the second socket is told busy", answer is not None and answer["type"] == "busy")
        spare = [await each.ticket() for each in learners]
        arena.valkey.kill()
        await arena.valkey.wait()
        down = arena.now()

        async def knock(learner: Learner, rival: Page, ticket: str) -> None:
            """The second socket and newcomers try all the time; none of them may become the player."""
            while arena.now() - down < away:
                if not rival.closed:
                    answer = await rival.hello(takeover=True)
                    if answer is not None and answer["type"] == "welcome":
                        game.check("nobody becomes the player without Redis", False)
                        return
                with suppress(Refused):
                    page = await learner.redeem(ticket, learner.lessons.video_ids[0])
                    game.check(f"a handshake without Redis: {await page.hello(takeover=True)}", False)
                try:
                    await learner.ticket()
                    game.check("a ticket without Redis", False)
                except Refused as refusal:
                    if refusal.status != 503:
                        game.check(f"no ticket without Redis: 503, not {refusal.status}", False)
                await asyncio.sleep(2.0)

        await asyncio.gather(*(knock(*each) for each in zip(learners, rivals, spare, strict=True)))
        game.check("running players go on without Redis", not any(page.closed for page in owners))
        await arena.valkey.start()
        back = arena.now()
        await asyncio.sleep(5.0)
        page = await learners[0].socket()
        answer = await page.hello()
        took = arena.now() - back
        game.check(f"Redis back: newcomers are answered after {took:.0f} s", took < 12)
        game.check("and told busy: the lock was taken again", answer is not None and answer["type"] == "busy")
        for learner, page, task in zip(learners, owners, watching, strict=True):
            task.cancel()
            watched = await task
            game.check("the owner is still the owner", not page.closed)
            await game.honest_credit(learner, watched, who="owner through the outage")


async def _emptied(game: Game) -> None:
    async with game.own_arena() as arena, game.twin(arena=arena):
        learner = await game.learner(7200, arena=arena)
        old = await learner.page(node=0)
        watched = await old.watch(5.0, every=1.0)
        await old.acked(old.frontier, event="play")
        await _empty(arena)
        rival = await learner.socket(node=1)
        answer = await rival.hello()
        game.check("emptied Redis, fresh row: still busy", answer is not None and answer["type"] == "busy")
        asleep = arena.now()
        while True:
            # The old owner sleeps; the rival asks now and then, as its page does, without taking over.
            await asyncio.sleep(2.0)
            await _empty(arena)
            if rival.closed:
                rival = await learner.socket(node=1)
            answer = await rival.hello()
            if (answer is not None and answer["type"] == "welcome") or arena.now() - asleep > 60:
                break
        waited = arena.now() - asleep
        game.check(f"the rival gets in when the owner was silent for lock_ttl ({waited:.0f} s)", 15 < waited < 40)
        fair = await rival.watch(5.0, every=1.0)
        epoch = (await learner.row()).epoch
        for ahead in range(60):
            if not await old.beat(old.frontier + ahead):
                break
        code = await old.until_closed()
        game.check(f"the old owner is closed (code {code})", code in (Close.SILENT, Close.DISPLACED))
        game.check("no double owner: the epoch is the rival's", (await learner.row()).epoch == epoch)
        await rival.acked(rival.frontier, playing=False)
        game.check("the rival is still the player", not rival.closed)
        most = watched + fair + 0.5
        await game.credit(learner, most, least=most - 2, who="old owner and rival together")


async def _empty(arena: Arena) -> None:
    async with redis.asyncio.from_url(arena.valkey.url) as client:
        await client.flushall()
