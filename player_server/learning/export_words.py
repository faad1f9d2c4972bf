"""What stands in exports instead of the database's words. They go to Chinese offices, so they are Chinese."""

from __future__ import annotations

from telemetry.findings import FindingKind

KINDS = {"online": "网络学习", "offline": "面授", "employer": "单位组织", "test": "考试"}
SUBJECTS = {"public": "公共课程", "professional": "专业课程", "elective": "选修课程"}
ENTRY_TYPES = {"credit": "入账", "reversal": "冲销"}
CHALLENGES = {"identity": "身份验证", "attendance": "在岗验证"}
OUTCOMES = {None: "等待回答", "answered": "已通过", "missed": "超时未完成"}
RULE_STATES = {"met": "已修满", "open": "未修满", "upcoming": "尚未开始", "lost": "已过期"}
STANDINGS = {
    "open": "进行中",
    "warn": "临近截止",
    "late": "已过截止日期",
    "refused": "已到期，不能再补",
    "in_time": "按期完成",
}
YES, NO = "是", "否"

FINDINGS = {
    FindingKind.AHEAD_OF_FRONTIER: "播放位置超前",
    FindingKind.REPLAY: "重复的播放记录",
    FindingKind.IMPOSSIBLE_RATE: "播放速度异常",
    FindingKind.METRONOME_BEATS: "播放节奏完全均匀",
    FindingKind.LONG_DAY: "一天学习时间很长",
    FindingKind.SECOND_PAGE: "打开第二个播放页面",
    FindingKind.CHALLENGE_MISSED: "播放验证超时",
    FindingKind.PHONE_REUSED: "一部手机用于多人",
    FindingKind.PHONE_REBOUND: "更换验证手机",
    FindingKind.WRONG_PHONE: "用未绑定的手机验证",
}
