"""One live player in memory: the state that counts, and what has happened since the last commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from player_server.gateway.connection import Connection
from player_server.learning.watch import Opened
from player_server.storage.clock import wall_ms
from player_server.storage.playback import BeatRow, FindingRow, SegmentRow
from telemetry.findings import Finding
from telemetry.messages import Ack, Beat, Uncredited
from telemetry.rhythm import Rhythm
from telemetry.rules import WatchRules
from telemetry.segments import Segment, SegmentLog
from telemetry.session import Draw, Rewound, credit, hold, redraw, resume, step, wait_ms

#: A shorter stretch says nothing, and a page that reconnects all the time must not fill the table with them.
WORTH_TELLING_MS = 1_000


class Pending(NamedTuple):
    """One player's part of a batch, and what may be sent once it is durable."""

    player: Player
    row: BeatRow
    held: str | None
    ack: Ack
    rewound: Rewound | None
    finished: bool


class Player:
    """The live player of one person on one socket. Only its own node's event loop touches it."""

    __slots__ = (
        "_draw",
        "_finished",
        "_found",
        "_issue",
        "_rewound",
        "_rhythm",
        "_segments",
        "_uncredited",
        "closed_segments",
        "connection",
        "durable_frontier_ms",
        "durable_hold",
        "epoch",
        "last_heard_ms",
        "new_findings",
        "opened",
        "person_id",
        "pinged_ms",
        "renewed_ms",
        "rules",
        "state",
    )

    def __init__(
        self, opened: Opened, connection: Connection, rules: WatchRules, draw: Callable[[], Draw], now_ms: int
    ) -> None:
        self.opened = opened
        self.person_id = opened.person_id
        self.epoch = opened.epoch
        self.connection = connection
        self.rules = rules
        self.state = opened.session
        self.durable_hold = opened.session.held
        self.durable_frontier_ms = opened.session.frontier_ms
        self.last_heard_ms = now_ms
        self.renewed_ms = now_ms
        self.pinged_ms = now_ms
        self.closed_segments: list[SegmentRow] = []
        self._draw = draw
        self._segments = SegmentLog(opened.epoch)
        self._rhythm = Rhythm()
        self._found: dict[str, FindingRow] = {row.kind: row for row in opened.findings}
        self.new_findings: list[FindingRow] = []
        self._clear()

    def _clear(self) -> None:
        self._issue: str | None = None
        self._rewound: Rewound | None = None
        self._uncredited: Uncredited | None = None
        self._finished = False

    def beat(self, beat: Beat, now_ms: int) -> bool:
        """Count one beat. Returns whether something has to be committed (a replay has nothing)."""
        before = self.state
        outcome = step(before, beat, now_ms, self.rules)
        self.last_heard_ms = now_ms
        if outcome.findings:
            for finding in outcome.findings:
                self._note(finding)
        if outcome.session is before:
            return False
        self.state = outcome.session
        if outcome.issued is not None:
            self._issue = outcome.issued
            self.state = redraw(self.state, self._draw())
        if outcome.rewound is not None:
            self._rewound = outcome.rewound
        if outcome.uncredited is not None:
            self._uncredited = _add(self._uncredited, outcome.uncredited)
        self._finished = self._finished or outcome.finished
        closed = self._segments.observe(before, outcome, wall_ms())
        if closed is not None:
            self.closed_segments.append(self._segment_row(closed))
        even = self._rhythm.observe(beat.position)
        if even is not None:
            self._note(even)
        return True

    def _note(self, finding: Finding) -> None:
        """One row a kind and session, however often it happens: a cheater cannot fill the table."""
        now = wall_ms()
        opened = self.opened
        old = self._found.get(finding.kind)
        row = FindingRow(
            session_id=opened.session_id,
            kind=finding.kind.value,
            person_id=opened.person_id,
            learner_id=opened.learner_id,
            video_id=opened.video_id,
            times=old.times + 1 if old else 1,
            worst=max(old.worst, finding.value) if old else finding.value,
            first_at=old.first_at if old else now,
            last_at=now,
        )
        self._found[finding.kind] = row
        self.new_findings = [each for each in self.new_findings if each.kind != row.kind] + [row]

    def take(self) -> Pending:
        """The newest state for a batch. What happened is handed over with it."""
        state = self.state
        wait = wait_ms(state, self.rules)
        ack = Ack(
            state.seq,
            state.frontier_ms / 1000,
            state.watched,
            None if wait is None else wait / 1000,
            self._uncredited,
        )
        row = BeatRow(
            self.person_id,
            self.epoch,
            state.frontier_ms,
            state.position_ms,
            state.carry_ms,
            state.playing,
            state.until_challenge_ms,
            self._issue,
        )
        pending = Pending(self, row, state.held, ack, self._rewound, self._finished)
        self._clear()
        return pending

    def put_back(self, pending: Pending) -> None:
        """Its row could not be written yet: what happened then is still to be told with the next one."""
        self._issue = pending.row.issue or self._issue
        self._rewound = self._rewound or pending.rewound
        self._finished = self._finished or pending.finished
        if pending.ack.uncredited is not None:
            self._uncredited = _add(self._uncredited, pending.ack.uncredited)

    def take_segments(self) -> list[tuple[int, SegmentRow]]:
        """The segments that were closed since the last batch, for the batch."""
        rows = [(self.person_id, row) for row in self.closed_segments]
        self.closed_segments.clear()
        return rows

    def last_segment(self, reason: str) -> SegmentRow | None:
        """The stretch that is open when the line breaks, as far as it is durable; None: nothing to tell."""
        closed = self._segments.close(reason)
        if closed is None:
            return None
        row = self._segment_row(closed)
        row = row._replace(to_ms=min(row.to_ms, self.durable_frontier_ms))
        return row if row.to_ms - row.from_ms >= WORTH_TELLING_MS else None

    def _segment_row(self, segment: Segment) -> SegmentRow:
        opened = self.opened
        return SegmentRow(
            opened.session_id,
            segment.number,
            opened.learner_id,
            opened.video_id,
            opened.round,
            segment.from_ms,
            segment.to_ms,
            segment.started_at,
            segment.ended_at,
            segment.reason,
        )

    def take_findings(self) -> list[FindingRow]:
        """The findings since the last batch, for the batch."""
        findings, self.new_findings = self.new_findings, []
        return findings

    def give_back(self, finding: FindingRow) -> None:
        """The batch that took it did not write the row. One of its kind that was made since counted on from it."""
        if all(each.kind != finding.kind for each in self.new_findings):
            self.new_findings.append(finding)

    def end_segment(self, reason: str) -> None:
        """The player goes away: what was earned without a break until now is one segment."""
        closed = self._segments.close(reason)
        if closed is not None:
            self.closed_segments.append(self._segment_row(closed))

    @property
    def hold_is_pending(self) -> bool:
        """A challenge was issued in memory and is not durable yet, so the store cannot know it."""
        return self.state.held is not None and self.state.held != self.durable_hold

    def resume(self) -> None:
        """The store says that the challenge was answered."""
        self.state = resume(self.state, self._draw())
        self.durable_hold = None

    def hold(self, challenge_id: str) -> None:
        """The store says that this challenge is open."""
        if self.state.held != challenge_id:
            self.state = hold(self.state, challenge_id)
        self.durable_hold = challenge_id

    def credit(self) -> None:
        """The hours were credited."""
        self.state = credit(self.state)


def _add(old: Uncredited | None, new: Uncredited) -> Uncredited:
    """Sum what was not counted between two acks; the newest reason stands for it."""
    if old is None:
        return new
    return Uncredited(old.seconds + new.seconds, new.reason)
