"""Mutants of the staff's pages: who may what, whom a teacher sees, and that roll-ups follow their sources."""

from __future__ import annotations

from tests.mutants.runner import Mutant

T_DASHBOARD = "tests/pages/staff/test_dashboard.py::"
T_ACCOUNTS = "tests/pages/staff/test_accounts.py::"
T_STANDING = "tests/learning/test_standing.py::"

MUTANTS = (
    Mutant(
        name="every-role-may-everything",
        rule="a page asks for a permission, and a regulator changes nothing",
        file="player_server/web/viewer.py",
        old="    if not viewer.may(permission):\n",
        new="    if False:\n",
        test=T_DASHBOARD + "test_a_regulator_sees_all_institutions_or_one[sqlite]",
    ),
    Mutant(
        name="teacher-sees-all-classes",
        rule="a teacher sees the learners of the own classes only",
        file="player_server/learning/staff_scope.py",
        old="        if self.classes is not None:\n",
        new="        if self.classes is not None and False:\n",
        test=T_DASHBOARD + "test_a_teacher_sees_the_own_classes_only[sqlite]",
    ),
    Mutant(
        name="closed-staff-stay-in",
        rule="a closed account's log-ins end at once, and it lets nobody in",
        file="player_server/learning/staff_accounts.py",
        old="        await conn.execute(update(staff).where(staff.c.id == staff_id).values(disabled_at=now))\n"
        "        await conn.execute(delete(login_session).where(login_session.c.staff_id == staff_id))\n",
        new="",
        test=T_ACCOUNTS + "test_closing_ends_log_ins_and_a_new_password_opens_again[sqlite]",
    ),
    Mutant(
        name="roll-up-without-reversals",
        rule="what is reversed is gone from the figures of the dashboard",
        file="player_server/storage/standing_triggers.py",
        old='    ("standing_entry", "INSERT", "ledger_entry", _ENTRY),\n',
        new="",
        test=T_STANDING + "test_a_learners_standing_follows_enrolment_credit_reversal_and_videos[sqlite]",
    ),
)
