"""What each role may do: readers change nothing, and nobody has more than the institution's owner."""

import pytest

from player_server.policy.roles import Permission, Role, may, role_of

CHANGES = {
    Permission.ACT,
    Permission.IMPORT,
    Permission.ANSWER_APPEALS,
    Permission.MANAGE_STAFF,
}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.REGULATOR])
def test_readers_change_nothing_and_see_no_whole_id_numbers(role: Role) -> None:
    assert not any(may(role, each) for each in CHANGES | {Permission.READ_ID_NUMBERS})
    assert may(role, Permission.READ) and may(role, Permission.READ_AUDIT)


def test_a_teacher_looks_after_learners_but_not_after_staff_rosters_or_the_audit() -> None:
    assert may(Role.TEACHER, Permission.ACT) and may(Role.TEACHER, Permission.ANSWER_APPEALS)
    forbidden = {Permission.MANAGE_STAFF, Permission.IMPORT, Permission.READ_AUDIT, Permission.READ_ID_NUMBERS}
    assert not any(may(Role.TEACHER, each) for each in forbidden)


def test_the_owner_may_everything() -> None:
    assert all(may(Role.OWNER, each) for each in Permission)


def test_a_role_that_nobody_knows_is_none() -> None:
    assert role_of("admin") is None and role_of("owner") is Role.OWNER
