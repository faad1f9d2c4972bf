"""`verify-ledger`: is this copy of the database the one whose ledger was signed? Works without the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from player_server.policy.ledger_log import Audit, LedgerAudit
from player_server.policy.signed_note import Checkpoint, NoteError, Verifier, open_checkpoint
from player_server.storage.checkpoint_files import checkpoint_files
from player_server.storage.ledger_copy import LedgerCopy


@dataclass(frozen=True, slots=True)
class Verdict:
    """`bad_files`: checkpoints that could not be trusted, each with the reason. Raises nothing by itself."""

    audit: Audit
    bad_files: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.audit.faults and not self.bad_files


async def verify_ledger(source: str, checkpoints: Sequence[Path], key: Verifier) -> Verdict:
    """Compare a copy with checkpoints: files, or folders of them. Raises CopyError if the copy cannot be read."""
    trusted: list[Checkpoint] = []
    bad = []
    for path in checkpoint_files(checkpoints):
        try:
            trusted.append(open_checkpoint(path.read_text(encoding="utf-8"), key))
        except (NoteError, UnicodeDecodeError) as error:
            bad.append(f"{path}: {error}")
        except OSError as error:
            bad.append(f"{path}: {error.strerror}")
    copy = LedgerCopy(source)
    audit = LedgerAudit(trusted)
    unlogged: list[int] = []
    async for leaf in copy.leaves():
        if not audit.take(leaf):
            break
    else:
        unlogged = copy.unlogged
    return Verdict(audit.result(unlogged), tuple(bad))


def lines(verdict: Verdict) -> list[str]:
    """The verdict for people, one fact a line."""
    audit = verdict.audit
    said = [f"{audit.size} entries in the log, {audit.checked} checkpoints compared."]
    if audit.waiting:
        said.append(f"{len(audit.waiting)} newer entries are not in the log yet; nothing is said about them.")
    said += [f"BAD CHECKPOINT  {each}" for each in verdict.bad_files]
    said += [f"WRONG  {each.text}" for each in audit.faults]
    if verdict.good and not audit.checked:
        said.append("No checkpoint was given: only the hashes beside the entries were compared.")
    said.append("The ledger is the one that was signed." if verdict.good else "The ledger cannot be trusted.")
    return said
