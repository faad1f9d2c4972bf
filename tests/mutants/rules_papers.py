"""Mutants of the papers: certificates, exports and reminders."""

from __future__ import annotations

from tests.mutants.runner import Mutant

CERTIFICATES = "player_server/learning/certificates.py"
T_DOORS = "tests/pages/test_certificates.py::"

MUTANTS = (
    Mutant(
        name="revoked-certificate-valid",
        rule="a certificate is revoked by the reversal of an entry that it was issued on",
        file=CERTIFICATES,
        old="        standing.ids -= standing.reversed_at.keys()\n",
        new="        standing.reversed_at.clear()\n",
        test=T_DOORS + "test_a_reversal_revokes_it_at_once_and_new_hours_give_a_new_one[sqlite]",
    ),
    Mutant(
        name="certificate-of-any-learner",
        rule="staff read the certificates of their own learners only",
        file=CERTIFICATES,
        old="certificate.c.number == number, *scope.learners())",
        new="certificate.c.number == number)",
        test=T_DOORS + "test_only_the_owner_and_the_own_institution_read_it[sqlite]",
    ),
)
