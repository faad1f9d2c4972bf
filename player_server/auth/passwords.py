"""Chosen passwords: argon2id, hashed and verified in a few threads of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from player_server.policy.passwords import normalise_password

T = TypeVar("T")

#: OWASP's parameters: 19 MiB, two passes, one lane; about 17 ms of one core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

#: Hashing is the one thing strangers can make this server compute, so it may not take every core or much memory.
THREADS = 2
#: More waiting than this are turned away at once with `TooBusy`: one second of work for each thread.
WAITING = 128

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_waiting: set[object] = set()

# Verified when there is nothing to verify, so that an unknown user costs the same time as a wrong password.
_NOBODYS = _HASHER.hash(secrets.token_hex())


class TooBusy(Exception):
    """Too many log-ins at this moment; the client should come back in a few seconds."""


async def hash_password(password: str) -> str:
    """The argon2id hash of a password that policy.passwords accepts."""
    return await _in_pool(lambda: _HASHER.hash(normalise_password(password)))


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether this is the password; False, after the same time, if there is none. Raises TooBusy."""
    return await _in_pool(lambda: _verify(password, password_hash))


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        _HASHER.verify(password_hash or _NOBODYS, normalise_password(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


async def _in_pool(work: Callable[[], T]) -> T:
    if len(_waiting) >= WAITING:
        raise TooBusy
    ticket = object()
    _waiting.add(ticket)
    try:
        return await asyncio.get_running_loop().run_in_executor(_pool, work)
    finally:
        _waiting.discard(ticket)
