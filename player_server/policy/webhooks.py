"""Webhooks: how a message is written and signed, when it is tried again, and when it is given up.

The form is that of the Standard Webhooks specification (github.com/standard-webhooks/standard-webhooks): headers
`webhook-id`, `webhook-timestamp` (seconds) and `webhook-signature`, secrets that begin with `whsec_`.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping

SECRET_PREFIX = "whsec_"  # noqa: S105  # The specification's mark of a secret, no secret.
SECRET_BYTES = 32
#: How long after a first attempt it is tried for the last time.
GIVE_UP_MS = 3 * 24 * 3_600_000
#: Pauses after the first, second … failure, in seconds; the last one is repeated.
PAUSES_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600)
#: Pauses are lengthened by up to this share at random, so that many messages do not come back together.
JITTER = 0.2


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`. `timestamp` in seconds since 1970."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def make_secret(random: bytes) -> str:
    """A secret from SECRET_BYTES random bytes, as it is handed to the receiver."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"a secret is made of {SECRET_BYTES} random bytes")
    return SECRET_PREFIX + b64encode(random).decode()


def next_try_ms(failures: int, first_at: int, now_ms: int, chance: float) -> int | None:
    """When to try again after so many failures (from 1), in UTC ms; None: give up.

    `first_at`: the first attempt; `chance`: a random number from 0 to 1.
    """
    pause = PAUSES_S[min(failures, len(PAUSES_S)) - 1] * 1000
    again = now_ms + round(pause * (1 + JITTER * chance))
    last = first_at + GIVE_UP_MS
    if again <= last:
        return again
    # The last attempt is made when the time is over, not hours before it.
    return last if now_ms < last else None


def is_delivered(status: int) -> bool:
    """Whether this answer means that the receiver has the message."""
    return 200 <= status < 300


def is_gone(status: int) -> bool:
    """Whether the receiver asks not to be told any more (410)."""
    return status == 410


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """What goes with the body."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
