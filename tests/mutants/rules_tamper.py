"""Mutants of what finds tampering with a copy of the ledger."""

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
)
