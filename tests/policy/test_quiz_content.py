"""Quizzes as content: the canonical form, the version, and grading."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from player_server.policy.quiz_content import (
    TRUE_FALSE_OPTIONS,
    Question,
    QuizContent,
    decode,
    encode,
    grade,
    version_of,
)

SINGLE = Question("single", "几米以上是高处作业？", ("1 米", "2 米", "3 米"), (1,))
MULTIPLE = Question("multiple", "防护栏杆包括：", ("横杆", "立杆", "挡脚板", "灯笼"), (0, 1, 2))
TRUE_FALSE = Question("true_false", "安全带高挂低用。", TRUE_FALSE_OPTIONS, (0,))
QUIZ = QuizContent((SINGLE, MULTIPLE, TRUE_FALSE))


def test_all_right_options_and_no_other_make_an_answer_right() -> None:
    assert grade(QUIZ, [{1}, {0, 1, 2}, {0}]) == [True, True, True]


@pytest.mark.parametrize("chosen", [set(), {0}, {0, 1}, {0, 1, 2, 3}, {3}, {0, 1, 2, 99}])
def test_a_multiple_choice_gives_nothing_for_a_part_or_for_too_much(chosen: set[int]) -> None:
    assert grade(QuizContent((MULTIPLE,)), [chosen]) == [False]


def test_an_unanswered_question_is_wrong_and_does_not_touch_the_others() -> None:
    assert grade(QUIZ, [{1}, set(), {0}]) == [True, False, True]


def test_two_options_of_a_single_choice_are_wrong_even_with_the_right_one() -> None:
    assert grade(QuizContent((SINGLE,)), [{1, 2}]) == [False]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_answers_than_questions_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="3 questions"):
        grade(QUIZ, [{0}] * count)


def test_the_canonical_form_is_fixed_for_ever_because_versions_hang_on_it() -> None:
    assert encode(QuizContent((TRUE_FALSE,))).decode() == (
        '{"questions":[{"kind":"true_false","options":["正确","错误"],"right":[0],"text":"安全带高挂低用。"}]}'
    )
    assert version_of(QuizContent((TRUE_FALSE,))) == (
        "536a9fd340ef74569f6e1110dbca06df01ca28690203067b7ed1d64b61611b74"
    )


def test_any_change_makes_another_version() -> None:
    changed = [
        QuizContent((MULTIPLE, SINGLE, TRUE_FALSE)),
        QuizContent((msgspec.structs.replace(SINGLE, right=(2,)), MULTIPLE, TRUE_FALSE)),
        QuizContent((msgspec.structs.replace(SINGLE, text="几米？"), MULTIPLE, TRUE_FALSE)),
    ]
    assert len({version_of(content) for content in [QUIZ, *changed]}) == 4


TEXTS = st.text(min_size=1, max_size=20)
QUESTIONS = st.builds(
    Question,
    kind=st.sampled_from(["single", "multiple", "true_false"]),
    text=TEXTS,
    options=st.lists(TEXTS, min_size=2, max_size=8).map(tuple),
    right=st.sets(st.integers(0, 7), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
)


@given(st.lists(QUESTIONS, min_size=1, max_size=5).map(lambda listed: QuizContent(tuple(listed))))
def test_what_is_stored_can_be_read_again_and_keeps_its_version(content: QuizContent) -> None:
    assert decode(encode(content)) == content
    assert version_of(decode(encode(content))) == version_of(content)
    assert grade(content, [set(question.right) for question in content.questions]) == [True] * len(
        content.questions
    )


def test_a_stored_form_with_unknown_parts_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode('{"questions":[],"hint":"B"}')
