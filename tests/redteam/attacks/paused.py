"""A10b: the owner's server node is paused while the learner plays on at another one. Only the epoch in SQL is left.

Everything else that keeps an old page out (the hint, the node's own list of players) needs the node to be awake.
What there is to win: the old page's frontier, written into the row that is about another video by now.
"""

from __future__ import annotations

import os
import signal

from telemetry.messages import Close
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner

QUEUED = 60


@case(
    "A10b",
    "another video is opened on node B while node A is paused (SIGSTOP); A wakes up with the old page's beats",
    "storage.playback_sql: UPDATE … WHERE epoch = …: a node that slept through a takeover cannot write",
    seconds=45,
    twin=False,
    smoke=True,
)
async def paused_owner(game: Game) -> None:
    length = game.seconds(15, 5)
    async with game.own_arena(nodes=2) as arena:
        learner: Learner = await game.learner(3600, 3600, arena=arena)
        began = arena.now()
        old = await learner.page(0, node=0)
        await old.watch(length, every=1.0)
        await old.acked(old.frontier, event="play")
        node = arena.servers[0].pid
        os.kill(node, signal.SIGSTOP)
        try:
            new = await learner.page(1, node=1)
            game.check("the other video starts at its own frontier", new.frontier == 0)
            for number in range(QUEUED):
                await old.beat(old.frontier + number / QUEUED)
        finally:
            os.kill(node, signal.SIGCONT)
        code = await old.until_closed()
        game.check(f"the page on the paused node is told that it was displaced ({code})", code == Close.DISPLACED)
        game.check("the new page is still the player", not new.closed)
        # The new page says nothing that would put its own frontier back: whoever wins here takes what there is.
        again = await learner.page(1, node=1)
        game.check(f"the other video has gained nothing ({again.frontier:.2f} s)", again.frontier < 1)
        await game.credit(learner, arena.now() - began)
