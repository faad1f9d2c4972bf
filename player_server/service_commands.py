"""The commands about other services: their registration, the keys we sign with, a token for curl."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import aiohttp
from sqlalchemy import select

from player_server.app import open_services
from player_server.auth.service_clients import (
    ClientError,
    Credential,
    Scope,
    add_client,
    check_public_key,
    disable_client,
    list_clients,
    new_key,
    new_secret,
    rotate_client,
)
from player_server.auth.service_tokens import make_client_proof
from player_server.demo.loader import KEY_FILE
from player_server.learning.services import Services
from player_server.operating.where import CommandError, Where
from player_server.storage.clock import wall_ms
from player_server.storage.keys import load_keys
from player_server.storage.tables import institution

HOUR_MS = 3_600_000
_PROOF = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def client_add(
    where: Where,
    client_id: str,
    *,
    name: str | None,
    institution_name: str | None,
    regulator: bool,
    key: Path | None,
    secret: bool,
    scopes: str | None,
) -> int:
    """`client add ID`: register a client and print what it needs, once."""
    if regulator == (institution_name is not None):
        raise CommandError("say whose client it is: --institution NAME or --regulator")
    wanted = _scopes(scopes)
    credential, shown = _credential(key, secret)
    async with open_services(where.settings_without_redis()) as services:
        institution_id = None if regulator else await _institution_id(services, institution_name or "")
        try:
            await add_client(
                services,
                client_id,
                name=name or client_id,
                institution_id=institution_id,
                credential=credential,
                scopes=wanted,
            )
        except ClientError as error:
            raise CommandError(str(error)) from None
    print(f"Client {client_id} is registered.", file=sys.stderr)
    _show(shown)
    return 0


async def client_rotate(where: Where, client_id: str, *, key: Path | None, secret: bool, grace_hours: float) -> int:
    """`client rotate ID`: another key or secret; the old one is accepted for some hours more."""
    credential, shown = _credential(key, secret)
    async with open_services(where.settings_without_redis()) as services:
        try:
            await rotate_client(services, client_id, credential, grace_ms=round(grace_hours * HOUR_MS))
        except ClientError as error:
            raise CommandError(str(error)) from None
    print(f"Client {client_id}: what it had is accepted for {grace_hours:g} hours more.", file=sys.stderr)
    _show(shown)
    return 0


async def client_disable(where: Where, client_id: str) -> int:
    """`client disable ID`: nothing of it is accepted any more."""
    async with open_services(where.settings_without_redis()) as services:
        try:
            await disable_client(services, client_id)
        except ClientError as error:
            raise CommandError(str(error)) from None
    print(f"Client {client_id} is switched off.", file=sys.stderr)
    return 0


async def client_list(where: Where) -> int:
    """`client list`: one line for each."""
    async with open_services(where.settings_without_redis()) as services:
        rows = await list_clients(services)
        async with services.db.read() as conn:
            names = {row.id: row.name for row in await conn.execute(select(institution.c.id, institution.c.name))}
    for row in rows:
        whose = "regulator" if row.institution_id is None else names[row.institution_id]
        how = "key" if row.public_key else "secret"
        state = "" if row.disabled_at is None else "  (switched off)"
        print(f"{row.id}  {row.name}  {whose}  {how}  {row.scopes}{state}")
    return 0


async def rotate_keys(where: Where, *, at_once: bool) -> int:
    """`rotate-keys`: a new key to sign with. Running servers take it up by themselves."""
    keys = load_keys(where.settings().keys_folder).signing
    now_s = wall_ms() / 1000
    new = keys.rotate(now_s, at_once=at_once)
    if at_once:
        print(f"{new.kid} signs from now on. Every older key is gone, and what it signed is not believed any more.")
    else:
        starts = time.strftime("%H:%M:%S", time.localtime(new.signs_from))
        print(f"{new.kid} is published now and signs from {starts} on. The old key verifies until all has expired.")
    print("Other nodes need the same file: copy signing-keys.json of the keys folder, unless they share it.")
    return 0


async def exam_token(where: Where, key: Path | None, client: str) -> int:
    """`exam-token`: an access token of the demo's exam service, asked for as that service does it."""
    settings = where.settings()
    path = key or settings.folder / KEY_FILE
    try:
        proof = make_client_proof(path.read_text(), client, settings.public_url)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from None
    form = {"grant_type": "client_credentials", "client_assertion_type": _PROOF, "client_assertion": proof}
    url = f"{settings.public_url}/api/v1/oauth/token"
    try:
        async with aiohttp.ClientSession() as http, http.post(url, data=form) as answer:
            document = await answer.json(content_type=None)
            if answer.status != 200:
                raise CommandError(f"{url} answered {answer.status}: {document.get('detail', '')}")
    except (aiohttp.ClientError, ValueError) as error:
        raise CommandError(f"{url} cannot be asked; is ./run going on? ({error})") from None
    print(document["access_token"])
    return 0


def _scopes(text: str | None) -> frozenset[Scope]:
    if text is None:
        return frozenset(Scope)
    try:
        return frozenset(Scope(name) for name in text.replace(",", " ").split())
    except ValueError:
        raise CommandError(f"--scopes: known are {', '.join(Scope)}") from None


def _credential(key: Path | None, secret: bool) -> tuple[Credential, str | None]:
    """The credential, and what has to be shown because nobody else has it."""
    if key is not None:
        try:
            return check_public_key(key.read_text()), None
        except OSError as error:
            raise CommandError(f"{key}: {error.strerror}") from None
        except (ClientError, UnicodeDecodeError) as error:
            raise CommandError(f"{key}: {error}") from None
    if secret:
        made = new_secret()
        return made, made.secret
    return new_key()


def _show(shown: str | None) -> None:
    if shown is not None:
        print("This is shown once and not kept here; give it to the service over a safe way:", file=sys.stderr)
        print(shown.rstrip())


async def _institution_id(services: Services, name: str) -> int:
    async with services.db.read() as conn:
        found = await conn.scalar(select(institution.c.id).where(institution.c.name == name))
        names = (await conn.scalars(select(institution.c.name).order_by(institution.c.id))).all()
    if found is None:
        raise CommandError(f"there is no institution {name} ({'、'.join(names) or 'none yet'})")
    return int(found)
