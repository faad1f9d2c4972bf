"""Who other services are: each request carries a short JWT, signed with a key that only the service holds.

Header: `alg` EdDSA (Ed25519), `typ` "xueshi-client+jwt". Claims: `iss` the client's id, `aud` "xueshi", `iat`, and
`exp` at most ten minutes ahead. The key is always the one registered for `iss`; nothing in the header chooses it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from sqlalchemy import select

from player_server.learning.services import Services
from player_server.storage.tables import service_client

ALGORITHM = "EdDSA"
TYPE = "xueshi-client+jwt"
AUDIENCE = "xueshi"
#: A stolen token is worth little.
LONGEST_LIFE_S = 600
#: How far the clocks of two companies may differ.
LEEWAY_S = 30
#: Longer ones are not looked at.
LONGEST = 4000


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """`institution_id` None: the regulator's, which sees every institution."""

    client_id: str
    institution_id: int | None


class BadServiceToken(Exception):
    """The token proves nobody. `reason` is for the log and the audit; the caller is not told."""

    def __init__(self, reason: str, client_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.client_id = client_id


async def verify_client(services: Services, token: str) -> ServiceClient:
    """The client that signed this token just now. Raises BadServiceToken."""
    client_id = _claimed_issuer(token)
    query = select(service_client.c.public_key, service_client.c.institution_id).where(
        service_client.c.id == client_id, service_client.c.disabled_at.is_(None)
    )
    async with services.db.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    if row is None:
        raise BadServiceToken("unknown_client", client_id)
    key = load_pem_public_key(row.public_key.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise BadServiceToken("wrong_key_type", client_id)
    try:
        # The other side made these times, so they are compared with the wall clock.
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=client_id,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "iss", "aud"]},
        )
        expires = int(claims["exp"])
    # PyJWT takes whatever int() takes for a time, and int() does not only raise what PyJWT catches.
    except (jwt.InvalidTokenError, TypeError, OverflowError) as error:
        raise BadServiceToken(type(error).__name__, client_id) from None
    if expires > time.time() + LONGEST_LIFE_S + LEEWAY_S:
        raise BadServiceToken("life_too_long", client_id)
    return ServiceClient(client_id, row.institution_id)


def make_client_token(private_pem: str, client_id: str, *, life_s: int = 300) -> str:
    """What a client sends: `Authorization: Bearer <this>`. Raises ValueError if the key is not Ed25519."""
    key = load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the key must be an Ed25519 private key")
    now = int(time.time())
    claims = {"iss": client_id, "aud": AUDIENCE, "iat": now, "exp": now + life_s}
    return jwt.encode(claims, key, ALGORITHM, headers={"typ": TYPE})


def _claimed_issuer(token: str) -> str:
    """Who it says signed it, which only chooses the key it is then checked with."""
    if len(token) > LONGEST:
        raise BadServiceToken("too_long")
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise BadServiceToken(type(error).__name__) from None
    header, issuer = unverified["header"], unverified["payload"].get("iss")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise BadServiceToken("wrong_header")
    if not isinstance(issuer, str):
        raise BadServiceToken("no_issuer")
    return issuer
