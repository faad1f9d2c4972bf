"""Other services: their rows, their keys, their tokens; and tokens made by hand, as a forger makes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import insert

from player_server.auth.service_clients import Scope
from player_server.auth.service_tokens import make_access_token
from player_server.learning.services import Services
from player_server.storage.tables import service_client

PROOF = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def private_pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def add_client_row(
    services: Services, client_id: str, institution_id: int | None, key: Ed25519PrivateKey | None = None
) -> Ed25519PrivateKey:
    """Register a client with a key pair; returns its private key."""
    key = key or Ed25519PrivateKey.generate()
    row = {"id": client_id, "institution_id": institution_id, "name": client_id, "public_key": public_pem(key)}
    async with services.db.write() as conn:
        await conn.execute(insert(service_client).values(**row, created_at=1))
    return key


def bearer(services: Services, client_id: str = "exam", *scopes: Scope) -> dict[str, str]:
    """The header of a client with these scopes (none named: all)."""
    token = make_access_token(services, client_id, frozenset(scopes or Scope))
    return {"Authorization": f"Bearer {token.token}"}


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def sign_by_hand(key: Ed25519PrivateKey, header: object, claims: object) -> str:
    """A JWT as a library would refuse to make it."""
    text = f"{segment(header)}.{segment(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(key.sign(text.encode())).rstrip(b'=').decode()}"


def hmac_by_hand(secret: bytes, header: dict[str, Any], claims: object) -> str:
    """HS256 with whatever the forger takes for a secret, for instance a public key."""
    text = f"{segment(header | {'alg': 'HS256'})}.{segment(claims)}"
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
