"""Mutants of what stands between a watched video and its hours: challenges, the quiz, settling, the ledger."""

from __future__ import annotations

from tests.mutants.runner import Mutant

SETTLE = "player_server/learning/settle.py"
QUIZ = "player_server/learning/quiz.py"
QUIZ_RULES = "player_server/policy/quiz.py"

T_CHALLENGES = "tests/learning/test_challenges.py::"
T_PHONES = "tests/learning/test_phones.py::"
T_SETTLE = "tests/learning/test_settle.py::"
T_QUIZ = "tests/learning/test_quiz.py::"
T_QUIZ_RULES = "tests/policy/test_quiz.py::"

MUTANTS = (
    # ------------------------------------------------------------------------ challenges
    Mutant(
        name="get-confirms",
        rule="opening a code never confirms; only the pressed button does",
        file="player_server/pages/phone.py",
        old="    response = _show(request, page)\n    if isinstance(page, PhonePage) and",
        new="    if isinstance(page, PhonePage):\n"
        "        opened = read_form(services.keys, page.form, browser.credential)\n"
        '        await challenges.confirm(services, opened or "", browser)\n'
        "    response = _show(request, page)\n    if isinstance(page, PhonePage) and",
        test="tests/pages/test_phone.py::test_no_get_and_no_head_ever_confirms[sqlite]",
    ),
    Mutant(
        name="missed-challenge-releases",
        rule="a missed challenge keeps its hold until a successor is answered",
        file="player_server/storage/challenges.py",
        old="    return missed.rowcount == 1\n",
        new="    own_hold = (playback.c.person_id == asked.person_id, playback.c.held_challenge_id == asked.id)\n"
        "    await conn.execute(update(playback).where(*own_hold).values(held_challenge_id=None))\n"
        "    return missed.rowcount == 1\n",
        test=T_CHALLENGES + "test_a_missed_window_is_written_down_and_the_hold_stays[sqlite]",
    ),
    Mutant(
        name="late-answers-count",
        rule="after the deadline a confirmation is late and releases nothing",
        file="player_server/storage/challenges.py",
        old="challenge.c.outcome.is_(None), challenge.c.deadline >= now)",
        new="challenge.c.outcome.is_(None))",
        test=T_CHALLENGES + "test_a_millisecond_after_the_deadline_is_late_and_nothing_is_released[sqlite]",
    ),
    Mutant(
        name="any-phone-confirms",
        rule="only the person's own enrolled phone confirms",
        file="player_server/learning/challenges.py",
        old="    if phone.person_id != asked.person_id:\n",
        new="    if phone.person_id < 0:\n",
        test=T_CHALLENGES + "test_another_learners_phone_is_refused_and_recorded[sqlite]",
    ),
    Mutant(
        name="computer-confirms",
        rule="a computer that is logged in never confirms",
        file="player_server/policy/challenges.py",
        old="    if not on_phone:\n        return Answer.COMPUTER\n",
        new="",
        test=T_CHALLENGES + "test_a_computer_that_is_logged_in_never_confirms_even_with_the_phones_cookie[sqlite]",
    ),
    Mutant(
        name="one-phone-for-two",
        rule="a phone is enrolled for one person",
        file="player_server/learning/phones.py",
        old="        if phone is not None and phone.person_id != asked.person_id:\n"
        "            return await _reused_in(conn, asked, phone.person_id, browser, now)\n"
        '        if phone is None:\n            if asked.kind != "identity"',
        new='        if phone is None:\n            if asked.kind != "identity"',
        test=T_PHONES + "test_a_second_learner_with_the_same_phone_is_refused_and_recorded_on_both[sqlite]",
    ),
    Mutant(
        name="roster-not-asked",
        rule="a phone is bound only by the name and the ID number of the roster",
        file="player_server/learning/phones.py",
        old="    return _Proof(matches, attempt)\n",
        new="    return _Proof(True, attempt)\n",
        test=T_PHONES + "test_a_wrong_name_or_number_binds_nothing[sqlite]",
    ),
    Mutant(
        name="old-codes-open",
        rule="a code that has turned since opens nothing",
        file="player_server/policy/challenges.py",
        old="        return 0 <= self.rotation(issued_at, now) - rotation <= FRESH_ROTATIONS\n",
        new="        return 0 <= self.rotation(issued_at, now) - rotation\n",
        test="tests/policy/test_challenges.py::"
        "test_the_code_turns_at_the_interval_and_the_former_one_is_good_for_one_turn_more",
    ),
    # ------------------------------------------------------------------------ the quiz
    Mutant(
        name="right-answers-in-the-payload",
        rule="nothing that goes out before a sheet is handed in depends on the right options",
        file=QUIZ_RULES,
        old="tuple(content.questions[index].options[option] for option in options),",
        new="tuple(content.questions[index].options[option] for option in options)"
        " + tuple(map(str, content.questions[index].right)),",
        test=T_QUIZ + "test_a_sheet_says_nothing_about_the_right_options[sqlite]",
    ),
    Mutant(
        name="right-option-first",
        rule="the order of the options says nothing about the right one",
        file=QUIZ_RULES,
        old='options.append(_order([i for i in every if i not in last], seed, b"options %d" % index) + last)',
        new="options.append(tuple(sorted(every, key=lambda i: i not in question.right)))",
        test=T_QUIZ_RULES + "test_every_place_of_the_right_option_is_equally_likely",
    ),
    Mutant(
        name="right-answers-in-the-token",
        rule="the token of a sheet can be read by nobody: its version is a hash over the right options",
        file=QUIZ,
        old="    return _seal(services).encrypt(msgspec.json.encode(claims)).decode()\n",
        new="    return urlsafe_b64encode(msgspec.json.encode(claims)).decode()\n",
        test="tests/pages/test_quiz.py::test_nothing_that_leaves_the_server_tells_right_from_wrong[sqlite]",
    ),
    Mutant(
        name="per-question-reply",
        rule="feedback `none` and `score` name no question",
        file=QUIZ_RULES,
        old='wrong if feedback == "items" else None)',
        new="wrong)",
        test=T_QUIZ_RULES + "test_what_is_told_is_what_the_setting_allows",
    ),
    Mutant(
        name="score-without-feedback",
        rule="feedback `none` tells no number",
        file=QUIZ_RULES,
        old='None if feedback == "none" else right',
        new="right",
        test=T_QUIZ + "test_without_feedback_every_failure_looks_the_same[sqlite]",
    ),
    Mutant(
        name="no-cool-down",
        rule="during the pause no sheet is taken, right or wrong",
        file=QUIZ,
        old="    return Refused(Why.COOLING_DOWN, video, seconds=seconds, sheet=sheet) if seconds else None\n",
        new="    return None\n",
        test=T_QUIZ + "test_the_pause_holds_for_right_answers_and_new_sheets_and_then_runs_out[sqlite]",
    ),
    Mutant(
        name="sheet-of-anybody",
        rule="a sheet is good for the learner and the video it was made for",
        file=QUIZ,
        old="    if claims is None or (claims.learner_id, claims.video_id) != (learner_id, video_id):\n",
        new="    if claims is None:\n",
        test=T_QUIZ + "test_a_sheet_of_somebody_else_is_refused[sqlite]",
    ),
    Mutant(
        name="half-right-is-right",
        rule="a multiple choice is right only with all right options and no other",
        file="player_server/policy/quiz_content.py",
        old="    return [set(answer) == set(question.right)",
        new="    return [bool(answer) and set(answer) <= set(question.right)",
        test="tests/policy/test_quiz_content.py::"
        "test_a_multiple_choice_gives_nothing_for_a_part_or_for_too_much[chosen1]",
    ),
    # ------------------------------------------------------------------------ settling and the ledger
    Mutant(
        name="no-unique-key",
        rule="the ledger takes one credit a round, whoever writes",
        file="player_server/storage/tables.py",
        old='    UniqueConstraint("learner_id", "video_id", "round", "entry_type"),\n',
        new="",
        test="tests/storage/test_only_once.py::"
        "test_the_ledger_itself_takes_one_credit_and_one_reversal_a_round[sqlite]",
    ),
    Mutant(
        name="no-unique-key-in-production",
        rule="the migrations make the keys that the code knows",
        file="player_server/storage/migrations/versions/0001_initial.py",
        old='            "entry_type",\n            name=op.f("uq_ledger_entry',
        new='            "entry_type",\n            "id",\n            name=op.f("uq_ledger_entry',
        test="tests/storage/test_migrate.py::test_a_migrated_database_has_the_tables_of_the_code[sqlite]",
    ),
    Mutant(
        name="settle-without-lock",
        rule="settling stands in one order with checks that are issued at the same time (PostgreSQL)",
        file=SETTLE,
        old="where(playback.c.person_id == subject.person_id).with_for_update())",
        new="where(playback.c.person_id == subject.person_id))",
        test=T_SETTLE + "test_a_check_that_is_issued_meanwhile_is_waited_for[postgres]",
    ),
    Mutant(
        name="credit-while-held",
        rule="no hours are credited while a check is open",
        file=SETTLE,
        old="    if player is not None and player.held_challenge_id is not None:\n        return None\n",
        new="",
        test=T_SETTLE + "test_an_open_check_holds_every_video_back_until_it_is_cleared[sqlite]",
    ),
    Mutant(
        name="credit-without-the-quiz",
        rule="no hours without a submission that was all right",
        file=SETTLE,
        old="    if subject.quiz_sha is not None and attempt_id is None:\n        return None\n",
        new="",
        test=T_SETTLE + "test_a_failed_quiz_credits_nothing[sqlite]",
    ),
    Mutant(
        name="credit-without-the-video",
        rule="no hours before the video is watched to its end",
        file=SETTLE,
        old="            row.watched_at.is_not(None),\n            row.credited_at",
        new="            row.credited_at",
        test=T_SETTLE + "test_a_video_without_a_quiz_needs_only_to_be_watched[sqlite]",
    ),
)
