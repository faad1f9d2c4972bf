"""`verify-ledger DB --checkpoint FILE…`: what is said of a copy of the database, and where the key comes from."""

from __future__ import annotations

from pathlib import Path

from player_server.learning.verify_ledger import lines, verify_ledger
from player_server.operating.where import CommandError, Where
from player_server.policy.signed_note import NoteError, Verifier, read_verifier
from player_server.storage.ledger_copy import CopyError
from player_server.storage.ledger_key import PUBLIC_FILE


async def check_ledger(where: Where, source: str, checkpoints: list[Path], key: str | None) -> int:
    """Say what is wrong with the copy; 1 if anything is."""
    try:
        verdict = await verify_ledger(source, checkpoints, _key(where, key))
    except CopyError as error:
        raise CommandError(str(error)) from None
    for line in lines(verdict):
        print(line)
    return 0 if verdict.good else 1


def _key(where: Where, key: str | None) -> Verifier:
    """The public key itself, or a file that holds it; without either, this installation's."""
    path = Path(key) if key is not None else where.settings().keys_folder / PUBLIC_FILE
    try:
        return read_verifier(key if key is not None and "+" in key else path.read_text(encoding="utf-8"))
    except NoteError as error:
        raise CommandError(f"--key: {error}") from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; give the public key or its file with --key") from None
