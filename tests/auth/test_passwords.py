"""argon2id: right parameters, same work for nobody, bounded."""

from __future__ import annotations

import asyncio

import pytest

from player_server.auth.initial_secrets import ALPHABET, initial_hash, new_initial_secret
from player_server.auth.passwords import WAITING, TooBusy, hash_password, verify_password
from player_server.storage.keys import Keys
from tests.support.identity import OTHER_PASSWORD, PASSWORD


async def test_the_hash_is_argon2id_at_19_mib_and_salted() -> None:
    one, two = await hash_password(PASSWORD), await hash_password(PASSWORD)
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert await verify_password(PASSWORD, one)
    assert not await verify_password(OTHER_PASSWORD, one)


@pytest.mark.parametrize("nothing", [None, "", "not a hash", "$argon2id$broken"])
async def test_nothing_to_verify_is_never_right(nothing: str | None) -> None:
    assert not await verify_password(PASSWORD, nothing)
    assert not await verify_password("", nothing)


async def test_more_than_may_wait_are_turned_away_and_then_it_goes_on() -> None:
    results = await asyncio.gather(
        *(verify_password(PASSWORD, None) for _ in range(WAITING + 5)), return_exceptions=True
    )
    assert sum(isinstance(result, TooBusy) for result in results) == 5
    assert await verify_password(PASSWORD, None) is False


def test_initial_secrets_are_readable_and_forgive_how_they_are_typed() -> None:
    keys = Keys(b"k" * 32)
    secret = new_initial_secret()
    groups = secret.split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    assert set("".join(groups)) <= set(ALPHABET)
    assert initial_hash(keys, secret) == initial_hash(keys, secret.lower().replace("-", " "))
    assert initial_hash(keys, "O0IL-1111-2222-3333") == initial_hash(keys, "0011 1111 2222 3333")
    assert initial_hash(keys, secret) != initial_hash(Keys(b"j" * 32), secret)
    assert len({new_initial_secret() for _ in range(1000)}) == 1000
