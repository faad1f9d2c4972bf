"""学习记录: what counted when, what did not and why, and what was noticed, in words that a learner can use."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.appeals import finding_subject, my_appeals, stretch_subject
from player_server.learning.records import my_records
from player_server.pages.render import N_, render, translator
from player_server.pages.times import clock_text, date_text, length_text
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner
from telemetry.findings import FindingKind

#: Each kind of finding in one sentence for the learner: what was seen, and what to do, if anything.
SENTENCES = {
    FindingKind.AHEAD_OF_FRONTIER: N_("播放位置超过了已学进度，已自动回到已学到的位置，超出的部分没有计时。"),
    FindingKind.REPLAY: N_("收到了重复的播放记录，重复的部分没有计时。"),
    FindingKind.IMPOSSIBLE_RATE: N_(
        "播放速度超过了允许的速度，多出的部分没有计时。请关闭会改变播放速度的浏览器插件。"
    ),
    FindingKind.METRONOME_BEATS: N_("播放进度一直以完全相同的步长前进，正常播放不会这样。"),
    FindingKind.LONG_DAY: N_("这一天的学习时间很长。如果都是您本人在学习，不需要做什么。"),
    FindingKind.SECOND_PAGE: N_("打开了第二个播放页面。同一时间只有一个页面可以学习。"),
    FindingKind.CHALLENGE_MISSED: N_("有播放验证没有在规定时间内完成。之前学的都还在，重新获取验证码即可继续。"),
    FindingKind.PHONE_REUSED: N_("同一部手机用于了不止一位学员的验证。请用您本人的手机完成验证。"),
    FindingKind.PHONE_REBOUND: N_("验证用的手机换成了另一部。如果不是您本人操作，请修改密码并联系培训机构。"),
    FindingKind.WRONG_PHONE: N_("有人想用没有绑定的手机或浏览器完成您的播放验证，没有成功。"),
}

#: Why a stretch ended, and with it why time after it did not count.
REASONS = {
    "pause": N_("您暂停了播放"),
    "watched": N_("视频已看完"),
    "challenge": N_("等待您完成播放验证"),
    "gap": N_("网络中断的时间太长"),
    "rewatch": N_("重看已经学过的部分，不重复计时"),
    "ahead_of_frontier": N_("播放位置超过已学进度，回到了已学到的位置"),
    "bye": N_("您离开了播放页面"),
    "lost": N_("网络连接中断"),
    "silent": N_("播放页面很久没有响应，例如电脑休眠"),
    "displaced": N_("您在另一个页面继续学习"),
}

#: What becomes of an appeal.
APPEAL_STATES = {
    "open": N_("等待答复"),
    "accepted": N_("已采纳"),
    "declined": N_("未采纳"),
}


async def records(request: web.Request) -> web.StreamResponse:
    """GET /records."""
    viewer = await require_learner(request)
    _ = translator(request)
    mine = await my_records(request.app[SERVICES], viewer.person_id, viewer.learner_id)
    appeals = await my_appeals(request.app[SERVICES], viewer.learner_id)
    return render(
        request,
        "records.html",
        viewer=viewer,
        page_title=_("学习记录"),
        mine=mine,
        done=_("申诉已提交，答复会显示在这里。") if request.query.get("done") == "appeal" else "",
        appeals={each.subject: each for each in appeals},
        appeal_states={state: _(text) for state, text in APPEAL_STATES.items()},
        stretch_subject=stretch_subject,
        finding_subject=finding_subject,
        sentences={kind: _(text) for kind, text in SENTENCES.items()},
        reasons={reason: _(text) for reason, text in REASONS.items()},
        date=date_text,
        clock=clock_text,
        length=length_text,
    )
