"""The evaluator, by the built-in programmes and the examples that the field's own notices give."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest

from player_server.policy.hours import (
    DatesMissing,
    Enrolment,
    Entry,
    RuleState,
    Standing,
    as_decimal,
    as_words,
    evaluate,
)
from player_server.policy.periods import anniversary, china_day
from player_server.policy.programmes import Finish, Programme
from tests.support.hours import (
    CONSTRUCTOR,
    HAINAN,
    JIANGSU,
    JIANGXI,
    MOHURD,
    PLAIN_YEARS,
    RE_ISSUE,
    STAFF,
    china_ms,
    entry,
    row,
    rows,
)

# ---------------------------------------------------------------------------- years by anniversary


def test_issued_in_march_2020_the_year_2021_runs_from_march_to_march() -> None:
    found = rows(evaluate([], STAFF, MOHURD, date(2022, 3, 10)), "year")
    assert [(each.begins, each.ends) for each in found.values()] == [
        (date(2021, 3, 10), date(2022, 3, 9)),
        (date(2022, 3, 10), date(2023, 3, 9)),
    ]
    assert list(found) == ["2021", "2022"]


def test_before_the_first_year_nothing_is_complete_and_the_year_to_come_is_shown() -> None:
    found = evaluate([entry(40, date(2020, 12, 1))], STAFF, MOHURD, date(2021, 3, 9))
    only = row(found, "year")
    assert (only.label, only.state, only.counted) == ("2021", RuleState.UPCOMING, 0)
    assert not found.exam and not found.complete


def test_sixty_hours_in_2021_count_sixty_and_nothing_in_2022() -> None:
    found = evaluate([entry(60, date(2021, 7, 1))], STAFF, MOHURD, date(2022, 6, 1))
    years = rows(found, "year")
    assert [years[each].counted for each in ("2021", "2022")] == [6000, 0]
    assert [years[each].missing for each in ("2021", "2022")] == [0, 3200]
    # Together 60: four short of what keeps the certificate.
    assert row(found, "two-years").missing == 400
    assert not found.exam and not found.complete


@pytest.mark.parametrize(
    ("moment", "year"),
    [
        (china_ms(date(2021, 3, 10), 0) - 1, None),
        (china_ms(date(2021, 3, 10), 0), "2021"),
        (china_ms(date(2022, 3, 9), 23, 59, 59, 999), "2021"),
        (china_ms(date(2022, 3, 10), 0), "2022"),
    ],
)
def test_the_border_between_two_years_is_midnight_in_china(moment: int, year: str | None) -> None:
    # In UTC the second and the fourth of these moments still lie on the day before.
    found = evaluate([entry(1, date.min, at=moment)], STAFF, PLAIN_YEARS, date(2022, 12, 31))
    assert [label for label, each in rows(found, "year").items() if each.counted] == ([year] if year else [])


@pytest.mark.parametrize(
    ("years", "day"),
    [(0, date(2020, 2, 29)), (1, date(2021, 3, 1)), (3, date(2023, 3, 1)), (4, date(2024, 2, 29))],
)
def test_29_february_has_its_anniversary_on_1_march(years: int, day: date) -> None:
    assert anniversary(date(2020, 2, 29), years) == day


def test_years_from_29_february_follow_each_other_without_gap_or_overlap() -> None:
    leap = replace(STAFF, issued_on=date(2020, 2, 29))
    found = list(rows(evaluate([], leap, MOHURD, date(2029, 1, 1)), "year").values())
    assert (found[0].begins, found[0].ends) == (date(2021, 3, 1), date(2022, 2, 28))
    assert (found[2].begins, found[2].ends) == (date(2023, 3, 1), date(2024, 2, 28))
    assert (found[3].begins, found[3].ends) == (date(2024, 2, 29), date(2025, 2, 28))
    for former, after in itertools.pairwise(found):
        assert former.ends is not None and after.begins - former.ends == timedelta(days=1)


def test_only_years_that_end_before_the_certificate_are_asked_for() -> None:
    three_years = replace(STAFF, expires_on=date(2023, 3, 10))
    assert list(rows(evaluate([], three_years, MOHURD, date(2023, 3, 10)), "year")) == ["2021", "2022"]


def test_where_no_year_can_be_asked_for_nothing_is_complete() -> None:
    short = replace(STAFF, expires_on=date(2022, 3, 8))
    found = evaluate([entry(64, date(2021, 7, 1))], short, MOHURD, date(2021, 8, 1))
    assert (found.rules, found.exam, found.complete) == ((), False, False)


def test_on_its_last_day_a_year_is_still_open() -> None:
    for today, state in ((date(2022, 3, 9), RuleState.OPEN), (date(2022, 3, 10), RuleState.LOST)):
        assert rows(evaluate([], STAFF, PLAIN_YEARS, today), "year")["2021"].state is state


def test_an_instant_is_put_on_its_day_in_china_whatever_the_sign() -> None:
    assert china_day(0) == date(1970, 1, 1)
    assert china_day(-8 * 3_600_000 - 1) == date(1969, 12, 31)
    assert china_day(china_ms(date(2022, 3, 10), 0)) == date(2022, 3, 10)


# ------------------------------------------------------------------------- make-up and two years


def test_what_2021_lacks_is_made_up_in_2022_and_the_entry_is_split() -> None:
    first, second = entry(20, date(2021, 7, 1)), entry(44, date(2022, 7, 1))
    found = evaluate([first, second], STAFF, MOHURD, date(2022, 12, 1))
    years = rows(found, "year")
    assert (years["2021"].counted, years["2022"].counted) == (3200, 3200)
    assert [(each.entry_id, each.hours) for each in years["2021"].entries] == [(first.id, 2000), (second.id, 1200)]
    assert [(each.entry_id, each.hours) for each in years["2022"].entries] == [(second.id, 3200)]
    assert found.exam and found.complete


def test_of_two_entries_of_one_day_the_earlier_written_one_is_split() -> None:
    entries = [entry(20, date(2021, 7, 1)), entry(22, date(2022, 7, 1)), entry(22, date(2022, 7, 1))]
    for listed in itertools.permutations(entries):
        parts = rows(evaluate(listed, STAFF, MOHURD, date(2022, 12, 1)), "year")["2021"].entries
        assert [each.entry_id for each in parts] == [entries[0].id, entries[1].id]


def test_made_up_hours_are_missing_in_their_own_year() -> None:
    found = evaluate([entry(20, date(2021, 7, 1)), entry(32, date(2022, 7, 1))], STAFF, MOHURD, date(2022, 12, 1))
    assert rows(found, "year")["2022"].missing == 1200
    assert not found.exam


def test_a_year_can_be_made_up_until_the_end_of_the_next_one_and_not_later() -> None:
    make_up = date(2023, 3, 9)
    entries = [entry(20, date(2021, 7, 1)), entry(44, make_up), entry(32, date(2023, 4, 1))]
    assert rows(evaluate(entries, STAFF, MOHURD, date(2023, 5, 1)), "year")["2021"].met
    late = [entries[0], entry(32, date(2022, 5, 1)), entry(44, make_up + timedelta(days=1))]
    found = rows(evaluate(late, STAFF, MOHURD, date(2023, 5, 1)), "year")["2021"]
    assert (found.met, found.last_day) == (True, make_up)  # 12 of the 32 hours of 2022 went there in time
    nothing = [entries[0], entry(44, make_up + timedelta(days=1))]
    lost = rows(evaluate(nothing, STAFF, MOHURD, date(2023, 5, 1)), "year")["2021"]
    assert (lost.state, lost.missing) == (RuleState.LOST, 1200)


def test_nothing_is_made_up_after_the_certificate_expired() -> None:
    expires = date(2023, 1, 31)
    mid_year = replace(STAFF, expires_on=expires)
    for day, met in ((expires, True), (expires + timedelta(days=1), False)):
        year = row(evaluate([entry(32, day)], mid_year, MOHURD, date(2023, 3, 1)), "year")
        assert (year.label, year.last_day, year.met) == ("2021", expires, met)


def test_a_year_that_is_lost_takes_nothing_away_from_the_next() -> None:
    entries = [entry(5, date(2021, 7, 1)), entry(20, date(2022, 7, 1))]
    before = rows(evaluate(entries, STAFF, MOHURD, date(2023, 3, 9)), "year")
    assert (before["2021"].counted, before["2022"].counted) == (2500, 0)
    after = rows(evaluate(entries, STAFF, MOHURD, date(2023, 3, 10)), "year")
    assert (after["2021"].counted, after["2022"].counted) == (500, 2000)


def test_fewer_than_64_hours_in_two_years_are_lost_for_good() -> None:
    entries = [entry(32, date(2021, 7, 1)), entry(31.99, date(2022, 7, 1)), entry(64, date(2023, 7, 1))]
    found = evaluate(entries, STAFF, MOHURD, date(2023, 8, 1))
    pair = rows(found, "two-years")["2021–2022"]
    assert (pair.begins, pair.ends) == (date(2021, 3, 10), date(2023, 3, 9))
    assert (pair.state, pair.missing) == (RuleState.LOST, 1)
    assert all(each.met for each in rows(found, "year").values())
    assert found.exam and not found.complete
    exact = [entries[0], entry(32, date(2022, 7, 1)), entries[2]]
    assert evaluate(exact, STAFF, MOHURD, date(2023, 8, 1)).complete


# ------------------------------------------------------------------------------------- provinces


@pytest.mark.parametrize(("professional", "enough"), [(21, False), (21.99, False), (22, True), (32, True)])
def test_hainan_wants_22_professional_hours_among_the_32(professional: float, enough: bool) -> None:
    entries = [
        entry(professional, date(2021, 7, 1)),
        entry(32 - professional, date(2021, 8, 1), "offline", "public"),
    ]
    found = evaluate(entries, STAFF, HAINAN, date(2021, 12, 1))
    assert rows(found, "year")["2021"].met
    assert rows(found, "professional")["2021"].met == enough
    assert found.exam == found.complete == enough


@pytest.mark.parametrize(
    ("employer", "online", "enough"),
    [(20, 44, True), (19.99, 44, False), (20, 43.99, False), (64, 0, False), (0, 64, False)],
)
def test_jiangxi_wants_20_hours_of_the_employer_and_44_online(employer: float, online: float, enough: bool) -> None:
    entries = [entry(employer, date(2021, 4, 1), "employer"), entry(online, date(2023, 3, 9))]
    found = evaluate(entries, STAFF, JIANGXI, date(2023, 3, 9))
    assert found.exam == found.complete == enough
    assert {each.label for each in found.rules} == {"2021–2022"}
    # The next two years ask for their own hours.
    assert not evaluate(entries, STAFF, JIANGXI, date(2023, 3, 10)).exam


def jiangsu(public: float = 16, professional: float = 40, test: float = 0, electives: float = 0) -> list[Entry]:
    day = date(2024, 6, 1)
    return [
        entry(public, day, "offline", "public"),
        entry(professional, day, "online", "professional", specialty="建筑工程"),
        entry(test, day, "test", "professional"),
        entry(electives, day, "online", "elective"),
    ]


def test_jiangsu_opens_the_exam_at_16_and_40_and_closes_the_cycle_with_test_and_electives() -> None:
    today = date(2024, 9, 1)
    before = evaluate(jiangsu(), CONSTRUCTOR, JIANGSU, today)
    assert before.exam and not before.complete
    assert {each.rule: each.missing for each in before.rules} == {
        "public": 0,
        "professional": 0,
        "test": 400,
        "electives": 6000,
    }
    assert {each.rule: each.gate for each in before.rules} == {
        "public": "exam",
        "professional": "exam",
        "test": "cycle",
        "electives": "cycle",
    }
    assert evaluate(jiangsu(test=4, electives=60), CONSTRUCTOR, JIANGSU, today).complete
    for short in (jiangsu(public=15.99), jiangsu(professional=39.99)):
        assert not evaluate([*short, *jiangsu(0, 0, 4, 60)], CONSTRUCTOR, JIANGSU, today).exam


def test_the_public_course_is_wanted_in_class_and_the_professional_one_online() -> None:
    day = date(2024, 6, 1)
    swapped = [entry(16, day, "online", "public"), entry(40, day, "offline", "professional")]
    found = evaluate(swapped, CONSTRUCTOR, JIANGSU, date(2024, 9, 1))
    assert [each.counted for each in found.rules] == [0, 0, 0, 0]


def test_the_public_course_counts_for_both_specialties_and_professional_hours_for_their_own() -> None:
    day = date(2024, 6, 1)
    entries = [
        entry(16, day, "offline", "public", specialty="建筑工程"),
        entry(40, day, specialty="建筑工程"),
        entry(10, day, specialty="市政公用工程"),
    ]
    second = replace(CONSTRUCTOR, specialties=frozenset(("市政公用工程",)))
    found = [evaluate(entries, each, JIANGSU, date(2024, 9, 1)) for each in (CONSTRUCTOR, second)]
    assert [row(each, "public").counted for each in found] == [1600, 1600]
    assert [row(each, "professional").counted for each in found] == [4000, 1000]
    assert [each.exam for each in found] == [True, False]


def test_online_study_opens_when_the_hours_in_class_are_recorded() -> None:
    today = date(2024, 9, 1)
    assert not evaluate(jiangsu(public=15.99), CONSTRUCTOR, JIANGSU, today).online_open
    assert evaluate(jiangsu(professional=0), CONSTRUCTOR, JIANGSU, today).online_open
    assert evaluate([], STAFF, MOHURD, today).online_open


def test_a_cycle_counts_from_the_day_of_issue_to_the_day_of_expiry() -> None:
    inside = [date(2022, 6, 1), date(2025, 5, 31)]
    outside = [date(2022, 5, 31), date(2025, 6, 1)]
    for days, counted in ((inside, 800), (outside, 0)):
        found = evaluate([entry(4, day) for day in days], CONSTRUCTOR, JIANGSU, date(2025, 7, 1))
        assert row(found, "professional").counted == counted


def test_a_re_issue_wants_one_round_of_32_hours_since_the_enrolment() -> None:
    again = Enrolment(date(2026, 1, 5), issued_on=date(2015, 1, 1), expires_on=date(2018, 1, 1))
    old, new = entry(32, date(2026, 1, 4)), entry(32, date(2026, 1, 5), "offline", "public")
    assert not evaluate([old], again, RE_ISSUE, date(2026, 6, 1)).exam
    found = evaluate([old, new], again, RE_ISSUE, date(2026, 6, 1))
    assert found.exam and found.complete
    assert [each.entry_id for each in row(found, "round").entries] == [new.id]


# -------------------------------------------------------------------------------------- deadline


@pytest.mark.parametrize(
    ("today", "standing", "days_left"),
    [
        (date(2025, 4, 30), Standing.OPEN, 1),
        (date(2025, 5, 1), Standing.WARN, 0),
        (date(2025, 5, 2), Standing.LATE, -1),
        (date(2025, 5, 31), Standing.LATE, -30),
        (date(2025, 6, 1), Standing.REFUSED, -31),
    ],
)
def test_thirty_days_before_expiry_it_warns_then_it_is_late_and_refused_only_after_expiry(
    today: date, standing: Standing, days_left: int
) -> None:
    found = evaluate([], CONSTRUCTOR, JIANGSU, today)
    assert (found.deadline, found.standing, found.days_left) == (date(2025, 5, 1), standing, days_left)


@pytest.mark.parametrize(
    ("finished", "standing", "exam"),
    [
        (date(2025, 5, 1), Standing.IN_TIME, True),
        (date(2025, 5, 2), Standing.LATE, True),
        (date(2025, 5, 31), Standing.LATE, True),
        (date(2025, 6, 1), Standing.REFUSED, False),
    ],
)
def test_late_hours_count_until_expiry_and_are_marked(finished: date, standing: Standing, exam: bool) -> None:
    entries = [entry(16, date(2024, 6, 1), "offline", "public"), entry(40, finished)]
    found = evaluate(entries, CONSTRUCTOR, JIANGSU, date(2025, 7, 1))
    assert (found.standing, found.exam) == (standing, exam)


def test_a_programme_may_refuse_from_the_deadline_on() -> None:
    strict = replace_finish(JIANGSU, Finish(30, 60, "deadline"))
    late = [entry(16, date(2024, 6, 1), "offline", "public"), entry(40, date(2025, 5, 2))]
    found = evaluate(late, CONSTRUCTOR, strict, date(2025, 5, 3))
    assert (found.standing, found.exam) == (Standing.REFUSED, False)
    assert evaluate([], CONSTRUCTOR, strict, date(2025, 4, 1)).standing is Standing.WARN
    assert evaluate([], CONSTRUCTOR, strict, date(2025, 3, 31)).standing is Standing.OPEN


def replace_finish(programme: Programme, finish: Finish) -> Programme:
    return Programme(programme.name, programme.rules, finish=finish)


def test_a_deadline_of_the_enrolment_goes_before_the_programme_s() -> None:
    extended = replace(CONSTRUCTOR, deadline=date(2025, 5, 20))
    found = evaluate([], extended, JIANGSU, date(2025, 5, 10))
    assert (found.deadline, found.days_left, found.standing) == (date(2025, 5, 20), 10, Standing.WARN)
    plain = evaluate([], replace(STAFF, deadline=date(2021, 5, 1)), MOHURD, date(2021, 5, 2))
    assert (plain.standing, plain.days_left) == (Standing.LATE, -1)
    on_the_day = evaluate([], replace(STAFF, deadline=date(2021, 5, 1)), MOHURD, date(2021, 5, 1))
    assert (on_the_day.standing, on_the_day.days_left) == (Standing.OPEN, 0)


def test_an_enrolment_without_the_dates_that_its_programme_needs_is_not_judged() -> None:
    with pytest.raises(DatesMissing) as caught:
        evaluate([], Enrolment(date(2024, 1, 1)), JIANGSU, date(2024, 2, 1))
    assert caught.value.missing == ("issue date", "expiry date")
    with pytest.raises(DatesMissing, match="no issue date"):
        evaluate([], Enrolment(date(2024, 1, 1)), MOHURD, date(2024, 2, 1))
    assert evaluate([], Enrolment(date(2024, 1, 1)), RE_ISSUE, date(2024, 2, 1)).rules


# --------------------------------------------------------------------------- reversals and order


def test_a_reversal_cancels_its_entry_and_nothing_else() -> None:
    credit, other = entry(40, date(2024, 6, 1)), entry(40, date(2024, 6, 2))
    back = entry(-40, date(2024, 8, 1), reverses=credit.id)
    found = row(evaluate([credit, other, back], CONSTRUCTOR, JIANGSU, date(2024, 9, 1)), "professional")
    assert (found.counted, [each.entry_id for each in found.entries]) == (4000, [other.id])
    # What a reversal takes back was never right, also on a day before the reversal.
    earlier = evaluate([credit, back], CONSTRUCTOR, JIANGSU, date(2024, 7, 1))
    assert row(earlier, "professional").counted == 0


def test_an_entry_of_a_later_day_does_not_count_yet() -> None:
    found = evaluate([entry(40, date(2024, 6, 2))], CONSTRUCTOR, JIANGSU, date(2024, 6, 1))
    assert row(found, "professional").counted == 0


# ------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("hundredths", "decimal", "words"),
    [(0, "0.00", "0"), (150, "1.50", "1.5"), (200, "2.00", "2"), (1000, "10.00", "10"), (-50, "-0.50", "-0.5")],
)
def test_hours_are_written_exactly(hundredths: int, decimal: str, words: str) -> None:
    assert (as_decimal(hundredths), as_words(hundredths)) == (decimal, words)
