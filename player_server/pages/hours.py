"""我的学时: what the programmes ask for, what the ledger holds for the learner, and how each course stands."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.hours import my_hours
from player_server.pages.language import lang_of
from player_server.pages.render import N_, render, translator
from player_server.pages.times import minute_text
from player_server.policy.hours import Evaluation, RuleHours, RuleState, Standing, as_words
from player_server.policy.programmes import Name
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner

#: The kinds of hours in words; certificates and exports use the same.
KINDS = {
    "online": N_("网络学习"),
    "offline": N_("面授"),
    "employer": N_("单位组织"),
    "test": N_("考试"),
}

_GATES = {
    "exam": N_("考试前须修满"),
    "cycle": N_("考试后也可修满"),
}


async def hours(request: web.Request) -> web.StreamResponse:
    """GET /hours."""
    viewer = await require_learner(request)
    _ = translator(request)
    lang = lang_of(request)

    def name(of: Name) -> str:
        return of.en if lang == "en" else of.zh

    def badge(evaluation: Evaluation) -> tuple[str, str]:
        """(kind, text)."""
        if evaluation.complete:
            return "ok", _("学时已修满")
        if evaluation.standing is Standing.REFUSED:
            return "bad", _("证书已到期，不能再补")
        if evaluation.exam:
            return "info", _("考试前的学时已修满")
        if evaluation.standing is Standing.LATE:
            return "warn", _("已过截止日期，到期前仍可补学")
        if evaluation.days_left is not None:
            text = _("今天截止") if evaluation.days_left == 0 else _("还有 %(days)s 天")
            return ("warn" if evaluation.standing is Standing.WARN else ""), (
                text if evaluation.days_left == 0 else text % {"days": evaluation.days_left}
            )
        return "", ""

    def remark(rule: RuleHours) -> str:
        """What a learner has to know about a rule that is not met."""
        missing = {"hours": as_words(rule.missing), "day": rule.last_day}
        if rule.state is RuleState.MET:
            return _("已修满")
        if rule.state is RuleState.LOST:
            return _("还差 %(hours)s 学时，已过期，不能再补") % missing
        if rule.state is RuleState.UPCOMING:
            return _("尚未开始")
        if rule.last_day is None:
            return _("还差 %(hours)s 学时") % missing
        return _("还差 %(hours)s 学时，最迟 %(day)s") % missing

    mine = await my_hours(request.app[SERVICES], viewer.learner_id)
    return render(
        request,
        "hours.html",
        viewer=viewer,
        page_title=_("我的学时"),
        mine=mine,
        kinds={kind: _(text) for kind, text in KINDS.items()},
        gates={gate: _(text) for gate, text in _GATES.items()},
        name=name,
        badge=badge,
        remark=remark,
        words=as_words,
        minute=minute_text,
    )
