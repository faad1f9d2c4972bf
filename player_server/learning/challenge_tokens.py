"""The two signed strings of a challenge: the code in the QR picture, which turns, and the form of a phone's page.

The code says which challenge and which turn of it; whether it is still fresh is decided by the store's clock. The
form ties a page to the phone cookie of the browser that opened the code, so it is worth nothing elsewhere.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from player_server.storage.keys import Keys

#: 96 bits: cannot be guessed over the network, and keeps the QR picture coarse enough for a poor camera.
MAC_DIGITS = 24
#: Nothing longer was made here.
LONGEST_TOKEN = 120


class Code(NamedTuple):
    """What a genuine code says."""

    challenge_id: str
    rotation: int


def code_for(keys: Keys, challenge_id: str, rotation: int) -> str:
    """The code of one turn."""
    return _signed(keys, "challenge token", f"{challenge_id}.{rotation}")


def read_code(keys: Keys, text: str) -> Code | None:
    """The reverse; None for anything that was not made by `code_for`."""
    challenge_id, _, rest = text.partition(".")
    rotation = rest.partition(".")[0]
    if len(text) > LONGEST_TOKEN or not text.isascii() or not rotation.isdigit():
        return None
    code = Code(challenge_id, int(rotation))
    return code if hmac.compare_digest(text, code_for(keys, *code)) else None


def form_for(keys: Keys, challenge_id: str, credential: str) -> str:
    """The hidden field of the pages that this browser gets for this challenge."""
    return _signed(keys, f"challenge form {credential}", challenge_id)


def read_form(keys: Keys, text: str, credential: str) -> str | None:
    """The challenge's id; None if the page was not made for the browser with this credential."""
    challenge_id = text.partition(".")[0]
    if len(text) > LONGEST_TOKEN or not text.isascii():
        return None
    return challenge_id if hmac.compare_digest(text, form_for(keys, challenge_id, credential)) else None


def _signed(keys: Keys, purpose: str, message: str) -> str:
    return f"{message}.{keys.mac(purpose, message)[:MAC_DIGITS]}"
