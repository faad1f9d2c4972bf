"""Group commit: the newest row of every player that beat since the last commit, in one transaction, then the acks.

It starts the next batch the moment the last one is durable: no delay when idle, bigger batches under load. The
queue holds one entry a live player, so it cannot outgrow them. A batch whose commit failed or is unknown is
repeated as it is: its values are absolute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from player_server.gateway.player import Pending, Player
from player_server.observe import log, metrics, session_label
from player_server.storage.clock import monotonic_ms
from player_server.storage.playback import BadBatch, Batch, PlaybackStore, RowState, StoreAway, Windows

#: How long a batch waits before it is repeated, in seconds: soon for a hiccup, gently for an outage.
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 1.0
#: A row that is locked by somebody else is tried again after this many seconds; meanwhile only its learner waits.
LOCKED_RETRY_S = 0.5

T = TypeVar("T")


class Release(Protocol):
    """What happens to a player's part of a batch once it is known."""

    def durable(self, pending: Pending, held: str | None) -> None:
        """It is committed: send the ack and what goes with it."""
        ...

    def fenced(self, pending: Pending, state: RowState | None) -> None:
        """Its row belongs to somebody else, or the player was ended."""
        ...

    def refused(self, pending: Pending) -> None:
        """The database will never take this row."""
        ...


class Committer:
    """One per server process. `run` is its only task; everything else is called on the same loop."""

    def __init__(self, store: PlaybackStore, windows: Windows, release: Release) -> None:
        self._store = store
        self._windows = windows
        self._release = release
        self._waiting: dict[int, Player] = {}
        self._in_flight: set[int] = set()
        self._locked_out: set[Player] = set()
        self._wake = asyncio.Event()
        self._tick_done = asyncio.Event()
        self._oldest_ms = 0

    def add(self, player: Player) -> None:
        """This player's newest state is to be committed with the next batch."""
        if not self._waiting:
            self._oldest_ms = player.last_heard_ms
            self._wake.set()
        self._waiting[player.person_id] = player

    @property
    def locked_out(self) -> int:
        """How many players wait because somebody else holds their row."""
        return len(self._locked_out)

    @property
    def waiting(self) -> int:
        """How many players wait for the next commit, or for one that is under way."""
        return len(self._waiting) + len(self._in_flight)

    async def drained(self, player: Player) -> None:
        """Wait until nothing of this player is waiting or in flight any more."""
        while (
            self._waiting.get(player.person_id) is player
            or player.person_id in self._in_flight
            or player in self._locked_out
        ):
            self._tick_done.clear()
            await self._tick_done.wait()

    async def run(self) -> None:
        """Commit batch after batch until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            players, oldest_ms = list(self._waiting.values()), self._oldest_ms
            self._waiting = {}
            self._in_flight = {player.person_id for player in players}
            await self._tick([player.take() for player in players], players)
            self._in_flight = set()
            self._tick_done.set()
            metrics.batch_rows.observe(len(players))
            metrics.ack_delay.observe(max(0, monotonic_ms() - oldest_ms) / 1000)

    async def close(self) -> None:
        """Give the connection back; `run` must have ended."""
        await self._store.close()

    async def _tick(self, pending: list[Pending], players: list[Player]) -> None:
        segments = [row for player in players if player.closed_segments for row in player.take_segments()]
        findings = [row for player in players if player.new_findings for row in player.take_findings()]
        batch = Batch([each.row for each in pending], segments, findings)
        try:
            held = await self._until_durable(lambda: self._store.commit(batch, self._windows))
        except BadBatch as error:
            _give_back(players, batch)
            await self._bisect(pending, players, error)
            return
        missing: list[Pending] = []
        for each in pending:
            person_id = each.row.person_id
            if person_id in held:
                self._release.durable(each, held[person_id])
            else:
                missing.append(each)
        metrics.acks.inc(len(pending) - len(missing))
        if missing:
            await self._judge(missing, batch)

    async def _bisect(self, pending: list[Pending], players: list[Player], error: BadBatch) -> None:
        """One bad row must not hold up the others: halve until it stands alone."""
        if len(pending) == 1:
            session = pending[0].player.opened.session_id
            log.error("row_refused", error=str(error), session=session_label(session))
            self._release.refused(pending[0])
            return
        middle = len(pending) // 2
        await self._tick(pending[:middle], players[:middle])
        await self._tick(pending[middle:], players[middle:])

    async def _judge(self, missing: list[Pending], batch: Batch) -> None:
        """Why did these rows not match? Read them again; whoever still owns its row was only locked out."""
        persons = [each.row.person_id for each in missing]
        states = await self._until_durable(lambda: self._store.states(persons))
        locked: list[Player] = []
        for each in missing:
            state = states.get(each.row.person_id)
            if state is not None and state.epoch == each.row.epoch:
                each.player.put_back(each)
                locked.append(each.player)
                self._locked_out.add(each.player)
                asyncio.get_running_loop().call_later(LOCKED_RETRY_S, self._add_again, each.player)
            else:
                self._release.fenced(each, state)
        _give_back(locked, batch)

    def _add_again(self, player: Player) -> None:
        self._locked_out.discard(player)
        if player.person_id not in self._waiting:
            self.add(player)

    async def _until_durable(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the database answers. Nobody is acknowledged meanwhile, and every page says so."""
        delay = FIRST_RETRY_S
        while True:
            try:
                return await attempt()
            except StoreAway as error:
                metrics.commit_failures.inc()
                log.warning("commit_failed", error=str(error), retry_s=delay)
            await asyncio.sleep(delay)
            delay = min(LONGEST_RETRY_S, delay * 2)


def _give_back(players: list[Player], batch: Batch) -> None:
    """This batch did not write the rows of these players; what was observed goes with their next ones."""
    owners = {player.person_id: player for player in players}
    for person_id, segment in batch.segments:
        if (player := owners.get(person_id)) is not None:
            player.closed_segments.append(segment)
    for finding in batch.findings:
        if (player := owners.get(finding.person_id)) is not None:
            player.give_back(finding)
