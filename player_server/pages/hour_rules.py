"""A programme's hours in words: the same for the learner's page and for the staff's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from player_server.pages.language import N_, Translate
from player_server.policy.hours import Evaluation, RuleHours, RuleState, Standing, as_words
from player_server.policy.programmes import Name

_GATES = {
    "exam": N_("考试前须修满"),
    "cycle": N_("考试后也可修满"),
}


@dataclass(frozen=True, slots=True)
class RuleWords:
    """`name`: in the viewer's language; `badge`: (kind, text); `remark`: what is missing of one rule; `gates`."""

    name: Callable[[Name], str]
    badge: Callable[[Evaluation], tuple[str, str]]
    remark: Callable[[RuleHours], str]
    gates: dict[str, str]


def rule_words(_: Translate, lang: str) -> RuleWords:
    """The words of rules in one language."""

    def name(of: Name) -> str:
        return of.en if lang == "en" else of.zh

    def badge(evaluation: Evaluation) -> tuple[str, str]:
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

    return RuleWords(name, badge, remark, {gate: _(text) for gate, text in _GATES.items()})
