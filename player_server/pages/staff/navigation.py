"""The entries of the staff's navigation: one line for each area, in the order in which they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from player_server.pages.language import N_, Translate
from player_server.policy.roles import Permission, Role, may


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` is its page; pages below it show the entry as the current one, too."""

    label: str
    path: str
    permission: Permission


ENTRIES = (
    Entry(N_("概览"), "/staff", Permission.READ),
    Entry(N_("学员名单"), "/staff/learners", Permission.READ),
    Entry(N_("导入"), "/staff/imports", Permission.IMPORT),
    Entry(N_("催学名单"), "/staff/calls", Permission.ACT),
    Entry(N_("申诉"), "/staff/appeals", Permission.READ),
    Entry(N_("班级报表"), "/staff/classes", Permission.READ),
    Entry(N_("课程与视频"), "/staff/videos", Permission.READ),
    Entry(N_("转入转出"), "/staff/moves", Permission.READ),
    Entry(N_("学时证明"), "/staff/certificates", Permission.READ),
    Entry(N_("导出"), "/staff/exports", Permission.EXPORT),
    Entry(N_("工作人员"), "/staff/accounts", Permission.MANAGE_STAFF),
    Entry(N_("审计记录"), "/staff/audit", Permission.READ_AUDIT),
    Entry(N_("账本核验"), "/staff/ledger", Permission.READ_AUDIT),
    Entry(N_("消息推送"), "/staff/webhooks", Permission.MANAGE_STAFF),
)

#: What staff call a role.
ROLE_NAMES = {
    Role.OWNER: N_("管理员"),
    Role.TEACHER: N_("教师"),
    Role.AUDITOR: N_("审计员（只读）"),
    Role.REGULATOR: N_("监管人员（只读）"),
}


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is drawn, already translated."""

    label: str
    path: str
    current: bool


def navigation(role: Role, path: str, _: Translate) -> list[Link]:
    """What this role may open; the longest path that `path` begins with is the current one."""
    allowed = [each for each in ENTRIES if may(role, each.permission)]
    here = max((each.path for each in allowed if _is_below(path, each.path)), key=len, default="")
    return [Link(_(each.label), each.path, each.path == here) for each in allowed]


def _is_below(path: str, entry: str) -> bool:
    # Every page is below the first one, which is only itself.
    return path == entry or (entry != "/staff" and path.startswith(entry + "/"))
