"""Where questions of the same moment are collected, to be answered together in one round.

What belongs here: collecting and handing out. What a round does is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

#: Questions that one round answers; more wait for the next one, so that nobody makes others wait for longer.
MOST = 1000
#: Rounds at once. One round of all who wait costs the database half of two rounds of half of them each.
AT_ONCE = 1

Round = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


@dataclass(slots=True)
class _Waiting:
    group: Hashable
    request: Any
    count: int
    answer_all: Round
    done: asyncio.Future[Any]


class Desk:
    """One for each server process.

    What waits here is bounded by the requests that are open, each of which waits for its answer.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._rounds: set[asyncio.Task[None]] = set()

    async def ask(self, group: Hashable, request: Any, count: int, answer_all: Round) -> Any:
        """The answer to a request of `count` questions. Only requests of one group share a round: `answer_all` gets
        them and returns their answers in the same order. What it raises, each request of its round raises."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(group, request, count, answer_all, done))
        if len(self._rounds) < AT_ONCE:
            task = asyncio.create_task(self._work())
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
        return await done

    async def _work(self) -> None:
        # One turn of the loop: whoever has a question in its hands already joins.
        await asyncio.sleep(0)
        while self._waiting:
            taken = self._take()
            try:
                answers = await taken[0].answer_all([each.request for each in taken])
            except Exception as error:
                for each in taken:
                    if not each.done.done():
                        each.done.set_exception(error)
                continue
            for each, answer in zip(taken, answers, strict=True):
                if not each.done.done():
                    each.done.set_result(answer)

    def _take(self) -> list[_Waiting]:
        """The oldest request and those of its group that fit into its round."""
        taken: list[_Waiting] = []
        left: list[_Waiting] = []
        count = 0
        for each in self._waiting:
            if not taken or (each.group == taken[0].group and count + each.count <= MOST):
                taken.append(each)
                count += each.count
            else:
                left.append(each)
        self._waiting = left
        return taken
