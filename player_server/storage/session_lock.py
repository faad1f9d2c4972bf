"""The session lock: in Redis, who may play, one per person. A hint for people; the fence is the epoch in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from redis.asyncio import Redis

_LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Acquired:
    """The lock is ours; `displaced` is the session that lost it, if any."""

    session: str
    displaced: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """Another session has the lock, since `since` (UTC ms)."""

    since: int
    device: str


class Holder(NamedTuple):
    """One live player whose lock is to be kept alive."""

    person_id: int
    session: str
    device: str
    since: int


def lock_key(person_id: int) -> str:
    """The braces keep all keys of a person on one node of a Redis Cluster."""
    return f"xueshi:lock:{{{person_id}}}"


class SessionLock:
    """The atomic steps on the locks. Raises redis errors; the callers decide to fail open or closed."""

    def __init__(self, redis: Redis, node: str, ttl_ms: int) -> None:
        self._redis = redis
        self._node = node
        self._ttl_ms = ttl_ms
        self._acquire = redis.register_script((_LUA / "acquire.lua").read_text())
        self._renew = redis.register_script((_LUA / "renew.lua").read_text())
        self._release = redis.register_script((_LUA / "release.lua").read_text())

    async def acquire(
        self, person_id: int, session: str, *, proof: str | None, force: bool, device: str, now_ms: int
    ) -> Acquired | Held:
        """Take the lock if it is free, already ours (`proof`), or with `force`."""
        answer = await self._acquire(
            keys=[lock_key(person_id)],
            args=[session, proof or "", int(force), self._node, device, now_ms, self._ttl_ms],
        )
        if answer[0]:
            return Acquired(_text(answer[1]), _text(answer[2]) or None)
        return Held(int(answer[1]), _text(answer[2]))

    async def renew(self, holders: Iterable[Holder]) -> list[int]:
        """Keep these locks alive in one round trip; returns the persons whose lock another session has."""
        holders = list(holders)
        if not holders:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for holder in holders:
                await self._renew(
                    keys=[lock_key(holder.person_id)],
                    args=[holder.session, self._node, holder.device, holder.since, self._ttl_ms],
                    client=pipeline,
                )
            kept = await pipeline.execute()
        return [holder.person_id for holder, mine in zip(holders, kept, strict=True) if not mine]

    async def release(self, person_id: int, session: str) -> None:
        """Give the lock back if it is still this session's."""
        await self._release(keys=[lock_key(person_id)], args=[session])


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
