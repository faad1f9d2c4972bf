"""What staff's pages call what is stored as short words: findings, ends of stretches, actions, kinds of hours."""

from __future__ import annotations

from player_server.pages.hours import KINDS
from player_server.pages.language import N_, Translate
from player_server.pages.records import APPEAL_STATES
from player_server.policy.findings import Rating
from player_server.storage.staff_actions import Action
from telemetry.findings import FindingKind

FINDINGS = {
    FindingKind.AHEAD_OF_FRONTIER: N_("播放位置超过已学进度"),
    FindingKind.REPLAY: N_("重复发送播放记录"),
    FindingKind.IMPOSSIBLE_RATE: N_("播放速度异常"),
    FindingKind.METRONOME_BEATS: N_("进度步长完全相同"),
    FindingKind.LONG_DAY: N_("单日学习时间过长"),
    FindingKind.SECOND_PAGE: N_("打开第二个播放页面"),
    FindingKind.CHALLENGE_MISSED: N_("播放验证超时"),
    FindingKind.PHONE_REUSED: N_("一部手机用于多人"),
    FindingKind.PHONE_REBOUND: N_("更换验证手机"),
    FindingKind.WRONG_PHONE: N_("用其他手机尝试验证"),
}

RATINGS = {
    Rating.INFORMATIONAL: N_("仅供参考"),
    Rating.REVIEW: N_("需要查看"),
    Rating.SERIOUS: N_("严重"),
}

#: Why a stretch ended, and with it why the time after it did not count.
REASONS = {
    "pause": N_("暂停"),
    "watched": N_("看完"),
    "challenge": N_("等待播放验证"),
    "gap": N_("网络中断过长"),
    "rewatch": N_("重看已学部分"),
    "ahead_of_frontier": N_("位置超前，被拉回"),
    "bye": N_("离开页面"),
    "lost": N_("连接断开"),
    "silent": N_("页面无响应"),
    "displaced": N_("换到另一页面"),
}

ACTIONS = {
    Action.NOTE: N_("备注"),
    Action.NEW_SECRET: N_("发放新的初始密码"),
    Action.RESET_PHONE: N_("解除手机绑定"),
    Action.DISABLE: N_("停用账户"),
    Action.ENABLE: N_("恢复账户"),
    Action.EXTEND_DEADLINE: N_("延长期限"),
    Action.REVERSE: N_("冲销学时"),
    Action.MAKE_UP: N_("补记学时"),
    Action.OFFER_MOVE: N_("提出转出"),
    Action.END_OFFER: N_("撤回或拒绝转出"),
    Action.TAKE_MOVE: N_("接收转入"),
    Action.ANSWER_APPEAL: N_("答复申诉"),
    Action.WITHDRAW_VIDEO: N_("下架视频"),
    Action.RESTORE_VIDEO: N_("恢复视频"),
    Action.REPLACE_VIDEO: N_("更换视频文件"),
    Action.CORRECT_KEY: N_("更正练习答案"),
}

#: Where an entry comes from when it was not earned here.
SOURCES = {
    "appeal": N_("申诉补记"),
    "reversal": N_("冲销"),
    "move": N_("随学员转入"),
}


def words_of(_: Translate) -> dict[str, dict[str, str]]:
    """All of the above in the viewer's language, for a template."""
    return {
        "findings": {key.value: _(text) for key, text in FINDINGS.items()},
        "ratings": {key.value: _(text) for key, text in RATINGS.items()},
        "reasons": {key: _(text) for key, text in REASONS.items()},
        "actions": {key.value: _(text) for key, text in ACTIONS.items()},
        "kinds": {key: _(text) for key, text in KINDS.items()},
        "sources": {key: _(text) for key, text in SOURCES.items()},
        "appeals": {key: _(text) for key, text in APPEAL_STATES.items()},
    }
