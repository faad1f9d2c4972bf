"""OAuth 2 client credentials: a client proves who it is and gets a short access token.

It proves it by a JWT signed with its own key (RFC 7523: `iss` and `sub` its id, `aud` our token address or our
issuer, `jti`, `exp` at most ten minutes ahead; EdDSA), good once; or by its secret. The access token is ours
(RFC 9068), names the client and its scopes, and is good for a few minutes. The key a proof is checked with is
always one registered for the client; nothing in a header chooses it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from redis.exceptions import RedisError

from player_server.auth import signing
from player_server.auth.service_clients import Registration, Scope, ServiceClient, find_registration, secret_hash
from player_server.learning.services import Services
from player_server.observe import metrics
from player_server.storage import audit

ALGORITHM = "EdDSA"
#: Types of a proof: unset or JWT as libraries write it, or the name that later drafts of RFC 7523 ask for.
PROOF_TYPES = (None, "JWT", "client-authentication+jwt")
#: A stolen proof is worth little.
LONGEST_PROOF_S = 600
#: How far the clocks of two companies may differ.
LEEWAY_S = 30


class BadServiceToken(Exception):
    """It proves nobody. `reason` is for the log and the audit; the caller is not told."""

    def __init__(self, reason: str, client_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.client_id = client_id


class ProofsUnavailable(Exception):
    """Redis is away, so it cannot be said whether a proof was used before."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`scopes` are those granted, `expires_in` seconds."""

    token: str
    scopes: frozenset[Scope]
    expires_in: int


class _Access(msgspec.Struct, frozen=True):
    """The claims of an access token."""

    iss: str
    aud: str
    sub: str
    client_id: str
    scope: str
    iat: int
    exp: int
    jti: str


async def client_of_proof(services: Services, proof: str, claimed: str | None = None) -> ServiceClient:
    """The client that signed this proof just now, for the first time. `claimed`: a client_id sent beside it.

    Raises BadServiceToken, ProofsUnavailable.
    """
    client_id = _claimed_issuer(proof)
    if claimed is not None and claimed != client_id:
        raise BadServiceToken("two_clients", client_id)
    found = await _registration(services, client_id)
    claims = _check_proof(services, proof, found)
    try:
        digest = hashlib.sha256(f"{client_id} {claims['jti']}".encode()).hexdigest()
        life = LONGEST_PROOF_S + 2 * LEEWAY_S
        fresh = await services.redis.set(f"xueshi:proof:{digest}", 1, ex=life, nx=True)
    except (RedisError, OSError):
        # Fail closed: a proof that was overheard must not be used again while Redis is away.
        metrics.redis_failures.labels("client_proof").inc()
        raise ProofsUnavailable from None
    if not fresh:
        raise BadServiceToken("used_before", client_id)
    return found.client


async def client_of_secret(services: Services, client_id: str, secret: str) -> ServiceClient:
    """The client whose secret this is. Raises BadServiceToken."""
    if len(client_id) > 200 or len(secret) > 500:
        raise BadServiceToken("too_long")
    found = await _registration(services, client_id)
    given = secret_hash(services.keys, secret)
    if not any([hmac.compare_digest(given, each) for each in found.secret_hashes]):
        raise BadServiceToken("wrong_secret", client_id)
    return found.client


async def grant(
    services: Services, client: ServiceClient, wanted: frozenset[Scope] | None, *, address: str
) -> AccessToken:
    """An access token for those of the wanted scopes (None: all) that this client has; noted in the audit trail."""
    scopes = client.scopes if wanted is None else client.scopes & wanted
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=client.actor,
            institution_id=client.institution_id,
            action="token.grant",
            result=" ".join(sorted(scopes)) or "nothing",
            address=address,
        )
    return make_access_token(services, client.client_id, scopes)


