"""Mutants of the exam service's interface: whose token is believed, how often a result counts, what a 304 may
say."""

from __future__ import annotations

from tests.mutants.runner import Mutant

MUTANTS = (
    Mutant(
        name="any-of-our-tokens-opens-the-interface",
        rule="a token of one kind is no token of another kind",
        file="player_server/auth/signing.py",
        old='        if key is None or header.get("alg") != ALGORITHM or header.get("typ") != kind:\n',
        new='        if key is None or header.get("alg") != ALGORITHM:\n',
        test="tests/api/test_oauth.py::test_forged_access_tokens_are_refused_everywhere_alike",
    ),
    Mutant(
        name="a-proof-is-good-for-ever",
        rule="what a client proves itself with is good once",
        file="player_server/auth/service_tokens.py",
        old="    if not fresh:\n",
        new="    if fresh is False:\n",
        test="tests/api/test_oauth.py::test_a_proof_is_good_once_and_for_the_address_of_the_token_too",
    ),
    Mutant(
        name="results-without-their-turn",
        rule="the same result sent many times at once is recorded once, and every sender is told so",
        file="player_server/learning/exam_results.py",
        old="    await take_turn(conn, wanted.learner_id)\n",
        new="",
        test="tests/api/test_exam_results.py::test_the_same_result_sent_many_times_is_recorded_once[postgres]",
    ),
    Mutant(
        name="304-outlives-the-assertion",
        rule="a 304 never outlives the assertion that it confirms",
        file="player_server/learning/eligibility.py",
        old="            and int(expires) > now\n",
        new="",
        test="tests/api/test_eligibility.py::test_an_unchanged_answer_is_304_as_long_as_its_assertion_is_good[sqlite]",
    ),
)
