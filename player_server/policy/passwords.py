"""Which passwords may be chosen."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Literal

from player_server.policy.common_passwords import COMMON_PASSWORDS

SHORTEST = 8
#: Longer input is refused, because hashing it would be work for nothing.
LONGEST = 128
#: A run of the ID number this long gives it away; it is also the tail that notices hand out as a password.
ID_RUN = 6
#: `11112222`, `abcabcabc`: so few different characters are guessed first.
FEWEST_CHARACTERS = 4

Weakness = Literal["short", "long", "id_number", "uniform", "sequence", "common"]


def normalise_password(password: str) -> str:
    """The same password whatever input method typed it: full-width letters and digits become plain ones."""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str, id_number: str) -> Weakness | None:
    """Why this password may not be chosen, or None. `id_number` is normalised; "" for staff, who have none here."""
    password = normalise_password(password)
    plain = password.casefold()
    if len(password) < SHORTEST:
        return "short"
    if len(password) > LONGEST:
        return "long"
    if _is_id_derived(plain, id_number.casefold()):
        return "id_number"
    if len(set(plain)) < FEWEST_CHARACTERS:
        return "uniform"
    if _is_sequence(plain):
        return "sequence"
    if plain in COMMON_PASSWORDS or _without_ornament(plain) in COMMON_PASSWORDS:
        return "common"
    return None


def _is_id_derived(plain: str, number: str) -> bool:
    # 1990-03-07 is the same birth date as 19900307.
    tight = "".join(character for character in plain if character.isalnum())
    runs = {number[start : start + ID_RUN] for start in range(len(number) - ID_RUN + 1)}
    return any(run in tight or run in tight[::-1] for run in runs)


def _is_sequence(plain: str) -> bool:
    """`12345678`, `87654321`, `abcdefgh`, also over the end of the digits: `67890123`."""
    digits = plain.isdigit() and plain.isascii()
    steps = {
        (ord(after) - ord(before)) % 10 if digits else ord(after) - ord(before) for before, after in pairwise(plain)
    }
    return steps in ({1}, {9} if digits else {-1})


def _without_ornament(plain: str) -> str:
    """`password1!` is `password`: what people add to please a rule adds nothing."""
    return plain.rstrip("0123456789!@#$%^&*?.,~_-+ ")
