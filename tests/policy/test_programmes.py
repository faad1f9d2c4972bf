"""Programmes as content: the version, and what contradicts itself; and reading them from a document."""

from __future__ import annotations

import re

import msgspec
import pytest

from player_server.learning.course_documents import read_yaml
from player_server.policy.programme_document import read_programme
from player_server.policy.programmes import Name, Programme, Rule, version_of

GOOD = """\
name: {zh: 江苏, en: Jiangsu}
shared: [public]
online_after: [public]
finish: {days_before_expiry: 30, warn_days_before_expiry: 45}
rules:
  public:
    name: {zh: 公共, en: Public}
    hours: 16
    kinds: [offline]
    subjects: [public]
    period: cycle
    gate: exam
  year:
    name: {zh: 年, en: Year}
    hours: 1.5
    period: year
    gate: cycle
    make_up: true
"""


def read(text: str) -> tuple[Programme | None, list[str]]:
    document, problems = read_yaml(text.encode(), "p.yaml")
    assert document is not None and not problems
    programme, faults = read_programme(document)
    return programme, [str(each) for each in faults]


def changed(old: str, new: str) -> list[str]:
    assert GOOD.count(old) == 1
    programme, faults = read(GOOD.replace(old, new))
    assert (programme is None) == bool(faults)
    return faults


def test_a_document_says_everything_that_a_programme_is() -> None:
    programme, faults = read(GOOD)
    assert faults == []
    assert programme is not None
    assert list(programme.rules) == ["public", "year"]
    assert programme.rules["public"] == Rule(
        Name("公共", "Public"), 1600, "cycle", "exam", kinds=("offline",), subjects=("public",)
    )
    assert (programme.rules["year"].hours, programme.rules["year"].make_up) == (150, True)
    assert programme.finish is not None and programme.finish.refuse_after == "expiry"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("shared:", "share:", "p.yaml:2: share: unknown key; known: name, rules, shared,"),
        ("    hours: 16\n", "    hours: 16\n    hour: 16\n", "p.yaml:9: rules.public.hour: unknown key"),
        ("    hours: 16\n", "", "rules.public.hours: is missing"),
        ("hours: 16", "hours: 0", "p.yaml:8: rules.public.hours: must be more than 0"),
        ("hours: 16", "hours: 10000.01", "p.yaml:8: rules.public.hours: must be more than 0 and at most 10000"),
        ("hours: 16", "hours: 1.555", "p.yaml:8: rules.public.hours: must be a number"),
        ("hours: 16", "hours: -4", "p.yaml:8: rules.public.hours: must be a number"),
        ("hours: 16", "hours: nan", "p.yaml:8: rules.public.hours: must be a number"),
        ("hours: 16", "hours: 1e9", "p.yaml:8: rules.public.hours: must be a number"),
        ("hours: 16", "hours: [16]", "p.yaml:8: rules.public.hours: must be a number"),
        ("kinds: [offline]", "kinds: [classroom]", "p.yaml:9: rules.public.kinds: Invalid enum value 'classroom'"),
        ("kinds: [offline]", "kinds: []", "p.yaml:9: rules.public.kinds: must not be empty"),
        ("kinds: [offline]", "kinds: [offline, offline]", "p.yaml:9: rules.public.kinds: names something twice"),
        ("kinds: [offline]", "kinds: [online]", "p.yaml:3: online_after: the rule public counts online hours"),
        ("online_after: [public]", "online_after: [class]", "p.yaml:3: online_after: there is no rule class"),
        ("period: cycle", "period: month", "p.yaml:11: rules.public.period: Invalid enum value 'month'"),
        ("gate: exam", "gate: cycle", "p.yaml:4: finish: is about the rules with gate: exam"),
        ("make_up: true", "make_up: perhaps", "p.yaml:18: rules.year.make_up: "),
        ("period: year", "period: two_years", "p.yaml:18: rules.year.make_up: only a rule with period: year"),
        ("expiry: 45", "expiry: 29", "p.yaml:4: finish.warn_days_before_expiry: must not be less"),
        ("expiry: 30", "expiry: soon", "p.yaml:4: finish.days_before_expiry: "),
        ("  year:\n", "  Year 1:\n", "p.yaml:13: rules.Year 1: a name is small letters"),
        ("{zh: 年, en: Year}", "{zh: 年}", "p.yaml:14: rules.year.name.en: is missing"),
        ("{zh: 年, en: Year}", "年", "p.yaml:14: rules.year.name: must be a mapping"),
    ],
)
def test_each_fault_is_named_with_its_line_and_key(old: str, new: str, fault: str) -> None:
    (found,) = changed(old, new)
    assert fault in found
    assert found.startswith("p.yaml:")


def test_all_faults_are_named_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("shared", "share").replace("hours: 16", "hours: x").replace("gate: cycle", "gate: door")
    _, faults = read(text)
    assert [re.sub(r": .*", "", each) for each in faults] == ["p.yaml:2", "p.yaml:8", "p.yaml:17"]


@pytest.mark.parametrize(
    "text", ["", "- a\n", "rules: 3\nname: {zh: a, en: b}\n", "name: {zh: a, en: b}\nrules: {}\n"]
)
def test_what_is_no_programme_at_all_is_refused(text: str) -> None:
    programme, faults = read(text)
    assert programme is None and faults


def test_the_version_hangs_on_what_the_rules_say_and_not_on_how_they_are_written() -> None:
    programme, _ = read(GOOD)
    assert programme is not None
    spelled_out = GOOD.replace("hours: 16", "hours: 16.00   # in class").replace(
        "expiry: 45}", "expiry: 45, refuse_after: expiry}"
    )
    same, faults = read(spelled_out)
    assert same is not None, faults
    assert version_of(same) == version_of(programme)
    reordered = msgspec.structs.replace(programme, rules=dict(reversed(programme.rules.items())))
    assert version_of(reordered) == version_of(programme)
    other, _ = read(GOOD.replace("hours: 16", "hours: 16.01"))
    assert other is not None and version_of(other) != version_of(programme)
