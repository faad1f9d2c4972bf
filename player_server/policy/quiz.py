"""What a learner sees of a quiz, how long a pause lasts after failures, and what may be told about a submission.

What belongs here: rules of one submission, as values. What a quiz is and how it is graded stands in
``quiz_content.py``; tokens, rows and clocks are the use case's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from .quiz_content import Kind, QuizContent

Feedback = Literal["none", "score", "items"]

#: Options that speak of the options above them only make sense at the end of the list.
_SPEAKS_OF_OTHERS = ("以上", "上述", "all of the above", "none of the above")


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A question as it goes out. It has no field that could carry the right option."""

    number: int  # as shown, from 1
    kind: Kind
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The order of one sheet. The same seed and content give the same order on every node.

    `questions[i]` is the author's index of the question shown at place i; `options[i][j]` is the author's index
    of the option that stands there at place j. All from 0.
    """

    questions: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    def show(self, content: QuizContent) -> tuple[ShownQuestion, ...]:
        """The questions in this order, without their answers."""
        return tuple(
            ShownQuestion(
                place + 1,
                content.questions[index].kind,
                content.questions[index].text,
                tuple(content.questions[index].options[option] for option in options),
            )
            for place, (index, options) in enumerate(zip(self.questions, self.options, strict=True))
        )

    def to_author(self, chosen: Sequence[Set[int]]) -> list[frozenset[int]]:
        """From chosen places, one set for each shown question, to the author's indexes in the author's order."""
        answers = [frozenset[int]()] * len(self.questions)
        for index, options, places in zip(self.questions, self.options, chosen, strict=True):
            answers[index] = frozenset(options[place] for place in places)
        return answers

    def numbers(self, indexes: Set[int]) -> tuple[int, ...]:
        """From the author's question indexes to the numbers shown (from 1), in rising order."""
        return tuple(place + 1 for place, index in enumerate(self.questions) if index in indexes)


def shuffle(content: QuizContent, seed: bytes) -> Shuffle:
    """An order drawn from a seed that nobody outside can know; every order is equally likely.

    True/false questions keep "true" before "false", as people expect; that says nothing about the answer.
    """
    questions = _order(range(len(content.questions)), seed, b"questions")
    options = []
    for index in questions:
        question = content.questions[index]
        every = range(len(question.options))
        if question.kind == "true_false":
            options.append(tuple(every))
            continue
        last = tuple(i for i in every if question.options[i].casefold().startswith(_SPEAKS_OF_OTHERS))
        options.append(_order([i for i in every if i not in last], seed, b"options %d" % index) + last)
    return Shuffle(questions, tuple(options))


def _order(items: Sequence[int], seed: bytes, label: bytes) -> tuple[int, ...]:
    # Sorting by independent random keys is a uniform shuffle, without a generator and its state.
    return tuple(sorted(items, key=lambda item: hashlib.sha256(b"%b|%b|%d" % (seed, label, item)).digest()))


@dataclass(frozen=True, slots=True)
class CoolDown:
    """The pause after failures of one learner at one video: it makes trying out answers cost real time.

    From the `after`-th failure on: `first_s`, doubling with each further one up to `longest_s` (seconds).
    """

    after: int = 3
    first_s: float = 30
    longest_s: float = 600

    def pause_ms(self, failures: int) -> int:
        """How long the pause after this many failures is."""
        if failures < self.after:
            return 0
        # Beyond 2³⁰ times the first pause every sensible limit is reached; the bound keeps the number a float.
        doubled = self.first_s * 2.0 ** min(failures - self.after, 30)
        return round(min(doubled, self.longest_s) * 1000)

    def seconds_left(self, failures: int, last_failure_ms: int, now_ms: int) -> int:
        """Whole seconds, rounded up, until the next submission is taken; both times are of the same clock."""
        # A clock that was set back must not make the pause longer than it is.
        passed = max(0, now_ms - last_failure_ms)
        return -(-max(0, self.pause_ms(failures) - passed) // 1000)


@dataclass(frozen=True, slots=True)
class Told:
    """What a learner may know about a submission; None = not told."""

    right: int | None
    wrong: tuple[int, ...] | None


def told(feedback: Feedback, right: int, total: int, wrong: tuple[int, ...]) -> Told:
    """Reduce a result to what the setting allows; the right options are never told.

    What each costs somebody who guesses five single choices of four options, with the default pauses:
    `none`, about 500 submissions (three and a half days); `score`, at most 16, changing one answer at a time (an
    hour and a half); `items`, at most 4 (half a minute). Something all right is always told to be all right.
    """
    if right == total:
        return Told(right, ())
    return Told(None if feedback == "none" else right, wrong if feedback == "items" else None)
