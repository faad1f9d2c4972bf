"""How an ID number stands in SQL: look-up hash, hash of its tail, and cipher."""

from __future__ import annotations

from player_server.storage.keys import Keys

#: Staff may search by this many last characters.
TAIL = 4


def id_hash(keys: Keys, number: str) -> str:
    """The keyed hash by which a person is found. `number` is normalised."""
    return keys.mac("id number", number)


def id_tail_hash(keys: Keys, tail: str) -> str:
    """The keyed hash of the last four characters, for the staff's search."""
    return keys.mac("id number tail", tail)


def id_columns(keys: Keys, number: str) -> dict[str, str]:
    """The columns of `person` that come from a checked ID number."""
    return {
        "id_hash": id_hash(keys, number),
        "id_tail_hash": id_tail_hash(keys, number[-TAIL:]),
        "id_cipher": keys.encrypt(number),
    }
