"""Addresses of videos and captions: signed, short-lived, for one learner and one video.

The address alone opens nothing: the door also asks for that learner's log-in and for the right to watch.
"""

from __future__ import annotations

from typing import Any, Literal

import jwt

from player_server.storage.keys import Keys

Kind = Literal["media", "captions"]

PURPOSE = "media url"
ALGORITHM = "HS256"
TYPE = "xueshi-media+jwt"
ISSUER = "xueshi"
AUDIENCE = "xueshi-media"
HOUR_MS = 3_600_000
#: Ours have about 250 characters; longer ones are not looked at.
LONGEST = 1000


class BadMediaToken(Exception):
    """Forged, expired, or for another learner or video. The door tells nobody which."""


def media_url(keys: Keys, kind: Kind, learner_id: int, video_id: int, *, now_ms: int, hours: float) -> str:
    """The path of a video (`media`) or of its captions that is good for `hours` from now."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(learner_id),
        "video": video_id,
        "exp": (now_ms + round(hours * HOUR_MS)) // 1000,
    }
    token = jwt.encode(claims, keys.derive(PURPOSE), ALGORITHM, headers={"typ": TYPE})
    return f"/{kind}/{video_id}?t={token}"


def check_media_token(keys: Keys, token: str, learner_id: int, video_id: int, *, now_ms: int) -> None:
    """Raises BadMediaToken unless we made this token for them and it is still good."""
    if len(token) > LONGEST:
        raise BadMediaToken
    try:
        decoded = jwt.decode_complete(
            token,
            keys.derive(PURPOSE),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            subject=str(learner_id),
            # The expiry is checked below, by the store's clock that made it: every node agrees on that one.
            options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": False},
        )
    except jwt.InvalidTokenError:
        raise BadMediaToken from None
    claims: dict[str, Any] = decoded["payload"]
    expires = claims["exp"]
    if decoded["header"].get("typ") != TYPE or claims.get("video") != video_id:
        raise BadMediaToken
    if not isinstance(expires, int) or expires * 1000 <= now_ms:
        raise BadMediaToken
