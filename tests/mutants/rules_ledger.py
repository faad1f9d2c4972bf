"""Mutants of the ledger's log and of what other systems are told."""

from __future__ import annotations

from tests.mutants.runner import Mutant

MUTANTS = (
    Mutant(
        name="signed-under-a-rewritten-log",
        rule="no checkpoint is signed when the log does not go on from the last one",
        file="player_server/learning/ledger_log.py",
        old="if each.size > size or not await begins_with(hashes, each)]",
        new="if each.size > size]",
        test="tests/learning/test_ledger_log.py::test_nothing_is_signed_under_a_rewritten_or_a_shorter_log[sqlite]",
    ),
    Mutant(
        name="truncation-unseen",
        rule="a log that is shorter than a checkpoint is not the one that was signed",
        file="player_server/policy/ledger_log.py",
        old="        if self._whole and self._checked < len(self._due):\n",
        new="        if False:\n",
        test="tests/learning/test_verify_ledger.py::test_each_way_of_tampering_is_found_with_its_place[sqlite]",
    ),
    Mutant(
        name="later-event-overtakes",
        rule="a later event of a learner waits for the earlier ones",
        file="player_server/storage/webhooks.py",
        old="        earlier.c.position < row.position,\n",
        new="        earlier.c.position < 0,\n",
        test="tests/learning/test_deliveries.py::"
        "test_a_failure_holds_back_the_same_learner_only_and_order_is_kept[sqlite]",
    ),
    Mutant(
        name="sent-into-our-own-network",
        rule="every address that a name has is looked at before anything is sent",
        file="player_server/storage/outgoing.py",
        old="        for _kind, address in addresses:\n            self._check(address)\n",
        new="",
        test="tests/storage/test_outgoing.py::test_no_connection_is_ever_made_to_this_machine_or_its_networks",
    ),
)
