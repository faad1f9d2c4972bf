"""Mutants of the hour rules: what counts for a programme, in which period, and what is missing."""

from __future__ import annotations

from tests.mutants.runner import Mutant

HOURS = "player_server/policy/hours.py"
PERIODS = "player_server/policy/periods.py"
ROWS = "player_server/learning/ledger_credits.py"
T_HOURS = "tests/policy/test_hours.py::"
T_ROWS = "tests/learning/test_programme_hours.py::"

MUTANTS = (
    Mutant(
        name="reversed-hours-count",
        rule="a reversed entry counts nowhere",
        file=HOURS,
        old="        if each.reverses is None and each.id not in reversed_ids and each.hours > 0\n",
        new="        if each.reverses is None and each.hours > 0\n",
        test=T_HOURS + "test_a_reversal_cancels_its_entry_and_nothing_else",
    ),
    Mutant(
        name="unnamed-reversal-ignored",
        rule="a reversal that names no entry takes back the credit of its video and round",
        file=ROWS,
        old="            reverses = given.get((learner_id, video_id, round_))\n",
        new="            reverses = -1\n",
        test=T_ROWS + "test_a_reversal_takes_its_entry_back_whether_or_not_it_names_it[sqlite-False]",
    ),
    Mutant(
        name="hours-made-up-twice",
        rule="an hour that makes up for one year is missing in its own",
        file=HOURS,
        old="                Counted(each.id, each.hours - taken.get(each.id, 0))\n",
        new="                Counted(each.id, each.hours)\n",
        test=T_HOURS + "test_made_up_hours_are_missing_in_their_own_year",
    ),
    Mutant(
        name="other-specialty-counts",
        rule="professional hours count for their own specialty only",
        file=HOURS,
        old="each.specialty in enrolment.specialties\n",
        new="each.specialty\n",
        test=T_HOURS + "test_the_public_course_counts_for_both_specialties_and_professional_hours_for_their_own",
    ),
    Mutant(
        name="public-course-not-shared",
        rule="the public course counts for all specialties",
        file=HOURS,
        old="each.subject in programme.shared or ",
        new="",
        test=T_HOURS + "test_the_public_course_counts_for_both_specialties_and_professional_hours_for_their_own",
    ),
    Mutant(
        name="years-in-utc",
        rule="a year begins and ends at midnight in China",
        file=PERIODS,
        old="(ms + CHINA_OFFSET_MS) // _DAY_MS",
        new="ms // _DAY_MS",
        test=T_HOURS + "test_the_border_between_two_years_is_midnight_in_china",
    ),
    Mutant(
        name="refused-on-the-last-day",
        rule="hours are refused only after the certificate expired",
        file=HOURS,
        old="        if today > last_day and not finished_by(last_day):\n",
        new="        if today >= last_day and not finished_by(last_day):\n",
        test=T_HOURS + "test_thirty_days_before_expiry_it_warns_then_it_is_late_and_refused_only_after_expiry",
    ),
    Mutant(
        name="nothing-asked-is-complete",
        rule="where nothing can be asked for yet, nothing is complete",
        file=HOURS,
        old="    return bool(asked) and all(",
        new="    return all(",
        test=T_HOURS + "test_where_no_year_can_be_asked_for_nothing_is_complete",
    ),
)