def make_access_token(services: Services, client_id: str, scopes: frozenset[Scope]) -> AccessToken:
    """Sign one."""
    now, life = time.time(), round(services.settings.exam.access_token_s)
    claims = _Access(
        iss=signing.issuer(services.settings),
        aud=signing.audience(services.settings),
        sub=client_id,
        client_id=client_id,
        scope=" ".join(sorted(scopes)),
        iat=int(now),
        exp=int(now) + life,
        jti=secrets.token_urlsafe(12),
    )
    return AccessToken(signing.sign(services.keys, signing.ACCESS, msgspec.json.encode(claims), now), scopes, life)


async def verify_access_token(services: Services, token: str) -> ServiceClient:
    """The client this token was given to, with the scopes it has both in the token and by now. Raises
    BadServiceToken.

    Costs neither SQL nor a signature for a token that was seen in the last seconds; see `Gate`.
    """
    now = time.time()
    claims = services.gate.claims(token, now)
    if claims is None:
        settings = services.settings
        try:
            claims = signing.read(
                services.keys,
                signing.ACCESS,
                token,
                issued_by=signing.issuer(settings),
                meant_for=signing.audience(settings),
                now_s=now,
            )
        except signing.BadSignature as error:
            raise BadServiceToken(error.reason) from None
        services.gate.keep_claims(token, claims, now)
    client_id = str(claims["client_id"])
    client: ServiceClient | None
    if services.gate.knows(client_id, now):
        client = services.gate.client(client_id)
    else:
        async with services.db.read() as conn:
            found = await find_registration(conn, client_id, 0)
        client = None if found is None else found.client
        services.gate.keep_client(client_id, client, now)
    if client is None:
        raise BadServiceToken("unknown_client", client_id)
    granted = set(str(claims["scope"]).split())
    return ServiceClient(
        client.client_id, client.institution_id, frozenset(each for each in client.scopes if each.value in granted)
    )


def make_client_proof(private_pem: str, client_id: str, audience: str, *, life_s: int = 120) -> str:
    """What a client sends as `client_assertion`. Raises ValueError if the key is not Ed25519."""
    key = load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the key must be an Ed25519 private key")
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + life_s,
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode(claims, key, ALGORITHM)


async def _registration(services: Services, client_id: str) -> Registration:
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        found = await find_registration(conn, client_id, now)
    if found is None:
        raise BadServiceToken("unknown_client", client_id)
    return found


def _check_proof(services: Services, proof: str, found: Registration) -> dict[str, Any]:
    client_id = found.client.client_id
    accepted = [signing.issuer(services.settings), f"{signing.audience(services.settings)}/oauth/token"]
    reason = "no_key"
    for pem in found.public_keys:
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise BadServiceToken("wrong_key_type", client_id)
        try:
            # The other side made these times, so they are compared with the wall clock.
            claims: dict[str, Any] = jwt.decode(
                proof,
                key,
                algorithms=[ALGORITHM],
                audience=accepted,
                issuer=client_id,
                subject=client_id,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "sub", "aud", "jti"]},
            )
            expires = int(claims["exp"])
        # PyJWT takes whatever int() takes for a time, and int() does not only raise what PyJWT catches.
        except (jwt.InvalidTokenError, TypeError, OverflowError) as error:
            reason = type(error).__name__
            continue
        if expires > time.time() + LONGEST_PROOF_S + LEEWAY_S:
            raise BadServiceToken("life_too_long", client_id)
        return claims
    raise BadServiceToken(reason, client_id)


def _claimed_issuer(proof: str) -> str:
    """Who it says signed it, which only chooses the keys it is then checked with."""
    if len(proof) > signing.LONGEST:
        raise BadServiceToken("too_long")
    try:
        unverified = jwt.decode_complete(proof, options={"verify_signature": False})
    # A header or claims of an odd shape do not only raise what PyJWT documents.
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise BadServiceToken(type(error).__name__) from None
    header, claims = unverified["header"], unverified["payload"]
    if header.get("alg") != ALGORITHM or header.get("typ") not in PROOF_TYPES:
        raise BadServiceToken("wrong_header")
    client_id = claims.get("iss")
    if not isinstance(client_id, str) or len(client_id) > 200 or not isinstance(claims.get("jti"), str):
        raise BadServiceToken("no_issuer")
    return client_id
