"""What the server signs for others and reads back itself: compact JWTs, EdDSA, each kind with a type of its own.

What belongs here: the form. Which claims a kind carries stands where it is used: access tokens in
`service_tokens.py`, assertions in `learning/eligibility.py`, launches in `learning/exam_launch.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jwt
import msgspec
from jwt.api_jws import PyJWS
from jwt.utils import base64url_encode

from player_server.config import Settings
from player_server.storage.keys import Keys

ALGORITHM = "EdDSA"
ACCESS = "at+jwt"  # RFC 9068
ASSERTION = "xueshi-eligibility+jwt"
LAUNCH = "xueshi-launch+jwt"
#: Longer ones are not looked at.
LONGEST = 4000

_JWS = PyJWS(algorithms=[ALGORITHM])


class BadSignature(Exception):
    """Not ours, not for this, or not now. `reason` is for the log; the caller is not told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def issuer(settings: Settings) -> str:
    """Our name in `iss`, where others find our keys: the public address."""
    return settings.public_url


def audience(settings: Settings) -> str:
    """Who an access token is for: this interface."""
    return f"{settings.public_url}/api/v1"


def sign(keys: Keys, kind: str, claims: bytes, now_s: float) -> str:
    """The token with exactly these claims (a JSON object, UTF-8).

    Put together here, because the library's checks of a key that is ours cost as much as the signature.
    """
    key = keys.signing.current(now_s)
    text = _head(kind, key.kid) + base64url_encode(claims)
    return (text + b"." + base64url_encode(key.private.sign(text))).decode()


@lru_cache(maxsize=64)
def _head(kind: str, kid: str) -> bytes:
    return base64url_encode(msgspec.json.encode({"alg": ALGORITHM, "kid": kid, "typ": kind})) + b"."


def read(keys: Keys, kind: str, token: str, *, issued_by: str, meant_for: str, now_s: float) -> dict[str, Any]:
    """The claims of a token of ours. Raises BadSignature.

    The header only names which of our own keys to look at; `now_s` is the wall clock, in UTC seconds.
    """
    if len(token) > LONGEST:
        raise BadSignature("too_long")
    try:
        header = jwt.get_unverified_header(token)
        key = keys.signing.public(header.get("kid"), now_s)
        if key is None or header.get("alg") != ALGORITHM or header.get("typ") != kind:
            raise BadSignature("wrong_header")
        claims = msgspec.json.decode(_JWS.decode(token, key, algorithms=[ALGORITHM]))
    except (jwt.InvalidTokenError, msgspec.DecodeError, ValueError) as error:
        raise BadSignature(type(error).__name__) from None
    if not isinstance(claims, dict) or claims.get("iss") != issued_by or claims.get("aud") != meant_for:
        raise BadSignature("wrong_parties")
    begins, ends = claims.get("iat"), claims.get("exp")
    # Only we make them, with whole seconds; anything else was not made here.
    if type(begins) is not int or type(ends) is not int or not begins - 60 <= now_s < ends:
        raise BadSignature("wrong_time")
    return claims
