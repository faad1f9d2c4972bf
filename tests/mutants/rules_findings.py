"""Mutants of findings, study records and the simulator: evidence is complete, and mild where it must be.

`test` is the cheapest node that catches the mutant: a pure test where there is one, else the SQLite variant.
"""

from __future__ import annotations

from tests.mutants.runner import Mutant

HUB = "player_server/gateway/hub.py"

T_SEGMENTS = "tests/gateway/test_segments.py::"
T_RATING = "tests/policy/test_findings.py::"
T_LONG_DAY = "tests/learning/test_findings.py::"

MUTANTS = (
    Mutant(
        name="reconnect-numbers-segments-anew",
        rule="the stretches of a session that reconnects are all kept",
        file="player_server/gateway/player.py",
        old="SegmentLog(opened.epoch)",
        new="SegmentLog(0)",
        test=T_SEGMENTS
        + "test_a_stretch_that_a_lost_line_ended_is_kept_and_so_is_the_next_one_of_the_session[sqlite]",
    ),
    Mutant(
        name="reconnect-forgets-findings",
        rule="a page that comes back does not start its findings anew",
        file="player_server/learning/watch.py",
        old="findings=await findings_of_session(conn, session_id) if same else (),",
        new="findings=(),",
        test=T_SEGMENTS + "test_findings_of_a_session_are_counted_on_after_a_reconnect[sqlite]",
    ),
    Mutant(
        name="lost-line-sets-the-clock",
        rule="writing down a stretch does not shorten the silence that a reconnect is granted",
        file=HUB,
        old="        await self.committer.drained(player)\n        row = player.last_segment(reason)\n",
        new="        self.committer.add(player)\n        await self.committer.drained(player)\n"
        "        row = player.last_segment(reason)\n",
        test=T_SEGMENTS + "test_a_lost_line_does_not_shorten_the_silence_of_a_reconnect[sqlite]",
    ),
    Mutant(
        name="single-jump-is-suspicious",
        rule="a single jump ahead is informational",
        file="player_server/policy/findings.py",
        old="FindingKind.AHEAD_OF_FRONTIER: Scale(review_count=5,",
        new="FindingKind.AHEAD_OF_FRONTIER: Scale(review_count=1,",
        test=T_RATING + "test_a_single_jump_ahead_is_informational_however_far_it_went",
    ),
    Mutant(
        name="day-of-utc",
        rule="a day is a calendar day in China",
        file="player_server/policy/findings.py",
        old="CHINA_OFFSET_MS = 8 * 3_600_000",
        new="CHINA_OFFSET_MS = 0",
        test=T_RATING + "test_a_day_in_china_begins_at_four_in_the_afternoon_of_utc",
    ),
    Mutant(
        name="long-day-counts-again",
        rule="the job that notes long days may run twice",
        file="player_server/storage/findings.py",
        old="        where=finding.c.worst < measure,\n",
        new="",
        test=T_LONG_DAY + "test_a_day_longer_than_the_limit_is_noted_once_and_grows[sqlite]",
    ),
    Mutant(
        name="silence-forgotten-while-trailing",
        rule="a silence explains a rewind as long as the server trails because of it",
        file="telemetry/session.py",
        old=" and not silence and earned == ahead:",
        new=" and not silence:",
        test="tests/telemetry/test_session.py::"
        "test_as_long_as_the_server_trails_because_of_a_silence_the_silence_explains_a_rewind",
    ),
    Mutant(
        name="truth-explains-everything",
        rule="the simulator never explains away what was acknowledged and taken back",
        file="tests/simulator/truth.py",
        old="max(0.0, min(self.acknowledged, self.frontier) - place)",
        new="0.0",
        test="tests/simulator/test_simulate.py::test_what_was_acknowledged_and_taken_back_is_never_explained",
    ),
    Mutant(
        name="locked-evidence-lost",
        rule="what was observed of a player whose row was locked is written with its next row",
        file="player_server/gateway/committer.py",
        old="        _give_back(locked, batch)\n",
        new="",
        test="tests/gateway/test_evidence.py::"
        "test_evidence_of_a_row_that_somebody_else_has_locked_is_written_later",
    ),
    Mutant(
        name="bisected-evidence-lost",
        rule="a bad row of somebody else costs no evidence",
        file="player_server/gateway/committer.py",
        old="            _give_back(players, batch)\n",
        new="",
        test="tests/gateway/test_evidence.py::"
        "test_evidence_of_a_row_that_stood_in_a_batch_with_a_bad_one_is_written_without_it",
    ),
)
