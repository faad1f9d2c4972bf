"""Spot checks of the ledger for staff: how the log stands, and whether one entry is still the signed one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from player_server.learning.ledger_log import begins_with, ledger_key
from player_server.learning.ledger_proofs import Inclusion, inclusion
from player_server.learning.services import Services
from player_server.learning.staff_scope import StaffScope
from player_server.policy.ledger_log import entry_hash
from player_server.policy.merkle import root_by_inclusion
from player_server.policy.signed_note import Checkpoint, NoteError, open_checkpoint
from player_server.storage import audit
from player_server.storage.ledger_log import LogHashes, log_size, newest_checkpoint
from player_server.storage.tables import course, learner, ledger_entry, video


@dataclass(frozen=True, slots=True)
class LogStanding:
    """`size`: entries in the log; `signed` of them were signed at `signed_at` (UTC ms; None before the first time).

    `intact`: the log still begins with what was signed. `key`: the public key, on one line.
    """

    size: int
    signed: int
    signed_at: int | None
    intact: bool
    key: str


@dataclass(frozen=True, slots=True)
class EntryCheck:
    """One entry and three questions. None: it is not covered by a checkpoint yet, which takes about a minute.

    `content`: it is what was logged. `path`: its place leads to the signed root. `signature`: the checkpoint is
    ours.
    """

    entry_id: int
    learner_id: int
    kind: str
    entry_type: str  # credit | reversal
    hours: int  # hundredths
    occurred_at: int  # UTC ms
    title: str | None
    proof: Inclusion | None
    content: bool | None
    path: bool | None
    signature: bool | None

    @property
    def good(self) -> bool:
        return bool(self.content and self.path and self.signature)


async def log_standing(services: Services) -> LogStanding:
    """How the whole log stands; it is one for all institutions."""
    async with services.db.read() as conn:
        size = await log_size(conn)
        newest = await newest_checkpoint(conn)
        intact = True
        if newest is not None:
            signed = Checkpoint("", newest.size, bytes.fromhex(newest.root))
            intact = newest.size <= size and await begins_with(LogHashes(conn), signed)
    return LogStanding(
        size=size,
        signed=newest.size if newest else 0,
        signed_at=newest.created_at if newest else None,
        intact=intact,
        key=ledger_key(services).verifier().text(),
    )


async def check_entry(services: Services, scope: StaffScope, entry_id: int, *, address: str) -> EntryCheck | None:
    """Check one entry of a learner in this scope, and record that it was looked at; None for all others."""
    entry = ledger_entry.c
    query = (
        select(ledger_entry, video.c.title.label("video_title"), course.c.title.label("course_title"))
        .join_from(ledger_entry, learner, learner.c.id == entry.learner_id)
        .outerjoin(video, video.c.id == entry.video_id)
        .outerjoin(course, course.c.id == entry.course_id)
        .where(entry.id == entry_id, *scope.learners())
    )
    async with services.db.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    check = None if row is None else await _check(services, row)
    result = "not_found" if check is None else "ok" if check.good or check.proof is None else "bad"
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            action="ledger.check",
            result=result,
            institution_id=scope.institution_id,
            target=f"entry:{entry_id}",
            address=address,
        )
    return check


async def _check(services: Services, row: object) -> EntryCheck:
    values = row._asdict()  # type: ignore[attr-defined]
    proof = (await inclusion(services, [values["id"]])).get(values["id"])
    content = path = signature = None
    if proof is not None:
        content = entry_hash(values).hex() == proof.leaf_hash
        path = _leads_to_root(proof)
        signature = _is_signed(services, proof)
    return EntryCheck(
        entry_id=values["id"],
        learner_id=values["learner_id"],
        kind=values["kind"],
        entry_type=values["entry_type"],
        hours=values["hours"],
        occurred_at=values["occurred_at"],
        title=values["video_title"] or values["course_title"],
        proof=proof,
        content=content,
        path=path,
        signature=signature,
    )


@dataclass(frozen=True, slots=True)
class InLog:
    """How far some entries stand in the signed log: `covered` of `total`, of a log of `size` entries.

    `good`: those that are covered are exactly what was signed, at `signed_at` (UTC ms; None: none is covered).
    """

    total: int
    covered: int
    good: bool
    size: int
    signed_at: int | None
    proofs: tuple[Inclusion, ...]


async def check_entries(services: Services, entry_ids: Collection[int]) -> InLog:
    """Check entries that a document rests on. The caller has made sure that they are the asker's business."""
    async with services.db.read() as conn:
        query = select(ledger_entry).where(ledger_entry.c.id.in_(entry_ids))
        hashes = {row.id: entry_hash(row._asdict()).hex() for row in await conn.execute(query)}
    proofs = await inclusion(services, entry_ids)
    good = all(
        proof.leaf_hash == hashes.get(entry_id) and _leads_to_root(proof) and _is_signed(services, proof)
        for entry_id, proof in proofs.items()
    )
    some = next(iter(proofs.values()), None)
    return InLog(
        total=len(set(entry_ids)),
        covered=len(proofs),
        good=good,
        size=some.size if some else 0,
        signed_at=some.signed_at if some else None,
        proofs=tuple(proofs[each] for each in sorted(proofs)),
    )


def _leads_to_root(proof: Inclusion) -> bool:
    steps = [bytes.fromhex(each) for each in proof.path]
    root = root_by_inclusion(proof.position, proof.size, bytes.fromhex(proof.leaf_hash), steps)
    return root is not None and root.hex() == proof.root


def _is_signed(services: Services, proof: Inclusion) -> bool:
    try:
        signed = open_checkpoint(proof.checkpoint, ledger_key(services).verifier())
    except NoteError:
        return False
    return (signed.size, signed.root.hex()) == (proof.size, proof.root)
