"""What a sheet shows, how long pauses are, what is told."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.quiz import CoolDown, shuffle, told
from player_server.policy.quiz_content import Question, QuizContent, grade

single = st.integers(2, 8).flatmap(
    lambda n: st.builds(
        lambda right: Question("single", "单选", tuple(f"选项 {i}" for i in range(n)), (right,)),
        st.integers(0, n - 1),
    )
)
multiple = st.integers(2, 8).flatmap(
    lambda n: st.builds(
        lambda right: Question("multiple", "多选", tuple(f"选项 {i}" for i in range(n)), tuple(sorted(right))),
        st.sets(st.integers(0, n - 1), min_size=1),
    )
)
true_false = st.builds(lambda right: Question("true_false", "判断", ("正确", "错误"), (right,)), st.integers(0, 1))
contents = st.lists(st.one_of(single, multiple, true_false), min_size=1, max_size=12).map(
    lambda questions: QuizContent(tuple(questions))
)


@given(contents, st.binary(min_size=1, max_size=32))
def test_every_question_and_option_is_shown_once(content: QuizContent, seed: bytes) -> None:
    order = shuffle(content, seed)
    assert sorted(order.questions) == list(range(len(content.questions)))
    for index, options in zip(order.questions, order.options, strict=True):
        assert sorted(options) == list(range(len(content.questions[index].options)))


@given(contents, st.binary(min_size=1, max_size=32))
def test_what_is_shown_does_not_depend_on_the_right_options(content: QuizContent, seed: bytes) -> None:
    blank = QuizContent(tuple(Question(q.kind, q.text, q.options, ()) for q in content.questions))
    assert shuffle(content, seed) == shuffle(blank, seed)
    assert shuffle(content, seed).show(content) == shuffle(blank, seed).show(blank)


@given(contents, st.binary(min_size=1, max_size=32))
def test_right_places_are_right_after_the_way_back(content: QuizContent, seed: bytes) -> None:
    order = shuffle(content, seed)
    chosen = [
        frozenset(place for place, option in enumerate(options) if option in content.questions[index].right)
        for index, options in zip(order.questions, order.options, strict=True)
    ]
    assert all(grade(content, order.to_author(chosen)))


@given(contents, st.binary(min_size=1, max_size=32), st.data())
def test_numbers_name_the_questions_as_shown(content: QuizContent, seed: bytes, data: st.DataObject) -> None:
    order = shuffle(content, seed)
    indexes = data.draw(st.sets(st.integers(0, len(content.questions) - 1)))
    numbers = order.numbers(indexes)
    assert list(numbers) == sorted(numbers)
    assert {order.questions[number - 1] for number in numbers} == indexes


def test_every_place_of_the_right_option_is_equally_likely() -> None:
    options = ("甲", "乙", "丙", "丁")
    content = QuizContent(tuple(Question("single", f"第 {n} 题", options, (2,)) for n in range(3)))
    places: Counter[int] = Counter()
    firsts: Counter[int] = Counter()
    for seed in range(4000):
        order = shuffle(content, b"%d" % seed)
        places[order.options[0].index(2)] += 1
        firsts[order.questions[0]] += 1
    # Five standard deviations around the mean.
    assert all(abs(places[place] - 1000) < 140 for place in range(4)), places
    assert all(abs(firsts[index] - 1333) < 150 for index in range(3)), firsts


def test_an_option_that_speaks_of_the_others_stays_last() -> None:
    content = QuizContent((Question("single", "哪些？", ("以上都对", "甲", "乙", "丙"), (0,)),))
    assert all(shuffle(content, b"%d" % seed).options[0][-1] == 0 for seed in range(50))


def test_true_comes_before_false() -> None:
    content = QuizContent((Question("true_false", "对吗？", ("正确", "错误"), (1,)),))
    assert all(shuffle(content, b"%d" % seed).options == ((0, 1),) for seed in range(50))


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (2, 0), (3, 30), (4, 60), (5, 120), (6, 240), (7, 480), (8, 600), (9**9, 600)],
)
def test_the_pause_doubles_from_the_third_failure_up_to_its_limit(failures: int, seconds: int) -> None:
    assert CoolDown(3, 30, 600).pause_ms(failures) == seconds * 1000


def test_the_pause_runs_out_on_the_clock_and_never_grows_when_that_is_set_back() -> None:
    rule = CoolDown(1, 10, 600)
    assert rule.seconds_left(1, 5_000, 5_000) == 10
    assert rule.seconds_left(1, 5_000, 5_001) == 10
    assert rule.seconds_left(1, 5_000, 14_999) == 1
    assert rule.seconds_left(1, 5_000, 15_000) == 0
    assert rule.seconds_left(1, 5_000, 1_000) == 10


def test_what_is_told_is_what_the_setting_allows() -> None:
    none, score, items = (told(feedback, 8, 10, (2, 5)) for feedback in ("none", "score", "items"))
    assert (none.right, none.wrong) == (None, None)
    assert (score.right, score.wrong) == (8, None)
    assert (items.right, items.wrong) == (8, (2, 5))
    assert told("none", 10, 10, ()).right == 10
