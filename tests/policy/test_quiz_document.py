"""Quizzes as authors write them: every mistake is found, at its place, in one go."""

import pytest

from player_server.policy.course_document import Fields, Items, Node, Place, Problem, Text
from player_server.policy.quiz_content import QuizContent
from player_server.policy.quiz_document import quiz_of_document, quiz_of_sheet

PLACE = Place("quiz.yaml", 1)
HEADING = ["题型", "题目", "选项A", "选项B", "选项C", "答案"]


def node(value: object) -> Node:
    """A document made of dicts, lists and words."""
    if isinstance(value, dict):
        return Fields(PLACE, tuple((Text(PLACE, key), node(part)) for key, part in value.items()))
    if isinstance(value, list):
        return Items(PLACE, tuple(node(part) for part in value))
    return Text(PLACE, str(value))


def written(*questions: object) -> tuple[QuizContent | None, tuple[Problem, ...]]:
    return quiz_of_document(node({"questions": list(questions)}))


def sheet(*rows: list[str]) -> tuple[QuizContent | None, tuple[Problem, ...]]:
    cells = [
        [
            Text(Place("quiz.xlsx", cell=f"{'ABCDEFGHIJ'[column]}{number}"), value)
            for column, value in enumerate(row)
        ]
        for number, row in enumerate(rows, 1)
    ]
    return quiz_of_sheet(Place("quiz.xlsx"), cells)


def codes(result: tuple[QuizContent | None, tuple[Problem, ...]]) -> list[str]:
    return [found.code for found in result[1]]


def single(**changes: object) -> dict[str, object]:
    return {"kind": "single", "text": "几米？", "options": ["1 米", "2 米"], "right": "B"} | changes


def test_the_three_kinds_are_read() -> None:
    content, problems = written(
        single(),
        {"kind": "multiple", "text": "哪些？", "options": ["甲", "乙", "丙"], "right": ["C", "A"]},
        {"kind": "true_false", "text": "对吗？", "right": "false"},
    )
    assert problems == ()
    assert content is not None
    assert [(question.kind, question.right) for question in content.questions] == [
        ("single", (1,)),
        ("multiple", (0, 2)),
        ("true_false", (1,)),
    ]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (single(right="AB"), "two_right_options"),
        (single(right=["A", "B"]), "two_right_options"),
        (single(right=""), "no_right_option"),
        (single(kind="multiple", right=[]), "no_right_option"),
        (single(right="C"), "unknown_right_option"),
        (single(right="2"), "unknown_right_option"),
        (single(options=["1 米"], right="A"), "too_few_options"),
        (single(options=["", ""], right="A"), "all_options_empty"),
        (single(options=["1 米", "", "3 米"], right="A"), "empty_option"),
        (single(options=["2 米", "2  米"], right="A"), "duplicate_option"),
        (single(options=list("甲乙丙丁戊己庚辛壬"), right="A"), "too_many_options"),
        (single(options="1 米"), "not_a_list"),
        (single(kind="essay"), "unknown_kind"),
        (single(text=""), "no_question_text"),
        (single(text="长" * 2001), "text_too_long"),
        (single(hint="B"), "unknown_key"),
        ({"kind": "true_false", "text": "对吗？", "right": "A"}, "true_false_answer"),
        ({"kind": "true_false", "text": "对吗？", "right": "maybe"}, "true_false_answer"),
        ({"kind": "true_false", "text": "对吗？"}, "no_right_option"),
        ({"kind": "true_false", "text": "对吗？", "options": ["甲", "乙"], "right": "true"}, "true_false_options"),
        ("几米？", "not_a_mapping"),
    ],
)
def test_a_mistake_is_found_and_gives_no_quiz(question: object, code: str) -> None:
    content, problems = written(question)
    assert content is None
    assert [found.code for found in problems] == [code]
    assert problems[0].zh and problems[0].en


def test_all_mistakes_of_all_questions_are_found_at_once() -> None:
    result = written(single(right="AB"), single(text="另一题", options=["1 米"], right="A"), single(kind="x"))
    assert codes(result) == ["two_right_options", "too_few_options", "unknown_kind"]


def test_options_that_differ_in_case_or_in_a_raised_digit_are_two_options() -> None:
    assert codes(written(single(options=["mW", "MW", "m2", "m²"]))) == []


def test_the_same_question_twice_is_a_warning_only() -> None:
    content, problems = written(single(), single(right="A"))
    assert content is not None
    assert [(found.code, found.severity) for found in problems] == [("duplicate_question", "warning")]


@pytest.mark.parametrize("document", [{}, {"questions": []}, {"questions": ""}])
def test_a_quiz_without_questions_is_an_error(document: object) -> None:
    assert codes(quiz_of_document(node(document))) == ["no_questions"]


def test_a_sheet_gives_the_same_version_as_the_same_quiz_in_yaml() -> None:
    content, problems = sheet(
        HEADING, ["单选题", "几米？", "1 米", "2 米", "", "B"], ["判断题", "对吗？", "", "", "", "√"]
    )
    assert problems == ()
    assert content == written(single(), {"kind": "true_false", "text": "对吗？", "right": "true"})[0]


@pytest.mark.parametrize("answer", ["AC", "A,C", "A、C", "ａ，ｃ", "C A"])
def test_a_sheet_takes_several_letters_however_they_are_separated(answer: str) -> None:
    content, _ = sheet(HEADING, ["多选题", "哪些？", "甲", "乙", "丙", answer])
    assert content is not None
    assert content.questions[0].right == (0, 2)


@pytest.mark.parametrize(("options", "right"), [(["正确", "错误"], (1,)), (["错", "对"], (0,))])
def test_a_true_false_row_may_repeat_its_options_and_answer_by_letter(
    options: list[str], right: tuple[int]
) -> None:
    content, _ = sheet(HEADING, ["判断题", "对吗？", *options, "", "B"])
    assert content is not None
    assert content.questions[0].right == right


def test_english_headings_empty_rows_and_empty_columns_are_taken() -> None:
    content, problems = sheet(
        ["", "", "", "", "", ""],
        ["Kind", "Question", "Option A", "option b", "", "Answer"],
        ["", "", "", "", "", ""],
        ["single", "几米？", "1 米", "2 米", "", "b"],
    )
    assert problems == ()
    assert content == written(single())[0]


def test_mistakes_in_a_sheet_are_named_by_their_cells() -> None:
    _, problems = sheet(
        HEADING,
        ["单选题", "几米？", "1 米", "2 米", "3 米", "AB"],
        ["多选题", "", "甲", "", "丙", "A"],
        ["填空题", "几米？", "", "", "", ""],
    )
    assert [(str(found.place), found.code) for found in problems] == [
        ("quiz.xlsx:F2", "two_right_options"),
        ("quiz.xlsx:B3", "no_question_text"),
        ("quiz.xlsx:D3", "empty_option"),
        ("quiz.xlsx:A4", "unknown_kind"),
    ]


def test_a_sheet_with_wrong_headings_says_which_and_leaves_the_rows_alone() -> None:
    _, problems = sheet(["题型", "题干", "选项A", "选项A", "", "答案"], ["x", "x", "", "", "", ""])
    assert [(str(found.place), found.code) for found in problems] == [
        ("quiz.xlsx:B1", "unknown_key"),
        ("quiz.xlsx:D1", "duplicate_key"),
        ("quiz.xlsx:A1", "missing_key"),
    ]


def test_an_empty_sheet_lacks_its_heading() -> None:
    assert codes(sheet()) == ["sheet_without_heading"]
    assert codes(sheet(HEADING)) == ["no_questions"]
