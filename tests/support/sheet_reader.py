"""Reads the page of a quiz as a learner's browser shows it, and fills it in, right or wrong."""

from __future__ import annotations

from html.parser import HTMLParser

from player_server.policy.quiz_content import QuizContent
from tests.support.quizzes import CONTENT


class SheetReader(HTMLParser):
    """Reads a sheet as a browser shows it: texts of questions, and field and value of each option."""

    def __init__(self, page: str, content: QuizContent = CONTENT) -> None:
        super().__init__()
        self.content = content
        self.hidden: dict[str, str] = {}
        self.options: dict[str, list[tuple[str, str, bool]]] = {}  # question → (value, text, checked)
        self.questions: dict[str, str] = {}  # field → question
        self._text: list[str] = []
        self._question = ""
        self._field: tuple[str, str, bool] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "input" and values.get("type") == "hidden":
            self.hidden[values["name"]] = values["value"]
        elif tag == "input":
            self._field = (values["name"], values["value"], "checked" in values)
            self._text = []
        elif tag == "legend":
            self._text = []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = " ".join("".join(self._text).split())
        if tag == "legend":
            self._question = text
        elif tag == "label" and self._field is not None:
            name, value, checked = self._field
            found = next(q.text for q in self.content.questions if q.text in self._question)
            self.questions[name] = found
            self.options.setdefault(found, []).append((value, text, checked))

    def fields(self, wrong: set[str] | None = None) -> list[tuple[str, str]]:
        """What a browser sends: all right, or wrong at these questions."""
        sent = list(self.hidden.items())
        for name, text in self.questions.items():
            question = next(q for q in self.content.questions if q.text == text)
            right = {question.options[index] for index in question.right}
            places = [
                value for value, option, _ in self.options[text] if (option in right) != (text in (wrong or ()))
            ]
            sent += [(name, value) for value in (places if question.kind == "multiple" else places[:1])]
        return sent
