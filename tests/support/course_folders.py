"""Course folders as an author writes them: YAML files and real clips, which the product imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from player_server.policy.quiz_content import QuizContent
from tests.support.clips import make_clip


@dataclass(frozen=True, slots=True)
class Clip:
    """One video to be made. `hours` as an author writes them."""

    title: str
    seconds: float
    hours: float = 1
    quiz: QuizContent | None = None


def write_course(folder: Path, *clips: Clip, title: str = "施工现场安全") -> Path:
    """Make `folder` with these videos and their quizzes, and return it. Every clip is a file of its own."""
    folder.mkdir(parents=True)
    videos: list[dict[str, Any]] = []
    for number, clip in enumerate(clips, 1):
        make_clip(folder / f"{number}.mp4", picture_s=clip.seconds, sound_s=clip.seconds, shade=number)
        quiz = "none"
        if clip.quiz is not None:
            quiz = f"{number}.yaml"
            _write(folder / quiz, {"questions": _questions(clip.quiz)})
        videos.append({"file": f"{number}.mp4", "title": clip.title, "hours": clip.hours, "quiz": quiz})
    _write(
        folder / "course.yaml",
        {"title": title, "specialty": "建筑工程", "subject": "professional", "videos": videos},
    )
    return folder


def _questions(content: QuizContent) -> list[dict[str, Any]]:
    questions = []
    for each in content.questions:
        letters = ["ABCDEFGHI"[index] for index in each.right]
        question: dict[str, Any] = {"kind": each.kind, "text": each.text}
        if each.kind == "true_false":
            question["right"] = each.right == (0,)
        else:
            question |= {"options": list(each.options), "right": letters if each.kind == "multiple" else letters[0]}
        questions.append(question)
    return questions


def _write(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
