"""Hints between nodes over Redis pub/sub. A lost hint costs time, never credit: the truth is in SQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from player_server.observe import log, metrics

CHANNEL = "xueshi:hints"
#: After so much silence, in seconds, Redis is asked whether the line is still there …
PING_AFTER_S = 5
#: … and after so much without an answer the line is given up.
GIVE_UP_S = 8

What = Literal["displaced", "challenge", "signed_out", "ended", "credited"]


class Hint(msgspec.Struct, frozen=True):
    """Something happened to this person's player; `session` is the one that owns it now, if that matters."""

    person_id: int
    what: What
    session: str | None = None
    video_id: int | None = None
    hours: str | None = None


class Hints:
    """Publishes hints and hands received ones to one listener."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, hint: Hint) -> None:
        """Tell every node, including this one. Fails open: the receivers also look at SQL by themselves."""
        try:
            await self._redis.publish(CHANNEL, msgspec.json.encode(hint))
        except (RedisError, OSError):
            metrics.redis_failures.labels("hint").inc()

    async def listen(self, receive: Callable[[Hint], Awaitable[None]]) -> None:
        """Runs until cancelled; subscribes again whenever Redis comes back."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    silent_s = 0
                    while silent_s < GIVE_UP_S:
                        message = await subscription.get_message(timeout=1.0)
                        silent_s = silent_s + 1 if message is None else 0
                        if message is not None and message["type"] == "message":
                            await self._deliver(message["data"], receive)
                        elif silent_s == PING_AFTER_S:
                            # A line that died without a word looks like one on which nothing happens.
                            await subscription.ping()
                    metrics.redis_failures.labels("hint_line").inc()
            await asyncio.sleep(0.5)

    async def _deliver(self, data: bytes, receive: Callable[[Hint], Awaitable[None]]) -> None:
        try:
            hint = msgspec.json.decode(data, type=Hint)
        except msgspec.DecodeError:
            log.warning("hint_unreadable")
            return
        await receive(hint)
