"""The key that signs the ledger's checkpoints: a file of its own beside the other keys, made on first use.

Its public half stands in a file beside it and is served; keep a copy elsewhere, for who checks the ledger must not
have to ask the server.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from player_server.policy.signed_note import Signer, read_signer

PRIVATE_FILE = "ledger.key"
PUBLIC_FILE = "ledger.pub"


def load_ledger_key(folder: Path, origin: str) -> Signer:
    """Read the key; on first use make one under the name `origin`, which it keeps for ever.

    Raises NoteError if the file holds no such key.
    """
    path = folder / PRIVATE_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(path, Signer(origin, secrets.token_bytes(32)).text(), 0o600)
    signer = read_signer(path.read_text(encoding="utf-8"))
    public = folder / PUBLIC_FILE
    if not public.exists():
        _write_once(public, signer.verifier().text(), 0o644)
    return signer


def _write_once(path: Path, text: str, mode: int) -> None:
    """Write a file as a whole; of several processes the first one's stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
