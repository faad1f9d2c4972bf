"""Mutants of what finds tampering with a copy of the ledger, and of what counts a result once."""

from __future__ import annotations

from tests.mutants.runner import Mutant

MUTANTS = (
    Mutant(
        name="column-not-hashed",
        rule="no column of an entry can be changed unseen",
        file="player_server/policy/ledger_log.py",
        old='    "source_row",\n',
        new="",
        test="tests/learning/test_ledger_tampering.py::"
        "test_a_change_of_any_column_is_found_at_its_position[sqlite]",
    ),
    Mutant(
        name="chain-without-checkpoint",
        rule="a history that was made anew with its hashes contradicts the checkpoints",
        file="player_server/policy/ledger_log.py",
        old="            elif not self._faults:\n",
        new="            elif False:\n",
        test="tests/learning/test_ledger_tampering.py::"
        "test_with_every_hash_made_anew_the_first_interval_that_fails_is_named[sqlite]",
    ),
    Mutant(
        name="result-out-of-turn",
        rule="the same result sent twice at once is recorded once, and both senders hear the same",
        file="player_server/learning/exam_results.py",
        old="    await take_turn(conn, wanted.learner_id)\n",
        new="",
        test="tests/api/test_exam_results.py::test_the_same_result_sent_many_times_is_recorded_once[postgres]",
    ),
)
