"""The ledger's log: entries get their positions in it, and signed checkpoints say how it stood.

Both are jobs of the worker, which several workers may run at once. A checkpoint goes to its file outside the
database first and is served afterwards. Before one is signed, the log must still begin with the last one that was:
a worker never signs a history that was rewritten under it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

from player_server.learning.services import Services
from player_server.observe import log, metrics
from player_server.policy.signed_note import Checkpoint, Signer, open_checkpoint, sign
from player_server.storage.checkpoint_files import keep_checkpoint, newest_kept
from player_server.storage.ledger_key import load_ledger_key
from player_server.storage.ledger_log import (
    LogHashes,
    add_checkpoint,
    append,
    log_size,
    newest_checkpoint,
    take_log,
    unlogged_entries,
)

#: Entries of one transaction: some milliseconds, so that nobody who writes waits long.
BATCH = 200
#: How far back the frequent look goes: an entry may be committed after others with higher ids, but hardly after so
#: many.
REACH = 10_000


def ledger_key(services: Services) -> Signer:
    """The key of this installation's checkpoints. It is named after the public address of the day it was made."""
    origin = f"{urlsplit(services.settings.public_url).netloc}/ledger"
    return load_ledger_key(services.settings.keys_folder, origin)


async def log_entries(services: Services) -> int:
    """Give new entries their positions; returns how many."""
    return await _log(services, REACH)


async def log_stragglers(services: Services) -> int:
    """The same, looking at the whole ledger: for what was committed long after its neighbours."""
    return await _log(services, None)


async def _log(services: Services, reach: int | None) -> int:
    async with services.db.read() as conn:
        if not await unlogged_entries(conn, limit=1, reach=reach):
            return 0
    async with services.db.write() as conn:
        if not await take_log(conn):
            return 0
        entries = await unlogged_entries(conn, limit=BATCH, reach=reach)
        if entries:
            await append(conn, entries, (await services.clock.read(conn)).ms)
    return len(entries)


async def begins_with(hashes: LogHashes, signed: Checkpoint) -> bool:
    """Whether the log still begins with what was signed; it does not where leaves are missing."""
    try:
        return await hashes.root(signed.size) == signed.root
    except LookupError:
        return False


async def sign_checkpoint(services: Services) -> int:
    """Sign how the log stands, if it has grown and the last time is long enough ago; 1 if it was signed now.

    Nothing is signed when the log does not go on from the newest checkpoint, in the files or in the database: then
    `xueshi_ledger_forked_total` counts, and people have to look.
    """
    folder = services.settings.checkpoints_folder
    signer = ledger_key(services)
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        served = await newest_checkpoint(conn)
        if served is not None and now - served.created_at < services.settings.ledger.checkpoint_every_s * 1000:
            return 0
        size = await log_size(conn)
        kept = await asyncio.to_thread(newest_kept, folder)
        notes = [note for note in (kept, served.note if served else None) if note is not None]
        known = [open_checkpoint(note, signer.verifier()) for note in dict.fromkeys(notes)]
        hashes = LogHashes(conn)
        forked = [each for each in known if each.size > size or not await begins_with(hashes, each)]
        if forked:
            metrics.ledger_forked.inc()
            log.error("ledger_forked", signed=forked[0].size, size=size)
            return 0
        if size == (served.size if served else 0):
            return 0
        root = await hashes.root(size)
    note = sign(Checkpoint(signer.name, size, root).text(), signer)
    # In UTC, so that the folders of two nodes have the same names.
    day = datetime.fromtimestamp(now / 1000, UTC).date().isoformat()
    await asyncio.to_thread(keep_checkpoint, folder, day, size, note)
    async with services.db.write() as conn:
        await add_checkpoint(conn, size=size, root=root.hex(), note=note, now_ms=now)
    return 1
