"""The roles of staff and what each may do. Which learners somebody sees is `learning/staff_scope.py`.

A regulator belongs to no institution: it reads all of them and changes nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody is at an institution; the value stands in `staff.role`."""

    OWNER = "owner"  # 管理员: everything at the institution
    TEACHER = "teacher"  # 教师: the learners of the own classes
    AUDITOR = "auditor"  # 审计员: reads everything at the institution
    REGULATOR = "regulator"  # 监管人员: reads all institutions


class Permission(StrEnum):
    """One thing that a page or a button asks for."""

    READ = "read"  # learners, hours, courses; ID numbers stay masked
    READ_ID_NUMBERS = "read_id_numbers"  # whole, where a page or an export offers it; each time is recorded
    ACT = "act"  # on one learner: new secret, phone, note, deadline, disabling, correcting hours
    IMPORT = "import"
    EXPORT = "export"
    ANSWER_APPEALS = "answer_appeals"
    MANAGE_STAFF = "manage_staff"
    READ_AUDIT = "read_audit"


_MAY: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.TEACHER: frozenset(
        {Permission.READ, Permission.ACT, Permission.EXPORT, Permission.ANSWER_APPEALS},
    ),
    Role.AUDITOR: frozenset({Permission.READ, Permission.EXPORT, Permission.READ_AUDIT}),
    Role.REGULATOR: frozenset({Permission.READ, Permission.EXPORT, Permission.READ_AUDIT}),
}


def may(role: Role, permission: Permission) -> bool:
    """Whether this role has this permission. Within which learners is another question (`StaffScope`)."""
    return permission in _MAY[role]


def role_of(text: str) -> Role | None:
    """The role of this name; None for a name that no role has, which then may do nothing."""
    try:
        return Role(text)
    except ValueError:
        return None
