"""Mutants of what people decide about one learner's hours: reversals, appeals, corrected keys, moves."""

from __future__ import annotations

from tests.mutants.runner import Mutant

T = "tests/learning/"

MUTANTS = (
    Mutant(
        name="reversal-leaves-the-old-round",
        rule="hours that were taken back can be earned again from the beginning, in a new round",
        file="player_server/learning/reversals.py",
        old="entry.video_id, entry.round + 1, now)",
        new="entry.video_id, entry.round, now)",
        test=T + "test_reversals.py::test_reversed_hours_are_gone_and_can_be_earned_again_exactly_once[sqlite]",
    ),
    Mutant(
        name="made-up-hours-given-twice",
        rule="what an appeal made up is not credited again when the video is finished",
        file="player_server/learning/settle.py",
        old="    subject = replace(subject, hours=subject.hours - await made_up_hours(conn, pair))\n",
        new="    subject = replace(subject, hours=subject.hours - 0 * await made_up_hours(conn, pair))\n",
        test=T + "test_appeals.py::test_a_part_made_up_leaves_only_the_rest_to_earn[sqlite]",
    ),
    Mutant(
        name="good-faith-lost",
        rule="a sheet that is all right by the key it was shown under passes, also after a correction",
        file="player_server/learning/answer_keys.py",
        old="        if self.newest is None or all(marks):\n",
        new="        if self.newest is None:\n",
        test=T
        + "test_answer_keys.py::test_a_sheet_that_was_open_during_the_correction_passes_by_either_key[sqlite]",
    ),
    Mutant(
        name="move-taken-by-anybody",
        rule="only the institution that a learner was offered to can take the learner",
        file="player_server/learning/moves.py",
        old="        if row is not None and row.to_institution_id == institution_id:\n",
        new="        if row is not None:\n",
        test=T + "test_moves.py::test_nobody_takes_what_was_not_offered_to_them[sqlite]",
    ),
)
