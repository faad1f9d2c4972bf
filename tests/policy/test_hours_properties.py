"""What holds for every ledger: order does not matter, nothing counts twice, and more hours never hurt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.hours import Enrolment, Entry, evaluate
from player_server.policy.periods import china_day
from player_server.policy.programmes import KINDS, SUBJECTS, Name, Programme, Rule
from tests.support.hours import PROGRAMMES, STAFF, china_ms

ENTRIES = st.lists(
    st.builds(
        Entry,
        id=st.integers(1, 60),
        occurred_at=st.dates(date(2020, 1, 1), date(2026, 12, 31)).map(china_ms),
        kind=st.sampled_from(KINDS),
        subject=st.sampled_from(SUBJECTS),
        hours=st.sampled_from((50, 100, 800, 1200, 2000, 3200, 4400, 6400)),
        specialty=st.sampled_from((None, "建筑工程", "市政公用工程")),
    ),
    max_size=14,
    unique_by=lambda each: each.id,
)
REVERSED = st.sets(st.integers(1, 60), max_size=3)
DAYS = st.dates(date(2020, 1, 1), date(2026, 12, 31))
ENROLMENTS = st.builds(
    Enrolment,
    enrolled_on=st.dates(date(2020, 1, 1), date(2024, 1, 1)),
    issued_on=st.sampled_from((date(2020, 3, 10), date(2020, 2, 29), date(2022, 6, 1))),
    expires_on=st.sampled_from((date(2023, 3, 9), date(2025, 5, 31), date(2030, 1, 1))),
    deadline=st.sampled_from((None, date(2023, 1, 1))),
    specialties=st.just(frozenset(("建筑工程",))),
)
ANY_PROGRAMME = st.sampled_from(list(PROGRAMMES.values()))


def with_reversals(entries: Sequence[Entry], ids: set[int]) -> list[Entry]:
    back = [
        Entry(1000 + each.id, each.occurred_at, each.kind, each.subject, -each.hours, reverses=each.id)
        for each in entries
        if each.id in ids
    ]
    return [*entries, *back]


@given(ENTRIES, REVERSED, ENROLMENTS, ANY_PROGRAMME, DAYS, st.randoms())
def test_the_order_of_entries_changes_nothing(
    entries: list[Entry], ids: set[int], enrolment: Enrolment, programme: Programme, day: date, chance: object
) -> None:
    listed = with_reversals(entries, ids)
    shuffled = list(listed)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert evaluate(shuffled, enrolment, programme, day) == evaluate(listed, enrolment, programme, day)


@given(ENTRIES, REVERSED, ENROLMENTS, ANY_PROGRAMME, DAYS)
def test_no_hour_counts_twice_within_a_rule(
    entries: list[Entry], ids: set[int], enrolment: Enrolment, programme: Programme, day: date
) -> None:
    found = evaluate(with_reversals(entries, ids), enrolment, programme, day)
    earned = {each.id: each.hours for each in entries if each.id not in ids and china_day(each.occurred_at) <= day}
    for each in found.rules:
        assert each.counted == sum(part.hours for part in each.entries) <= sum(earned.values())
        assert each.missing == max(0, each.required - each.counted)
    for key, rule in programme.rules.items():
        # Two years in a row overlap with the next two by intent; all other periods share nothing out twice.
        if rule.period == "last_two_years":
            continue
        spent: dict[int, int] = {}
        for part in (part for each in found.rules if each.rule == key for part in each.entries):
            assert part.hours > 0
            spent[part.entry_id] = spent.get(part.entry_id, 0) + part.hours
        assert all(hours <= earned.get(entry_id, 0) for entry_id, hours in spent.items())


@given(ENTRIES, ENTRIES, REVERSED, ENROLMENTS, ANY_PROGRAMME, DAYS)
def test_a_further_entry_never_makes_a_complete_learner_incomplete(
    entries: list[Entry],
    further: list[Entry],
    ids: set[int],
    enrolment: Enrolment,
    programme: Programme,
    day: date,
) -> None:
    listed = with_reversals(entries, ids)
    more = [*listed, *(msgspec.structs.replace(each, id=each.id + 100) for each in further)]
    before, after = (evaluate(each, enrolment, programme, day) for each in (listed, more))
    assert after.exam >= before.exam
    assert after.complete >= before.complete
    assert after.online_open >= before.online_open


# Random entries are seldom enough for a real programme, so the same is asked of years that are small, and of
# learners who are complete because whatever each of their years asks for was put there.
SMALL_YEARS = Programme(Name("小", "small"), {"year": Rule(Name("年", "year"), 200, "year", "exam", make_up=True)})
FEW = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from((50, 100, 150, 200, 300))), min_size=1, max_size=10
).map(
    lambda parts: [
        Entry(number, china_ms(date(2021 + year, 7, 1)), "online", "public", hours)
        for number, (year, hours) in enumerate(parts, 1)
    ]
)


def possible(entries: Sequence[Entry], last: int) -> bool:
    """Brute force over quarters of an hour: can each year be given 2 hours of its own and the following year's?"""
    earned = [sum(e.hours for e in entries if china_day(e.occurred_at).year == 2021 + n) for n in range(last + 2)]
    lent = {0}
    for year in range(last + 1):
        # What year `year` may have lent to the year before it → what it may then borrow from the year after.
        after = {
            borrowed
            for given_away in lent
            for borrowed in range(0, earned[year + 1] + 1, 50)
            if earned[year] - given_away + borrowed >= 200
        }
        lent = after if year < last else ({0} if 0 in after else set())
    return bool(lent)


@given(FEW, st.integers(0, 3))
def test_a_learner_is_complete_whenever_some_way_to_make_up_completes_every_year(
    entries: list[Entry], last: int
) -> None:
    known = [each for each in entries if china_day(each.occurred_at).year <= 2021 + last]
    found = evaluate(known, STAFF, SMALL_YEARS, date(2022 + last, 3, 9))
    assert found.exam == possible(known, last)


@given(FEW, st.integers(0, 3), st.sampled_from((50, 100, 300)), st.integers(0, 3))
def test_in_small_years_too_a_further_entry_takes_nothing_away(
    entries: list[Entry], year: int, hours: int, last: int
) -> None:
    today = date(2022 + last, 3, 9)
    further = Entry(100, china_ms(date(2021 + year, 7, 2)), "online", "public", hours)
    if evaluate(entries, STAFF, SMALL_YEARS, today).exam:
        assert evaluate([*entries, further], STAFF, SMALL_YEARS, today).exam
