"""The ledger's log for everybody: GET /ledger/checkpoint, /ledger/key, proofs. Nothing here needs a log-in.

A checkpoint and a key are text in the forms of C2SP. Proofs are JSON with hashes in hexadecimal, lowest first:
`GET /ledger/inclusion/{leaf_hash}` answers only who already knows the entry, because its hash is made of it.
Errors are problem+json. See docs/ledger.md.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from aiohttp import web

from player_server.learning.ledger_log import ledger_key
from player_server.learning.ledger_proofs import consistency, entry_of_hash, inclusion, newest_note, own_entry
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem
from player_server.web.viewer import require_learner

_HASH = re.compile(r"[0-9a-f]{64}")
_NOTHING_YET = "No checkpoint covers this yet. A new entry is covered about a minute after it was made."


async def checkpoint(request: web.Request) -> web.StreamResponse:
    """GET /ledger/checkpoint: the newest signed checkpoint."""
    note = await newest_note(request.app[SERVICES])
    if note is None:
        raise Problem(404, "no_checkpoint", "The ledger is still empty.")
    return web.Response(text=note, headers={"Cache-Control": "no-store"})


async def public_key(request: web.Request) -> web.StreamResponse:
    """GET /ledger/key: the public key of the checkpoints, on one line. Keep a copy: it never changes."""
    signer = await asyncio.to_thread(ledger_key, request.app[SERVICES])
    return web.Response(text=signer.verifier().text() + "\n")


async def inclusion_proof(request: web.Request) -> web.StreamResponse:
    """GET /ledger/inclusion/{leaf_hash}: that this leaf is in the log of the newest checkpoint."""
    services = request.app[SERVICES]
    leaf = request.match_info["leaf_hash"]
    entry_id = await entry_of_hash(services, leaf) if _HASH.fullmatch(leaf) else None
    if entry_id is None:
        raise Problem(404, "not_found", "No entry has this leaf hash.")
    return _proof(await inclusion(services, [entry_id]), entry_id, {})


async def own_proof(request: web.Request) -> web.StreamResponse:
    """GET /hours/{entry}/proof.json: a learner's own entry, word for word as it is hashed, with its proof."""
    viewer = await require_learner(request)
    services = request.app[SERVICES]
    entry_id = database_id(request.match_info["entry"])
    text = None if entry_id is None else await own_entry(services, viewer.learner_id, entry_id)
    if entry_id is None or text is None:
        raise Problem(404, "not_found", "There is no such entry.")
    return _proof(await inclusion(services, [entry_id]), entry_id, {"data": text})


async def consistency_proof(request: web.Request) -> web.StreamResponse:
    """GET /ledger/consistency?first=N&second=M: that the log of M entries begins with the one of N."""
    first, second = (database_id(request.query.get(name, "")) for name in ("first", "second"))
    if first is None or second is None:
        raise Problem(400, "bad_sizes", "Say ?first=N&second=M, both whole numbers from 1.")
    path = await consistency(request.app[SERVICES], first, second)
    if path is None:
        raise Problem(404, "not_covered", "first must not be larger than second, nor second than the checkpoint.")
    return _json({"first": first, "second": second, "path": path})


def _proof(found: dict[int, Any], entry_id: int, more: dict[str, Any]) -> web.Response:
    if entry_id not in found:
        raise Problem(404, "not_covered", _NOTHING_YET)
    return _json(more | found[entry_id].as_json())


def _json(document: dict[str, Any]) -> web.Response:
    return web.Response(
        body=msgspec.json.format(msgspec.json.encode(document)),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
