"""Initial secrets: what an institution hands to a learner, good for choosing a password and for nothing else.

They are random, so SQL keeps a keyed hash of them; the slow argon2id is for passwords that people think up.
"""

from __future__ import annotations

import secrets
import unicodedata

from player_server.storage.keys import Keys

#: Crockford's base 32: no I, L, O and U, so that nothing is misread on paper. 5 bits each.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: 80 bits, in groups of four.
LENGTH = 16
GROUP = 4

_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_initial_secret() -> str:
    """A new one, as it is shown once to the institution: XXXX-XXXX-XXXX-XXXX."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(text[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def initial_hash(keys: Keys, secret: str) -> str:
    """What `person.initial_hash` keeps. However it is typed (small letters, no dashes, O for 0) it is the same."""
    plain = unicodedata.normalize("NFKC", secret).upper().translate(_MISREAD)
    return keys.mac("initial secret", "".join(character for character in plain if character in ALPHABET))
