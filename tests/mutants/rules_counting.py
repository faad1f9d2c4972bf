"""Mutants of the counting rules: what a beat earns, whose clock counts, who is the player, what is durable.

`test` is the cheapest node that catches the mutant: a pure test where there is one, else the SQLite variant.
"""

from __future__ import annotations

from tests.mutants.runner import Mutant

SESSION = "telemetry/session.py"
WATCH = "player_server/learning/watch.py"
PLAYBACK_SQL = "player_server/storage/playback_sql.py"
SOCKET = "player_server/gateway/socket.py"

T_SESSION = "tests/telemetry/test_session.py::"
T_RETURNING = "tests/gateway/test_returning.py::"
T_BOUND = "tests/gateway/test_time_bound.py::"
T_WATCHING = "tests/gateway/test_watching.py::"
T_PLAYBACK = "tests/storage/test_playback.py::"

MUTANTS = (
    # ------------------------------------------------------------------------ tolerance never earns
    Mutant(
        name="tolerance-per-beat",
        rule="jitter only decides whether an honest client is rewound; it never earns",
        file=SESSION,
        old="        earned = min(ahead, allowance)\n",
        new="        earned = ahead\n",
        test=T_SESSION + "test_reconnecting_often_does_not_add_up_tolerance",
    ),
    Mutant(
        name="tolerance-per-connection",
        rule="a new page starts at the stored frontier without any allowance",
        file=WATCH,
        old="carry_ms=row.carry_ms if same else 0,",
        new="carry_ms=row.carry_ms if same else self.rules.jitter_ms,",
        test=T_BOUND + "test_reconnecting_often_earns_no_more_than_the_time_that_passed[sqlite-False]",
    ),
    Mutant(
        name="tolerance-per-reconnect",
        rule="the same page on a new socket goes on with what it had, and nothing on top",
        file=WATCH,
        old="carry_ms=row.carry_ms if same else 0,",
        new="carry_ms=row.carry_ms + self.rules.jitter_ms if same else 0,",
        test=T_BOUND + "test_reconnecting_often_earns_no_more_than_the_time_that_passed[sqlite-True]",
    ),
    Mutant(
        name="tolerance-per-video",
        rule="another video brings no allowance",
        file=WATCH,
        old="carry_ms=row.carry_ms if same else 0,",
        new="carry_ms=row.carry_ms if same else self.rules.jitter_ms * (row.video_id != progress.video_id),",
        test=T_BOUND + "test_time_spent_on_one_video_counts_for_no_other_and_is_kept[sqlite]",
    ),
    # ------------------------------------------------------------------------ whose clock counts
    Mutant(
        name="clock-per-video",
        rule="time passes once for a person, not once for each video",
        file=WATCH,
        old="carry_ms=row.carry_ms if same else 0,",
        new="carry_ms=row.carry_ms if same else now.ms - (progress.studied_at or now.ms),",
        test=T_BOUND + "test_time_spent_on_one_video_counts_for_no_other_and_is_kept[sqlite]",
    ),
    Mutant(
        name="rate-of-the-client",
        rule="what a page says of its playback rate is evidence, never credit",
        file=SESSION,
        old="s.carry_ms + int(usable * rules.max_rate))",
        new="s.carry_ms + int(usable * max(rules.max_rate, beat.rate)))",
        test=T_SESSION + "test_double_speed_earns_real_time_whatever_rate_the_page_declares[2.0]",
    ),
    Mutant(
        name="wall-clock-counts-beats",
        rule="beats are counted with the monotonic clock",
        file="player_server/storage/clock.py",
        old="    return time.monotonic_ns() // 1_000_000",
        new="    return time.time_ns() // 1_000_000",
        test=T_BOUND + "test_a_jump_of_the_wall_clock_earns_and_loses_nothing[sqlite-False-1]",
    ),
    Mutant(
        name="wall-clock-measures-gaps",
        rule="the gap of a reconnect is measured by a clock that no wall-clock jump bends",
        file="player_server/storage/clock.py",
        old="return Reading(self._boot_domain, self._offset_ms + _boottime_ms())",
        new="return Reading(self._boot_domain, wall_ms())",
        test=T_BOUND + "test_a_jump_of_the_wall_clock_earns_and_loses_nothing[sqlite-True-1]",
    ),
    Mutant(
        name="playing-not-required",
        rule="a pause earns nothing, however long",
        file=SESSION,
        old="played = elapsed if s.playing else 0",
        new="played = elapsed",
        test=T_SESSION + "test_a_pause_earns_nothing_however_long",
    ),
    Mutant(
        name="carry-not-capped",
        rule="what was not spent is carried up to gap_grace and no further",
        file=SESSION,
        old="allowance = min(rules.allowance_cap_ms, s.carry_ms + int(usable * rules.max_rate))",
        new="allowance = s.carry_ms + int(usable * rules.max_rate)",
        test=T_SESSION + "test_what_was_not_spent_is_carried_up_to_the_grace_and_no_further",
    ),
    Mutant(
        name="replayed-beats-count",
        rule="a sequence number that was used already counts nothing",
        file=SESSION,
        old="    if beat.seq <= s.seq:\n",
        new="    if beat.seq < 0:\n",
        test=T_SESSION + "test_a_replayed_beat_changes_nothing",
    ),
    Mutant(
        name="old-beats-after-rewind-count",
        rule="beats that were in flight before a rewind are ignored",
        file=SESSION,
        old="    if s.rewind_id and beat.rewind != s.rewind_id:\n",
        new="    if s.rewind_id and beat.rewind == -1:\n",
        test=T_SESSION + "test_beats_from_before_a_rewind_are_ignored",
    ),
    # ------------------------------------------------------------------------ one live player
    Mutant(
        name="no-epoch-check",
        rule="a displaced player can never write again (SQLite)",
        file=PLAYBACK_SQL,
        old="FROM json_each(?1)) AS n\nWHERE playback.person_id = n.person_id AND playback.epoch = n.epoch\n",
        new="FROM json_each(?1)) AS n\nWHERE playback.person_id = n.person_id\n",
        test=T_PLAYBACK + "test_a_batch_writes_every_row_whose_epoch_is_valid[sqlite]",
    ),
    Mutant(
        name="no-epoch-check-postgres",
        rule="a displaced player can never write again (PostgreSQL)",
        file=PLAYBACK_SQL,
        old="FROM {_PG_ROWS}\nWHERE playback.person_id = n.person_id AND playback.epoch = n.epoch\n",
        new="FROM {_PG_ROWS}\nWHERE playback.person_id = n.person_id\n",
        test=T_PLAYBACK + "test_a_batch_writes_every_row_whose_epoch_is_valid[postgres]",
    ),
    Mutant(
        name="no-epoch-check-around-locks",
        rule="a displaced player can never write again, also where a batch goes around locked rows",
        file=PLAYBACK_SQL,
        old="playback.epoch = n.epoch AND free.person_id = playback.person_id",
        new="free.person_id = playback.person_id",
        test=T_PLAYBACK + "test_a_locked_row_holds_up_nobody_else[postgres]",
    ),
    Mutant(
        name="epoch-does-not-grow",
        rule="every accepted hello fences off all older pages",
        file=WATCH,
        old="                epoch=playback.c.epoch + 1,\n",
        new="                epoch=playback.c.epoch,\n",
        test=T_WATCHING + "test_a_second_page_is_told_that_one_plays_and_can_take_over[sqlite]",
    ),
    Mutant(
        name="second-player-without-redis",
        rule="a playback row that is fresher than lock_ttl is a live player, whatever Redis has forgotten",
        file=WATCH,
        old="            if live and not same and not page.force and ",
        new="            if not live and not same and not page.force and ",
        test=T_WATCHING + "test_an_emptied_redis_neither_stops_the_player_nor_lets_a_second_one_in[sqlite]",
    ),
    Mutant(
        name="displaced-beats-are-counted",
        rule="a player that its node has let go is not even counted",
        file=SOCKET,
        old="            if not hub.owns(player):\n",
        new="            if False:\n",
        test=T_BOUND + "test_a_player_that_its_node_has_let_go_is_not_even_counted[sqlite]",
    ),
    Mutant(
        name="bye-does-not-release",
        rule="after a bye the next page is let in at once",
        file=WATCH,
        old="            await end_row(conn, row, reason, now.ms)\n        await self.release(",
        new="            await end_row(conn, row, reason, now.ms)\n        str(",
        test=T_WATCHING + "test_bye_lets_the_next_page_in_at_once[sqlite]",
    ),
    Mutant(
        name="another-video-forgets-the-first",
        rule="what one video earned is kept when another one is opened",
        file=WATCH,
        old="            await store_frontier(conn, row, now.ms)\n        next_draw",
        new="            pass\n        next_draw",
        test=T_BOUND + "test_time_spent_on_one_video_counts_for_no_other_and_is_kept[sqlite]",
    ),
    # ------------------------------------------------------------------------ durable, then acknowledged
    Mutant(
        name="ack-before-commit",
        rule="an ack leaves only after the commit",
        file="player_server/gateway/committer.py",
        old="        try:\n            held = await self._until_durable(",
        new="        for each in pending:\n            each.player.connection.send(each.ack)\n"
        "        try:\n            held = await self._until_durable(",
        test=T_WATCHING + "test_no_ack_leaves_before_the_commit[sqlite]",
    ),
    # ------------------------------------------------------------------------ challenges in the beat path
    Mutant(
        name="challenge-in-memory",
        rule="a challenge is written in the transaction of the beat that made it due",
        file="player_server/gateway/player.py",
        old="            state.until_challenge_ms,\n            self._issue,\n",
        new="            state.until_challenge_ms,\n            None,\n",
        test=T_WATCHING + "test_a_challenge_freezes_the_frontier_until_it_is_answered[sqlite-parts0]",
    ),
    Mutant(
        name="time-counts-while-held",
        rule="nothing counts while a challenge is open",
        file=SESSION,
        old="    if s.held is not None:\n        # The frontier is frozen",
        new="    if s.held == beat.event:\n        # The frontier is frozen",
        test=T_SESSION + "test_the_beat_that_crosses_the_due_point_counts_whole_and_then_nothing_does",
    ),
    Mutant(
        name="repeated-batch-sets-the-hold-again",
        rule="a batch that is repeated never puts back a hold that was cleared meanwhile",
        file=PLAYBACK_SQL,
        old="  held_challenge_id = CASE\n"
        "    WHEN n.issue IS NULL OR EXISTS (SELECT 1 FROM challenge c WHERE c.id = n.issue)\n",
        new="  held_challenge_id = CASE\n    WHEN n.issue IS NULL\n",
        test=T_PLAYBACK + "test_repeating_a_batch_does_not_put_back_a_hold_that_was_cleared[sqlite]",
    ),
    # ------------------------------------------------------------------------ coming back on a new line
    Mutant(
        name="lost-play-is-a-pause",
        rule="what an honest page played after a beat that was lost with its line is credited when it comes back",
        file=WATCH,
        old="        unsure = same and not row.playing and",
        new="        unsure = False and not row.playing and",
        test=T_RETURNING
        + "test_what_was_played_after_a_play_that_got_lost_is_credited_and_no_more_than_passed[sqlite]",
    ),
    Mutant(
        name="returning-earns-what-it-says",
        rule="a page that comes back earns no more than the server's clock has seen pass",
        file=SESSION,
        old="        played = min(elapsed, max(0, int((position - s.frontier_ms) / rules.max_rate)))\n",
        new="        played = max(0, int((position - s.frontier_ms) / rules.max_rate))\n",
        test=T_SESSION + "test_no_sequence_earns_more_than_the_time_that_passed",
    ),
    Mutant(
        name="returning-after-an-answer",
        rule="time in which a challenge was open never counts, also for a page that was away meanwhile",
        file=WATCH,
        old="returned = unsure and not await answered_since(conn, row.person_id, row.clock_ms)",
        new="returned = unsure",
        test=T_RETURNING
        + "test_time_with_an_open_challenge_does_not_count_for_a_page_that_comes_back[sqlite-parts0]",
    ),
)
