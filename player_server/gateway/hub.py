"""All live players of this node: who they are, what hints and commits mean for them, who has fallen silent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from player_server.gateway.committer import Committer
from player_server.gateway.player import Pending, Player
from player_server.learning import challenges
from player_server.learning.services import Services
from player_server.learning.watch import Opened, Watching, draw, player_row
from player_server.observe import log, metrics, session_label
from player_server.policy.challenges import is_phone
from player_server.storage.clock import monotonic_ms
from player_server.storage.hints import Hint
from player_server.storage.playback import PlaybackStore, RowState, SegmentRow, Windows
from player_server.storage.session_lock import Holder
from telemetry.messages import Close, Credited, Resume, Rewind, Watched

#: How often the node looks for silent players and renews locks, in seconds.
ROUND_S = 1.0
#: Pings keep proxies (many close after 60 s of silence) and phones awake, in milliseconds.
PING_MS = 20_000
#: A lock is renewed after this share of its time to live, if its player has been heard since.
RENEW_SHARE = 0.25
#: How long a stop waits for the last commits, then for the players' sockets to close, then for the rest of the
#: work, in seconds each: together less than the ten that whoever sent SIGTERM may count on.
STOP_S = 2.0
#: Stretches of lost lines that wait for the next round. More than that in a second, and time lines have holes.
MOST_LATE = 10_000
#: A challenge that could not be read is read again after so many seconds.
SHOW_AGAIN_S = 1.0


class Hub:
    """The node's players, by person. One event loop; nothing here waits for a socket."""

    def __init__(self, services: Services, watching: Watching, store: PlaybackStore) -> None:
        limits = services.settings.challenges
        windows = Windows(round(limits.identity_answer_s * 1000), round(limits.answer_s * 1000))
        self.services = services
        self.watching = watching
        self.committer = Committer(store, windows, self)
        self.players: dict[int, Player] = {}
        self.draw = partial(draw, services)
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: list[SegmentRow] = []
        # Beats since the last round: a number here costs nothing, a metric of each beat would be a tenth of it.
        self.counted = 0
        self.stale = 0
        self.stopping = False

    # ---------------------------------------------------------------- coming and going

    def adopt(self, player: Player) -> None:
        """This page plays now; an older page of the same person on this node is cut off."""
        old = self.players.get(player.person_id)
        if old is not None and old.epoch > player.epoch:
            # Of two hellos at once this one was overtaken while its answer came back: the other page plays.
            self._replace(player, old.opened.session_id)
            return
        self.players[player.person_id] = player
        if old is not None:
            self._replace(old, player.opened.session_id)

    def owns(self, player: Player) -> bool:
        """Whether this player is still the person's one. A displaced one may not even be counted."""
        return self.players.get(player.person_id) is player

    def drop(self, player: Player, reason: str = "lost") -> None:
        """Its socket is gone. What it earned is committed; the lock lives on until its time is over."""
        if self.owns(player):
            del self.players[player.person_id]
        self.spawn(self._keep_segment(player, reason))

    async def _keep_segment(self, player: Player, reason: str) -> None:
        """No beat said that this stretch is over. It does not go the way of the beats, because a commit would set
        the clock from which the silence of a reconnect is measured."""
        await self.committer.drained(player)
        row = player.last_segment(reason)
        if row is not None and len(self._late) < MOST_LATE:
            self._late.append(row)

    async def leave(self, player: Player, reason: str) -> None:
        """The page said bye, or closed: commit what is left, then give the player back."""
        owned = self.owns(player)
        player.end_segment(reason)
        if owned and player.closed_segments:
            self.committer.add(player)
        self.drop(player)
        if owned:
            await self.committer.drained(player)
            await self.watching.end(player.person_id, player.epoch, player.opened.session_id, reason)

    def _replace(self, old: Player, session_id: str) -> None:
        # The same page on a new socket is no second page: its old socket was only half dead.
        same_page = old.opened.session_id == session_id
        old.connection.close(Close.SILENT if same_page else Close.DISPLACED)
        self.spawn(self._keep_segment(old, "lost" if same_page else "displaced"))

    # ---------------------------------------------------------------- what a commit brings

    def durable(self, pending: Pending, held: str | None) -> None:
        """Release: acks and everything that had to wait for the commit."""
        player = pending.player
        connection = player.connection
        player.durable_frontier_ms = pending.row.frontier_ms
        connection.send(pending.ack)
        if pending.rewound is not None:
            rewound = pending.rewound
            metrics.rewinds.labels(rewound.reason).inc()
            connection.send(Rewind(rewound.id, rewound.to_ms / 1000, rewound.reason))
        if pending.row.issue is not None and held == pending.row.issue:
            player.durable_hold = held
            self.spawn(self._show_challenge(player, held))
        elif held != pending.held and player.state.held == pending.held:
            self._apply_hold(player, held)
        if pending.finished:
            self.spawn(self._finish(player))

    def fenced(self, pending: Pending, state: RowState | None) -> None:
        """Release: the row says why this player may not write any more."""
        self._dismiss(pending.player, state)

    def _dismiss(self, player: Player, state: RowState | None) -> None:
        """The row says that this player is over: close it with the reason; free the lock if nobody plays now."""
        self.drop(player)
        player.connection.close(_why(player, state))
        if state is not None and state.session_id == player.opened.session_id and state.ended_reason is not None:
            self.spawn(self.watching.release(player.person_id, player.opened.session_id))

    def refused(self, pending: Pending) -> None:
        """Release: the database refuses this row for good."""
        self.drop(pending.player)
        pending.player.connection.close(Close.PROTOCOL_ERROR)

    async def _finish(self, player: Player) -> None:
        opened = player.opened
        credited = await self.watching.finish(opened.person_id, opened.learner_id, opened.video_id, opened.round)
        if credited:
            player.credit()
        player.connection.send(Watched(opened.quiz, credited))

    # ---------------------------------------------------------------- challenges

    async def _show_challenge(self, player: Player, challenge_id: str) -> None:
        on_phone = is_phone(player.opened.device)
        while self.owns(player) and player.durable_hold == challenge_id:
            try:
                async with self.services.db.read() as conn:
                    notice = await challenges.notice(self.services, conn, challenge_id, on_phone=on_phone)
            except (SQLAlchemyError, OSError) as error:
                # The page is frozen without knowing why until it has been told.
                log.warning("challenge_unread", error=repr(error), session=session_label(player.opened.session_id))
                await asyncio.sleep(SHOW_AGAIN_S)
                continue
            if notice is not None and self.owns(player):
                player.connection.send(notice)
            return

    def _apply_hold(self, player: Player, held: str | None) -> None:
        if held is None:
            if player.state.held is not None:
                player.resume()
                player.connection.send(Resume(player.state.position_ms / 1000))
        elif held != player.durable_hold:
            player.hold(held)
            self.spawn(self._show_challenge(player, held))

    # ---------------------------------------------------------------- hints

    async def receive(self, hint: Hint) -> None:
        """Another node, or another door of this one, has changed something about a person."""
        player = self.players.get(hint.person_id)
        if player is None:
            return
        if hint.what == "credited":
            self._credited(player, hint)
        elif hint.what == "challenge":
            self.spawn(self._look_at_hold(player))
        elif hint.what != "displaced" or hint.session != player.opened.session_id:
            self.spawn(self._look_at_owner(player))

    def _credited(self, player: Player, hint: Hint) -> None:
        if hint.video_id is None or hint.hours is None:
            return
        if hint.video_id == player.opened.video_id:
            player.credit()
        player.connection.send(Credited(hint.video_id, hint.hours))

    async def _look_at_hold(self, player: Player) -> None:
        known = player.durable_hold
        row = await player_row(self.services, player.person_id)
        if row is None or row.epoch != player.epoch or player.hold_is_pending or not self.owns(player):
            return
        if player.durable_hold != known:
            # A commit told something newer while the row was read: a challenge that it issued must not be released.
            return
        held = row.held_challenge_id
        if held is not None and held == player.durable_hold:
            # The same challenge: its window has passed, and the page must say so.
            await self._show_challenge(player, held)
        else:
            self._apply_hold(player, held)

    async def _look_at_owner(self, player: Player) -> None:
        """A hint may be late or wrong; the row decides."""
        row = await player_row(self.services, player.person_id)
        state = None if row is None else RowState(row.epoch, row.session_id, row.ended_reason)
        if state is None or state.epoch != player.epoch:
            self._dismiss(player, state)

    # ---------------------------------------------------------------- time

    async def watch_over(self) -> None:
        """Renew the locks of players that were heard, retire those that were not. Runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            self.measure()
            if self._late:
                late, self._late = self._late, []
                self.spawn(self.watching.keep_segments(late))
            now = monotonic_ms()
            ttl = self.watching.rules.lock_ttl_ms
            silent = [each for each in self.players.values() if now - each.last_heard_ms > ttl]
            for player in silent:
                self.drop(player, "silent")
                player.connection.close(Close.SILENT)
                self.spawn(self._retire(player))
            due = [
                each
                for each in self.players.values()
                if now - each.renewed_ms > ttl * RENEW_SHARE and each.last_heard_ms > each.renewed_ms
            ]
            self.ping(now)
            if due:
                await self.renew(due, now)

    def measure(self) -> None:
        """Hand over what was counted since the last round."""
        metrics.beats.labels("counted").inc(self.counted)
        metrics.beats.labels("stale").inc(self.stale)
        self.counted = self.stale = 0
        metrics.players.set(len(self.players))
        metrics.waiting_rows.set(self.committer.waiting)

    def ping(self, now_ms: int) -> None:
        """Ping every player whose last ping was long ago."""
        for player in self.players.values():
            if now_ms - player.pinged_ms >= PING_MS:
                player.pinged_ms = now_ms
                player.connection.ping()

    async def _retire(self, player: Player) -> None:
        await self.committer.drained(player)
        await self.watching.end(player.person_id, player.epoch, player.opened.session_id, "silent")

    async def renew(self, players: list[Player], now: int) -> None:
        """Keep the locks of these players alive, in one round trip."""
        holders = [
            Holder(each.person_id, each.opened.session_id, each.opened.device, each.opened.since)
            for each in players
        ]
        try:
            lost = await self.watching.lock.renew(holders)
        except (RedisError, OSError):
            # A running player goes on: the fence is in SQL, and the lock is taken again when Redis is back.
            metrics.redis_failures.labels("renew").inc()
            return
        for player in players:
            player.renewed_ms = now
            playing = self.players.get(player.person_id)
            if playing is None or playing.opened.session_id != player.opened.session_id:
                # It left while the renewal was under way, and may have got back a lock that it had given away.
                self.spawn(self.watching.release(player.person_id, player.opened.session_id))
        for person_id in lost:
            if (player_ := self.players.get(person_id)) is not None:
                self.spawn(self._look_at_owner(player_))

    # ---------------------------------------------------------------- background

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something after a commit or a hint; at most a few a player are alive at once."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The sweep of the worker repairs what was left behind; a page asks again by itself.
            log.error("background_failed", error=repr(error))

    async def idle(self) -> None:
        """Wait until nothing that was spawned is running any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def stop(self) -> None:
        """Tell every page to come back, commit what is waiting, and wait shortly for the rest."""
        self.stopping = True
        players = list(self.players.values())
        # With the database away this would never end. What is not committed was never acknowledged.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                for player in players:
                    await self.committer.drained(player)
                    player.connection.close(Close.RESTART)
        for player in players:
            player.connection.close(Close.RESTART)
        await asyncio.wait(
            [asyncio.create_task(player.connection.closed()) for player in players]
            + [asyncio.create_task(asyncio.sleep(0))],
            timeout=STOP_S,
        )
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in late:
                task.cancel()
        if self._late:
            with suppress(TimeoutError, SQLAlchemyError, OSError):
                async with asyncio.timeout(STOP_S):
                    await self.watching.keep_segments(self._late)
        self.measure()


def make_player(opened: Opened, hub: Hub, connection: Any) -> Player:
    """The live player for a page that was let in."""
    return Player(opened, connection, hub.watching.rules, hub.draw, monotonic_ms())


def _why(player: Player, state: RowState | None) -> Close:
    """The close code for a player whose epoch is over. A sleeper is never told that it was displaced."""
    if state is None:
        return Close.NO_COURSE
    if state.session_id != player.opened.session_id:
        return Close.DISPLACED
    by_reason = {
        "signed_out": Close.NOT_ALLOWED,
        "disabled": Close.NOT_ALLOWED,
        "course": Close.NO_COURSE,
    }
    return by_reason.get(state.ended_reason or "", Close.SILENT)
