"""Mutants of the papers: certificates, exports and reminders."""

from __future__ import annotations

from tests.mutants.runner import Mutant

CERTIFICATES = "player_server/learning/certificates.py"
T_EXPORTS = "tests/learning/test_exports.py::"
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
    Mutant(
        name="formula-in-a-cell",
        rule="no text in an export can be run as a formula",
        file="player_server/policy/cells.py",
        old='RISKY = ("=", "+",',
        new='RISKY = ("+",',
        test="tests/policy/test_cells.py::test_what_looks_like_a_formula_is_quoted[=1+1]",
    ),
    Mutant(
        name="id-numbers-for-everybody",
        rule="whole ID numbers go only to those who may still read them when the file is made",
        file="player_server/learning/exports.py",
        old="    if role is None or not all(may(role, each) for each in needed):\n",
        new="    if role is None:\n",
        test=T_EXPORTS + "test_whole_id_numbers_need_the_permission_and_are_recorded[sqlite]",
    ),
)
