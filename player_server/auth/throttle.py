"""Guessing is slowed down, nobody is locked out.

Four windows count attempts. Only the first one queues, and only an attacker's own address can fill it, so whoever
really owns an account waits at most `LONGEST_MS`, whatever others try at the same time:

* account and address together: one attempt after the other, so that parallel guesses gain nothing;
* account, from all addresses: a delay for everybody who tries it while it is being guessed at;
* address, for all accounts: with room for a whole class behind one address;
* everything: a small delay while the whole system is under a guessing attack.

If Redis is away attempts go through undelayed: argon2id and its bounded pool still slow them, and refusing would
lock everybody out.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from hashlib import sha256

from redis.exceptions import RedisError

from player_server.learning.services import Services
from player_server.observe import metrics
from player_server.storage.turns import Window, forget_turns, give_back_turn, take_turn

MINUTE_MS = 60_000
#: The longest wait. A person takes it for a slow page and does not give up; a guesser gets 450 tries an hour.
LONGEST_MS = 8_000
#: The longest wait of the window that everybody shares: honest people have done nothing to earn a long one.
LONGEST_FOR_ALL_MS = 1_000
#: People mistype a few times in a row.
FREE_PAIR = 4
#: An account is rarely tried from many places by its owner.
FREE_ACCOUNT = 20
#: A class behind one address mistypes more.
FREE_ADDRESS = 120
FREE_ALL = 3_000
FIRST_MS = 250
WINDOW_MS = 15 * MINUTE_MS
#: The client retries by itself for long; a log-in does not wait for that.
GIVE_UP_S = 1.0
_IPV6_SUBSCRIBER = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """One counted attempt. The door waits `wait_s`; with `full` it asks to come back after `wait_s` instead."""

    wait_s: float
    full: bool
    windows: tuple[Window, ...]


async def count_attempt(services: Services, purpose: str, account: str, address: str) -> Attempt:
    """Count an attempt at `account` (a hash, never a bare ID number) from this address. Never raises."""
    windows = _windows(purpose, account, address)
    longest = 0
    try:
        async with asyncio.timeout(GIVE_UP_S):
            for window in windows:
                turn = await take_turn(services.redis, window)
                if turn.full:
                    return Attempt(turn.wait_ms / 1000, True, windows)
                longest = max(longest, turn.wait_ms)
    except (RedisError, OSError, TimeoutError):
        metrics.redis_failures.labels("throttle").inc()
    return Attempt(longest / 1000, False, windows)


async def forgive(services: Services, attempt: Attempt) -> None:
    """The attempt was right: its own pair starts anew, and the shared windows do not count it.

    They are not emptied, or a guesser could log in to an account of his own now and then to go on undelayed.
    """
    pair, *shared = attempt.windows
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await forget_turns(services.redis, pair.key)
            for window in shared:
                await give_back_turn(services.redis, window.key)
    except (RedisError, OSError, TimeoutError):
        metrics.redis_failures.labels("throttle").inc()


def _windows(purpose: str, account: str, address: str) -> tuple[Window, ...]:
    network = _network(address)
    return (
        _window(FREE_PAIR, LONGEST_MS, purpose, "pair", account, network, queue=True),
        _window(FREE_ACCOUNT, LONGEST_MS, purpose, "account", account),
        _window(FREE_ADDRESS, LONGEST_MS, purpose, "address", network),
        _window(FREE_ALL, LONGEST_FOR_ALL_MS, purpose, "all"),
    )


def _window(free: int, longest_ms: int, *parts: str, queue: bool = False) -> Window:
    # Hashed, so that neither addresses nor user names stand in Redis, and no part can pretend to be another.
    digest = sha256("\0".join(parts).encode()).hexdigest()[:32]
    return Window(f"xueshi:turn:{digest}", free, FIRST_MS, longest_ms, WINDOW_MS, queue)


def _network(address: str) -> str:
    """IPv4 as it is; of IPv6 the part that one subscriber has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    return str(ipaddress.ip_network((ip, _IPV6_SUBSCRIBER), strict=False))
