"""The ledger as a log: the bytes of an entry that are hashed, and the audit of a whole copy against checkpoints.

The audit reads a copy's rows in the order of their positions and says where the first wrong one is. A leaf's own
hash tells which entry was changed; a checkpoint tells that a history was rewritten together with its hashes, and
between which two checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from player_server.policy.merkle import Growing, leaf_hash
from player_server.policy.signed_note import Checkpoint

#: Every column of an entry, so that none can be changed unseen. A column that comes later starts a new form.
ENTRY_COLUMNS = (
    "id",
    "learner_id",
    "institution_id",
    "course_id",
    "video_id",
    "kind",
    "subject",
    "hours",
    "round",
    "entry_type",
    "rule_version",
    "occurred_at",
    "evidence",
    "reverses",
    "source",
    "source_row",
)
FORM = b"xueshi-ledger-entry/1\n"
#: An entry is in the log seconds after its commit. One with a lower number than entries which were logged this long
#: before the newest leaf was never under way: somebody has put it there since.
LATEST_MS = 3_600_000


def entry_bytes(entry: Mapping[str, object]) -> bytes:
    """What is hashed for an entry: the form's name, and JSON with sorted keys, no spaces, and UTF-8 as it is."""
    values = {name: entry[name] for name in ENTRY_COLUMNS}
    return FORM + json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def entry_hash(entry: Mapping[str, object]) -> bytes:
    """The leaf hash of an entry."""
    return leaf_hash(entry_bytes(entry))


@dataclass(frozen=True, slots=True)
class Leaf:
    """One row of the log and its entry; None where the entry is gone. `hash` as stored; `logged_at` in UTC ms, None
    where what stands there is no number."""

    position: int
    entry_id: int
    hash: str
    logged_at: int | None
    entry: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and from which position on; `until` where only an interval is known."""

    position: int
    text: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. `faults` in the order of their positions: the first one is where the trouble begins."""

    size: int
    root: bytes
    checked: int  # checkpoints that were compared
    faults: tuple[Fault, ...]
    waiting: tuple[int, ...]  # entries that are not in the log yet


#: Faults that are listed at most: one is enough to know, and a forged copy may have a million.
MOST_FAULTS = 20


class LedgerAudit:
    """Compares a copy with checkpoints of it, whose signatures were checked before.

    Hand the leaves to `take` in the order of their positions until it returns False or there are no more, then ask
    for the `result`.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._due = sorted(checkpoints, key=lambda each: each.size)
        self._faults: list[Fault] = []
        self._tree = Growing()
        self._trusted = self._checked = 0
        self._whole = True
        self._newest_id = self._newest_at = 0
        self._ages: list[tuple[int, int]] = []  # the highest id so far, whenever a later moment was seen
        self._compare()

    def take(self, leaf: Leaf) -> bool:
        """Look at the next leaf; False when looking on would tell nothing more."""
        self._faults.extend(_faults_of(leaf, self._tree.size))
        # Behind a gap nothing has its position any more.
        self._whole = leaf.position == self._tree.size and len(self._faults) < MOST_FAULTS
        if not self._whole:
            return False
        hashed = _hash_now(leaf)
        if hashed is None or leaf.logged_at is None:
            # Nothing behind it can be compared.
            self._whole = False
            return False
        self._tree.add(hashed)
        if leaf.logged_at > self._newest_at:
            self._ages.append((self._newest_id, self._newest_at))
            self._newest_at = leaf.logged_at
        self._newest_id = max(self._newest_id, leaf.entry_id)
        self._compare()
        return True

    def result(self, unlogged: Sequence[int]) -> Audit:
        """What was found. `unlogged`: the ids of entries without a leaf."""
        size, faults = self._tree.size, list(self._faults)
        if self._whole and self._checked < len(self._due):
            text = (
                f"the end of the log is missing: {self._due[-1].size} entries were signed, and there are {size}; "
                f"the first missing one had position {size}"
            )
            faults.append(Fault(size, text))
        old = max((entry_id for entry_id, at in self._ages if at < self._newest_at - LATEST_MS), default=0)
        for entry_id in sorted(each for each in unlogged if each < old)[:MOST_FAULTS]:
            text = f"entry {entry_id} is not in the log, although the log is hours past it: it was put there since"
            faults.append(Fault(size, text))
        waiting = tuple(sorted(each for each in unlogged if each >= old))
        faults.sort(key=lambda each: each.position)
        return Audit(size, self._tree.root(), self._checked, tuple(faults), waiting)

    def _compare(self) -> None:
        while self._checked < len(self._due) and self._due[self._checked].size <= self._tree.size:
            point = self._due[self._checked]
            self._checked += 1
            if point.root == self._tree.root():
                self._trusted = point.size
            elif not self._faults:
                last = point.size - 1
                text = (
                    f"the log up to position {last} is not the one that was signed: an entry between positions "
                    f"{self._trusted} and {last} was changed, removed, added or moved together with its hash"
                )
                self._faults.append(Fault(self._trusted, text, until=last))


def _faults_of(leaf: Leaf, expected: int) -> Iterable[Fault]:
    if leaf.position != expected:
        yield Fault(expected, f"position {expected} is missing from the log; the next one is {leaf.position}")
    elif leaf.entry is None:
        yield Fault(expected, f"position {expected}: entry {leaf.entry_id} was removed")
    elif (hashed := _hash_now(leaf)) is None or hashed.hex() != leaf.hash:
        yield Fault(expected, f"position {expected}: entry {leaf.entry_id} is not the one that was logged")
    elif leaf.logged_at is None:
        yield Fault(expected, f"position {expected}: the moment it was logged at is no number")


def _hash_now(leaf: Leaf) -> bytes | None:
    """The hash of the entry as it is; of one that is gone, the hash beside it. None if there is none: SQLite lets
    anything be written anywhere, so that what was a text may be bytes."""
    try:
        return bytes.fromhex(leaf.hash) if leaf.entry is None else entry_hash(leaf.entry)
    except (TypeError, ValueError):
        return None
