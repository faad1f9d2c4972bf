"""What a quiz is, its version, and how it is graded.

What belongs here: the content that is stored, shown and graded. How authors write quizzes down is in
``quiz_document.py``; shuffling and hiding the right options from the page is the use case's duty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from typing import Literal

import msgspec

Kind = Literal["single", "multiple", "true_false"]

TRUE_FALSE_OPTIONS = ("正确", "错误")
"""A true/false question's options, so that it is graded like any other: index 0 is true, index 1 is false."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question.

    ``right`` holds the indexes (from 0) of the right options in rising order, without repeats.
    """

    kind: Kind
    text: str
    options: tuple[str, ...]
    right: tuple[int, ...]


class QuizContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The questions of one version of a quiz, in the author's order."""

    questions: tuple[Question, ...]


def encode(content: QuizContent) -> bytes:
    """The canonical form: UTF-8 JSON, keys sorted, no blanks.

    Equal contents give equal bytes on every machine.
    """
    return msgspec.json.encode(content, order="sorted")


def decode(data: bytes | str) -> QuizContent:
    """The content of a stored canonical form. Raises ``msgspec.ValidationError`` when it is none."""
    return msgspec.json.decode(data, type=QuizContent)


def version_of(content: QuizContent) -> str:
    """The quiz's version: the SHA-256 of its canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(encode(content)).hexdigest()


def same_questions(one: QuizContent, other: QuizContent) -> bool:
    """Whether both ask the same, in the same order with the same options; the right ones may differ."""
    return len(one.questions) == len(other.questions) and all(
        (a.kind, a.text, a.options) == (b.kind, b.text, b.options)
        for a, b in zip(one.questions, other.questions, strict=True)
    )


def with_key(content: QuizContent, rights: Sequence[Sequence[int]]) -> QuizContent:
    """The same questions with other right options, one sequence of indexes (from 0) for each question.

    Raises ValueError where a question gets none, one that it does not have, or several though it is no multiple.
    """
    if len(rights) != len(content.questions):
        raise ValueError(f"{len(rights)} keys to {len(content.questions)} questions")
    questions = []
    for question, chosen in zip(content.questions, rights, strict=True):
        right = tuple(sorted(set(chosen)))
        if not right or right[0] < 0 or right[-1] >= len(question.options):
            raise ValueError(f"no such options: {right}")
        if question.kind != "multiple" and len(right) > 1:
            raise ValueError("several right options of a single choice")
        questions.append(msgspec.structs.replace(question, right=right))
    return QuizContent(tuple(questions))


def grade(content: QuizContent, chosen: Sequence[Set[int]]) -> list[bool]:
    """For each question, whether exactly its right options were chosen: no partial points.

    ``chosen`` holds a set of the author's option indexes for every question, in the author's order; an
    unanswered question is an empty set. Raises ValueError when the number of sets is not the number of
    questions.
    """
    if len(chosen) != len(content.questions):
        raise ValueError(f"{len(chosen)} answers to {len(content.questions)} questions")
    return [set(answer) == set(question.right) for question, answer in zip(content.questions, chosen, strict=True)]
