"""Counted turns in Redis: how long the next attempt of a kind has to wait. The kinds stand in auth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

_LUA = Path(__file__).parent / "lua"
_TAKE = (_LUA / "turn.lua").read_text()
_GIVE_BACK = (_LUA / "give_back_turn.lua").read_text()


@dataclass(frozen=True, slots=True)
class Window:
    """One limit. Attempts beyond `free` within `window_ms` of the first one wait, ever longer up to `longest_ms`.

    `queue`: they wait one after the other, and more than fit are told to come back; else they wait side by side.
    """

    key: str
    free: int
    first_ms: int
    longest_ms: int
    window_ms: int
    queue: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait so long, then go on; with `full` come back after so long instead."""

    wait_ms: int
    full: bool


async def take_turn(redis: Redis, window: Window) -> Turn:
    """Count one attempt. Raises redis errors; the caller decides to fail open or closed."""
    wait_ms, full = await redis.register_script(_TAKE)(
        keys=[window.key],
        args=[window.free, window.first_ms, window.longest_ms, window.window_ms, int(window.queue)],
    )
    return Turn(int(wait_ms), bool(full))


async def forget_turns(redis: Redis, key: str) -> None:
    """Start this window anew."""
    await redis.delete(key)


async def give_back_turn(redis: Redis, key: str) -> None:
    """An attempt turned out to be honest: it does not count."""
    await redis.register_script(_GIVE_BACK)(keys=[key])
