"""How authors write a quiz down, as YAML or as a sheet, and what they may get wrong.

What belongs here: from a document with places to a ``QuizContent`` or every problem in it. A YAML quiz and
a sheet are first brought to the same draft, so that both obey the same rules. Reading files is not done
here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .course_document import Fields, Items, Node, Place, Problem, Text, errors, problem
from .quiz_content import TRUE_FALSE_OPTIONS, Kind, Question, QuizContent


@dataclass(frozen=True, slots=True)
class QuizLimits:
    """Bounds that a sensible quiz never meets; they keep a page and a database row small."""

    questions: int = 200
    options: int = 8  # Letters A to H, the columns of the sheet.
    text_chars: int = 2000
    option_chars: int = 500


LETTERS = "ABCDEFGH"

KINDS: Mapping[str, Kind] = {
    "single": "single",
    "单选": "single",
    "单选题": "single",
    "单项选择题": "single",
    "multiple": "multiple",
    "多选": "multiple",
    "多选题": "multiple",
    "多项选择题": "multiple",
    "true_false": "true_false",
    "true/false": "true_false",
    "判断": "true_false",
    "判断题": "true_false",
}
KNOWN_KINDS = "single 单选题, multiple 多选题, true_false 判断题"

TRUE_WORDS = frozenset({"true", "正确", "对", "√", "✓", "是", "yes", "t"})
FALSE_WORDS = frozenset({"false", "错误", "错", "×", "✗", "x", "否", "no", "f"})

HEADINGS: Mapping[str, str] = {
    "题型": "kind",
    "kind": "kind",
    "type": "kind",
    "题目": "text",
    "question": "text",
    "text": "text",
    "答案": "right",
    "正确答案": "right",
    "answer": "right",
    "right": "right",
    **{f"选项{letter.lower()}": letter for letter in LETTERS},
    **{f"option{letter.lower()}": letter for letter in LETTERS},
    **{letter.lower(): letter for letter in LETTERS},
}
KNOWN_HEADINGS = "题型, 题目, 选项A…选项H, 答案 (kind, question, A…H, answer)"
KNOWN_KEYS = ("kind", "text", "options", "right")


@dataclass(frozen=True, slots=True)
class _Draft:
    """One question as typed. Options keep their positions, because the answer names them by letter."""

    place: Place
    kind: Text | None
    text: Text | None
    options: tuple[Text, ...]
    right: tuple[Text, ...]


def quiz_of_document(
    document: Node, limits: QuizLimits = QuizLimits()
) -> tuple[QuizContent | None, tuple[Problem, ...]]:
    """The quiz of a YAML document: a mapping with ``questions``. Gives no content when there is an error."""
    problems: list[Problem] = []
    if not isinstance(document, Fields):
        return None, (problem("not_a_mapping", document.place),)
    listed: Node | None = None
    for key, value in document.fields:
        if key.value == "questions":
            listed = value
        else:
            problems.append(problem("unknown_key", key.place, key=key.value, known="questions"))
    drafts: list[_Draft] = []
    if isinstance(listed, Items):
        drafts = [draft for node in listed.items if (draft := _draft_of_node(node, problems))]
    elif listed is not None and not (isinstance(listed, Text) and not listed.value):
        problems.append(problem("not_a_list", listed.place, key="questions"))
    return _content(document.place, drafts, problems, limits)


def quiz_of_sheet(
    place: Place, rows: Sequence[Sequence[Text]], limits: QuizLimits = QuizLimits()
) -> tuple[QuizContent | None, tuple[Problem, ...]]:
    """The quiz of a sheet: a heading row, then one question a row. Empty rows are skipped.

    ``rows`` are all cells from the first to the last used row, each with its place; ``place`` is the sheet's.
    """
    filled = [row for row in rows if any(cell.value for cell in row)]
    if not filled:
        return None, (problem("sheet_without_heading", place),)
    problems: list[Problem] = []
    columns: dict[str, int] = {}
    for index, cell in enumerate(filled[0]):
        name = HEADINGS.get(re.sub(r"\s", "", unicodedata.normalize("NFKC", cell.value)).casefold())
        if name is not None and name in columns:
            problems.append(problem("duplicate_key", cell.place, key=cell.value))
        elif name is not None:
            columns[name] = index
        elif cell.value:
            problems.append(problem("unknown_key", cell.place, key=cell.value, known=KNOWN_HEADINGS))
    for name, heading in (("kind", "题型"), ("text", "题目"), ("right", "答案")):
        if name not in columns:
            problems.append(problem("missing_key", filled[0][0].place, key=heading))
    if problems:
        # With unsure columns every row would be reported, and none of that would help.
        return None, tuple(problems)
    letters = [letter for letter in LETTERS if letter in columns]
    drafts = []
    for row in filled[1:]:
        options = [row[columns[letter]] for letter in letters]
        while options and not options[-1].value:
            options.pop()
        kind, text, right = (row[columns[name]] for name in ("kind", "text", "right"))
        drafts.append(_Draft(kind.place, kind, text, tuple(options), (right,)))
    return _content(place, drafts, problems, limits)


def _draft_of_node(node: Node, problems: list[Problem]) -> _Draft | None:
    if not isinstance(node, Fields):
        problems.append(problem("not_a_mapping", node.place))
        return None
    values: dict[str, Node] = {}
    for key, value in node.fields:
        if key.value in KNOWN_KEYS:
            values[key.value] = value
        else:
            problems.append(problem("unknown_key", key.place, key=key.value, known=", ".join(KNOWN_KEYS)))
    single: dict[str, Text] = {}
    for name in ("kind", "text"):
        typed = values.get(name)
        if isinstance(typed, Text):
            single[name] = typed
        elif typed is not None:
            problems.append(problem("not_a_text", typed.place, key=name))
            return None
    options, right = values.get("options"), values.get("right")
    if isinstance(options, Fields) or (isinstance(options, Text) and options.value):
        problems.append(problem("not_a_list", options.place, key="options"))
        return None
    if isinstance(right, Fields):
        problems.append(problem("not_a_text", right.place, key="right"))
        return None
    return _Draft(
        node.place,
        single.get("kind"),
        single.get("text"),
        _texts(options, "options", problems),
        (right,) if isinstance(right, Text) else _texts(right, "right", problems),
    )


def _texts(node: Node | None, key: str, problems: list[Problem]) -> tuple[Text, ...]:
    if not isinstance(node, Items):
        return ()
    for item in node.items:
        if not isinstance(item, Text):
            problems.append(problem("not_a_text", item.place, key=key))
    return tuple(item for item in node.items if isinstance(item, Text))


def _content(
    place: Place, drafts: Sequence[_Draft], problems: list[Problem], limits: QuizLimits
) -> tuple[QuizContent | None, tuple[Problem, ...]]:
    if not drafts and not problems:
        problems.append(problem("no_questions", place))
    if len(drafts) > limits.questions:
        problems.append(problem("too_many_questions", drafts[limits.questions].place, limit=limits.questions))
        drafts = drafts[: limits.questions]
    questions: list[Question] = []
    seen: dict[str, Place] = {}
    for draft in drafts:
        question = _question(draft, problems, limits)
        if question is None:
            continue
        words = "\n".join(map(_plain, (question.text, *question.options)))
        if words in seen:
            problems.append(problem("duplicate_question", draft.place, place=seen[words]))
        else:
            seen[words] = draft.place
        questions.append(question)
    if errors(problems):
        return None, tuple(problems)
    return QuizContent(tuple(questions)), tuple(problems)


def _question(draft: _Draft, problems: list[Problem], limits: QuizLimits) -> Question | None:
    before = len(problems)
    text = draft.text.value if draft.text else ""
    if not text:
        problems.append(problem("no_question_text", (draft.text or draft).place))
    elif draft.text and len(text) > limits.text_chars:
        problems.append(problem("text_too_long", draft.text.place, key="text", limit=limits.text_chars))
    kind = KINDS.get(draft.kind.value.casefold()) if draft.kind else None
    if kind is None:
        typed = draft.kind.value if draft.kind else ""
        place = (draft.kind or draft).place
        problems.append(problem("unknown_kind", place, value=typed, known=KNOWN_KINDS))
        return None
    options: tuple[str, ...]
    if kind == "true_false":
        options, right = TRUE_FALSE_OPTIONS, _true_or_false(draft, problems)
    else:
        options = _options(draft, problems, limits)
        right = _right(draft, kind, len(options), problems)
    if len(problems) > before:
        return None
    return Question(kind, _nfc(text), options, right)


def _options(draft: _Draft, problems: list[Problem], limits: QuizLimits) -> tuple[str, ...]:
    typed = draft.options
    if typed and not any(option.value for option in typed):
        problems.append(problem("all_options_empty", typed[0].place))
        return tuple(_nfc(option.value) for option in typed)
    if len(typed) < 2:
        problems.append(problem("too_few_options", (typed[0] if typed else draft).place))
    if len(typed) > limits.options:
        problems.append(problem("too_many_options", typed[limits.options].place, limit=limits.options))
    seen: dict[str, str] = {}
    for letter, option in zip(LETTERS, typed, strict=False):
        if not option.value:
            problems.append(problem("empty_option", option.place, letter=letter))
        elif (first := seen.setdefault(_plain(option.value), letter)) != letter:
            problems.append(problem("duplicate_option", option.place, letter=letter, first=first))
        if len(option.value) > limits.option_chars:
            problems.append(problem("text_too_long", option.place, key=letter, limit=limits.option_chars))
    return tuple(_nfc(option.value) for option in typed)


def _right(draft: _Draft, kind: Kind, options: int, problems: list[Problem]) -> tuple[int, ...]:
    right: set[int] = set()
    for typed in draft.right:
        letters = re.sub(r"[\s,;、.]", "", unicodedata.normalize("NFKC", typed.value)).upper()
        if any(letter not in LETTERS[:options] for letter in letters):
            problems.append(problem("unknown_right_option", typed.place, value=typed.value))
            return ()
        right.update(LETTERS.index(letter) for letter in letters)
    place = (draft.right[0] if draft.right else draft).place
    if not right:
        problems.append(problem("no_right_option", place))
    elif kind == "single" and len(right) > 1:
        problems.append(problem("two_right_options", place))
    return tuple(sorted(right))


def _true_or_false(draft: _Draft, problems: list[Problem]) -> tuple[int, ...]:
    # The options of a true/false question are fixed. Sheets often repeat them, in either order, and then the
    # answer may be a letter.
    written = [_truth(option.value) for option in draft.options]
    if written and sorted(written, key=str) != [False, True]:
        problems.append(problem("true_false_options", draft.options[0].place))
        return ()
    place = (draft.right[0] if draft.right else draft).place
    if not draft.right or (len(draft.right) == 1 and not draft.right[0].value):
        problems.append(problem("no_right_option", place))
        return ()
    typed = draft.right[0].value if len(draft.right) == 1 else ""
    answer = _truth(typed)
    if answer is None and written and typed.upper() in ("A", "B"):
        answer = written["AB".index(typed.upper())]
    if answer is None:
        problems.append(problem("true_false_answer", place))
        return ()
    return (0,) if answer else (1,)


def _truth(word: str) -> bool | None:
    word = word.casefold()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def _nfc(text: str) -> str:
    # The same words typed on two systems must give the same version.
    return unicodedata.normalize("NFC", text)


def _plain(text: str) -> str:
    # Two texts that differ only in blanks are the same to a reader. Upper and lower case, or ² and 2, are
    # not: “mW” and “MW” may well stand side by side as options.
    return "".join(_nfc(text).split())
