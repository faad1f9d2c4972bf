"""The programs that may ask us: registered clients, each of one institution or of the regulator.

What belongs here: who a client is, what it may do, how it is added, rotated and switched off. How it proves itself
is in `service_tokens.py`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning.services import Services
from player_server.storage import audit
from player_server.storage.keys import Keys
from player_server.storage.tables import ALL_SCOPES, service_client
from player_server.storage.upsert import insert

_PURPOSE = "client secret"
#: 256 bits: nobody guesses it, so a keyed hash is enough and costs no CPU at each question.
_SECRET_BYTES = 32
#: It stands in tokens, logs and the audit, and is typed by people.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Scope(StrEnum):
    """What a client may be allowed to do."""

    ELIGIBILITY = "eligibility"  # ask whether hours are complete
    HOURS = "hours"  # read a learner's ledger entries
    RESULTS = "results"  # hand in results of the exam
    LAUNCHES = "launches"  # redeem the launch that a learner brings
    EVENTS = "events"  # read what happened


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """`institution_id` None: the regulator's, which sees every institution."""

    client_id: str
    institution_id: int | None
    scopes: frozenset[Scope] = frozenset(Scope)

    @property
    def actor(self) -> str:
        """Its name in the audit trail."""
        return f"client:{self.client_id}"


@dataclass(frozen=True, slots=True)
class Registration:
    """A client's row, with every credential that is accepted now."""

    client: ServiceClient
    public_keys: tuple[str, ...]
    secret_hashes: tuple[str, ...]


class ClientError(Exception):
    """It cannot be registered so; the message says why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client proves itself with: a public key in PEM, or a secret. Exactly one of them is not None."""

    public_key: str | None = None
    secret: str | None = None


async def find_registration(conn: AsyncConnection, client_id: str, now_ms: int) -> Registration | None:
    """A client that is not switched off. `now_ms`: the store's clock, for the grace after a rotation."""
    row = (
        await conn.execute(
            select(service_client).where(service_client.c.id == client_id, service_client.c.disabled_at.is_(None))
        )
    ).one_or_none()
    if row is None:
        return None
    former = row.former_until is not None and row.former_until > now_ms
    keys = [row.public_key, row.former_public_key if former else None]
    hashes = [row.secret_hash, row.former_secret_hash if former else None]
    known = {each.value for each in Scope}
    client = ServiceClient(
        row.id, row.institution_id, frozenset(Scope(name) for name in row.scopes.split() if name in known)
    )
    return Registration(client, tuple(each for each in keys if each), tuple(each for each in hashes if each))


def secret_hash(keys: Keys, secret: str) -> str:
    """What is stored of a secret."""
    return keys.mac(_PURPOSE, secret)


def new_secret() -> Credential:
    """A secret that nobody guesses."""
    return Credential(secret=secrets.token_urlsafe(_SECRET_BYTES))


def new_key() -> tuple[Credential, str]:
    """A key pair: the credential, and the private key in PEM, which is not kept."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return Credential(public_key=public), key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ).decode()


def check_public_key(pem: str) -> Credential:
    """A client's own public key. Raises ClientError unless it is Ed25519 in PEM."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise ClientError("the key is no public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ClientError("the key must be an Ed25519 public key")
    return Credential(public_key=pem)


async def add_client(
    services: Services,
    client_id: str,
    *,
    name: str,
    institution_id: int | None,
    credential: Credential,
    scopes: frozenset[Scope] = frozenset(Scope),
) -> None:
    """Register a client. Raises ClientError if there is one of this id, or if it is no id."""
    if not _ID.fullmatch(client_id):
        raise ClientError("the id of a client is 1 to 64 letters, digits, dots, hyphens or underscores")
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        done = await conn.execute(
            insert(conn, service_client)
            .values(
                id=client_id,
                institution_id=institution_id,
                name=name,
                public_key=credential.public_key,
                secret_hash=_hash_of(services, credential),
                scopes=" ".join(each for each in ALL_SCOPES.split() if each in scopes),
                created_at=now,
            )
            .on_conflict_do_nothing(index_elements=["id"])
        )
        if done.rowcount == 0:
            raise ClientError(f"there is a client {client_id} already; `rotate` gives it a new key or secret")
        await _audit(conn, now, "client.add", client_id, institution_id)


async def rotate_client(services: Services, client_id: str, credential: Credential, *, grace_ms: int) -> None:
    """Give it another key or secret. What it had is accepted for `grace_ms` more. Raises ClientError."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await _change(
            conn,
            client_id,
            former_public_key=service_client.c.public_key,
            former_secret_hash=service_client.c.secret_hash,
            former_until=now + grace_ms,
            public_key=credential.public_key,
            secret_hash=_hash_of(services, credential),
        )
        await _audit(conn, now, "client.rotate", client_id, None)


async def disable_client(services: Services, client_id: str) -> None:
    """Nothing of it is accepted any more, not even tokens that it has; see `Gate` for how soon. Raises
    ClientError."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await _change(conn, client_id, disabled_at=now)
        await _audit(conn, now, "client.disable", client_id, None)


async def list_clients(services: Services) -> list[Any]:
    """Rows of all clients, in the order they were made."""
    async with services.db.read() as conn:
        query = select(service_client).order_by(service_client.c.created_at, service_client.c.id)
        return list((await conn.execute(query)).all())


async def _change(conn: AsyncConnection, client_id: str, **values: Any) -> None:
    done = await conn.execute(update(service_client).where(service_client.c.id == client_id).values(**values))
    if done.rowcount == 0:
        raise ClientError(f"there is no client {client_id}")


def _hash_of(services: Services, credential: Credential) -> str | None:
    return None if credential.secret is None else secret_hash(services.keys, credential.secret)


async def _audit(conn: AsyncConnection, now: int, action: str, client_id: str, institution_id: int | None) -> None:
    await audit.record(
        conn,
        at=now,
        actor="system",
        institution_id=institution_id,
        action=action,
        target=f"client:{client_id}",
        result="done",
    )
