"""Throttling: by delay, for the one who guesses; in a real Valkey."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio

from player_server.auth.throttle import (
    FREE_ACCOUNT,
    FREE_ADDRESS,
    FREE_PAIR,
    LONGEST_MS,
    WINDOW_MS,
    count_attempt,
    forgive,
)
from player_server.learning.services import Services
from tests.support.services import close_services, make_services

HOME, CAFE = "192.0.2.7", "198.51.100.1"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


async def waits(services: Services, count: int, account: str = "victim", address: str = HOME) -> list[float]:
    return [(await count_attempt(services, "log_in", account, address)).wait_s for _ in range(count)]


async def test_the_first_mistakes_are_free_and_then_the_delay_grows(services: Services) -> None:
    delays = await waits(services, FREE_PAIR + 3)
    assert delays[:FREE_PAIR] == [0] * FREE_PAIR
    assert 0 < delays[FREE_PAIR] < delays[FREE_PAIR + 1] < delays[FREE_PAIR + 2]


async def test_parallel_guesses_queue_and_more_than_fit_are_told_to_come_back(services: Services) -> None:
    attempts = [await count_attempt(services, "log_in", "victim", CAFE) for _ in range(50)]
    assert attempts[-1].full
    assert attempts[-1].wait_s > 0
    assert max(attempt.wait_s for attempt in attempts if not attempt.full) <= LONGEST_MS / 1000


async def test_whoever_owns_the_account_gets_in_from_elsewhere_whatever_the_guesser_does(
    services: Services,
) -> None:
    await waits(services, 50, address=CAFE)
    assert not (await count_attempt(services, "log_in", "victim", HOME)).full
    assert await waits(services, 1, account="somebody else", address=HOME) == [0]


async def test_guesses_from_many_addresses_are_slowed_but_never_refused(services: Services) -> None:
    attempts = [
        await count_attempt(services, "log_in", "victim", f"10.0.{n // 250}.{n % 250}")
        for n in range(FREE_ACCOUNT + 20)
    ]
    assert attempts[FREE_ACCOUNT - 1].wait_s == 0
    assert attempts[-1].wait_s == LONGEST_MS / 1000
    assert not any(attempt.full for attempt in attempts)


async def test_an_ipv6_subscriber_is_one_address(services: Services) -> None:
    delays = [await waits(services, 1, address=f"2001:db8:1:2::{n}") for n in range(1, FREE_PAIR + 2)]
    assert delays[-1] > [0]
    assert await waits(services, 1, address="2001:db8:1:3::1") == [0]


async def test_a_class_behind_one_address_is_not_slowed(services: Services) -> None:
    delays = [await waits(services, 2, account=f"learner {n}") for n in range(40)]
    assert delays == [[0, 0]] * 40


async def test_one_address_that_tries_many_accounts_is_slowed(services: Services) -> None:
    delays = [(await waits(services, 1, account=f"learner {n}"))[0] for n in range(FREE_ADDRESS + 2)]
    assert delays[FREE_ADDRESS - 1] == 0
    assert delays[-1] > 0


async def test_a_right_secret_is_forgiven(services: Services) -> None:
    for _ in range(FREE_ADDRESS + 5):
        attempt = await count_attempt(services, "log_in", "own account", HOME)
        assert attempt.wait_s == 0
        await forgive(services, attempt)


async def test_logging_in_to_an_own_account_now_and_then_does_not_wash_guesses_at_others(
    services: Services,
) -> None:
    for n in range(FREE_ADDRESS):
        await count_attempt(services, "log_in", f"learner {n}", CAFE)
        await forgive(services, await count_attempt(services, "log_in", "own account", CAFE))
    assert (await count_attempt(services, "log_in", "one more", CAFE)).wait_s > 0


async def test_every_count_is_forgotten_in_time_and_holds_no_name(services: Services) -> None:
    await forgive(services, await count_attempt(services, "log_in", "victim", HOME))
    await waits(services, 6)
    keys = [key.decode() async for key in services.redis.scan_iter()]
    assert len(keys) == 4
    for key in keys:
        assert 0 < await services.redis.pttl(key) <= WINDOW_MS
        assert "victim" not in key and HOME not in key


async def test_without_redis_nobody_is_delayed_or_refused(sqlite_url: str, tmp_path: Path) -> None:
    services = await make_services(sqlite_url, f"unix://{tmp_path}/nobody-listens", tmp_path)
    attempt = await count_attempt(services, "log_in", "victim", HOME)
    assert (attempt.wait_s, attempt.full) == (0, False)
    await forgive(services, attempt)
    assert isinstance(services.redis, redis.asyncio.Redis)
    await close_services(services)
