"""A course folder's documents, whatever they were written in, and what can be wrong with them.

What belongs here: the tree a YAML reader makes, the place a value was written at, and the one table of
every problem's code with its words. The rules that find problems are in ``course_folder.py`` and
``quiz_document.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file of the folder and a line (from 1) or a cell (``B3``), if known."""

    file: str
    line: int | None = None
    cell: str | None = None

    def __str__(self) -> str:
        where = self.cell if self.cell is not None else self.line
        return self.file if where is None else f"{self.file}:{where}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a course folder, in words an author understands.

    ``code`` is stable and is what programs look at; ``zh`` and ``en`` say the same thing for people. A
    warning does not stop an import.
    """

    code: str
    place: Place
    zh: str
    en: str
    severity: Severity = "error"

    def text(self, language: str = "zh") -> str:
        """One line: place, code and message in ``zh`` or ``en``."""
        return f"{self.place}: {self.en if language == 'en' else self.zh} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Text:
    """A single value exactly as it was typed, without surrounding blanks.

    Nothing typed is the empty string.
    """

    place: Place
    value: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping in the order of the file. The reader has already reported keys that are there twice."""

    place: Place
    fields: tuple[tuple[Text, Node], ...]


Node = Text | Items | Fields

# code: (severity, Chinese, English). The words in braces are filled in by `problem`.
WORDS: Mapping[str, tuple[Severity, str, str]] = {
    # The documents themselves.
    "missing_file": ("error", "找不到文件 {name}", "file {name} is missing"),
    "not_a_file": ("error", "{name} 不是普通文件", "{name} is not a regular file"),
    "unreadable_file": ("error", "无法读取文件 {name}：{reason}", "file {name} cannot be read: {reason}"),
    "file_changed": (
        "error",
        "{name} 在导入时被改动，请重新导入",
        "{name} changed during the import; import again",
    ),
    "file_too_large": ("error", "文件超过 {limit} KiB", "the file is larger than {limit} KiB"),
    "not_utf8": ("error", "文件不是 UTF-8 编码，请另存为 UTF-8", "the file is not UTF-8; save it as UTF-8"),
    "yaml_syntax": ("error", "YAML 语法错误：{reason}", "YAML syntax error: {reason}"),
    "yaml_alias": (
        "error",
        "不允许使用 YAML 锚点、别名或标签（& * !）",
        "YAML anchors, aliases and tags (& * !) are not allowed",
    ),
    "yaml_too_deep": ("error", "嵌套层次过多", "the document is nested too deeply"),
    "duplicate_key": ("error", "“{key}”写了两次", "{key} is written twice"),
    "sheet_unreadable": ("error", "不是可以读取的 XLSX 文件", "this is not a readable XLSX file"),
    "sheet_too_large": ("error", "表格过大", "the sheet is too large"),
    "sheet_without_heading": (
        "error",
        "缺少表头，需要“题型”“题目”“选项A”…“答案”",
        "the heading row is missing: 题型 题目 选项A … 答案 (kind question A … answer)",
    ),
    # Shape and keys.
    "not_a_mapping": (
        "error",
        "此处应为“键: 值”，请检查冒号是否为半角并后跟空格",
        "expected “key: value” here; use a plain colon followed by a blank",
    ),
    "not_a_list": (
        "error",
        "“{key}”应为列表（每项以“- ”开头）",
        "{key} must be a list (“- ” before each item)",
    ),
    "not_a_text": ("error", "“{key}”应为单个值", "{key} must be a single value"),
    "unknown_key": ("error", "未知的项目“{key}”，可用：{known}", "unknown key {key}; known: {known}"),
    "missing_key": ("error", "缺少“{key}”", "{key} is missing"),
    "text_too_long": (
        "error",
        "“{key}”超过 {limit} 个字",
        "{key} is longer than {limit} characters",
    ),
    # The course.
    "missing_title": ("error", "缺少标题", "the title is missing"),
    "unknown_subject": (
        "error",
        "未知的科目“{value}”，可用：{known}",
        "unknown subject {value}; known: {known}",
    ),
    "no_videos": ("error", "课程没有视频", "the course has no videos"),
    "too_many_videos": ("error", "视频超过 {limit} 个", "there are more than {limit} videos"),
    "duplicate_title": (
        "error",
        "视频标题“{title}”与第 {line} 行重复",
        "the video title {title} is already used in line {line}",
    ),
    "duplicate_file": (
        "warning",
        "视频内容与第 {line} 行的相同",
        "this is the same video as the one in line {line}",
    ),
    "path_escapes": (
        "error",
        "路径“{path}”不在课程文件夹之内",
        "the path {path} leaves the course folder",
    ),
    "hours_not_a_number": ("error", "学时“{value}”不是数字", "the hours {value} are not a number"),
    "hours_too_precise": (
        "error",
        "学时“{value}”超过两位小数",
        "the hours {value} have more than two decimals",
    ),
    "hours_not_positive": ("error", "学时必须大于 0", "the hours must be greater than 0"),
    "hours_too_many": ("error", "学时不能超过 {limit}", "the hours must not exceed {limit}"),
    "hours_exceed_duration": (
        "warning",
        "{hours} 学时需要 {need} 分钟，视频只有 {have} 分钟",
        "{hours} hours mean {need} minutes, but the video lasts {have} minutes",
    ),
    "quiz_missing": (
        "error",
        "缺少 quiz：写习题文件名，没有习题则写 none",
        "quiz is missing: name the quiz file, or write none",
    ),
    "quiz_unknown_format": ("error", "习题文件须为 .yaml 或 .xlsx", "a quiz is a .yaml or .xlsx file"),
    # Videos and captions.
    "not_a_video": ("error", "{name} 不是可以播放的 MP4 视频", "{name} is not a playable MP4 video"),
    "no_picture": ("error", "{name} 没有画面", "{name} has no picture track"),
    "truncated_video": (
        "error",
        "{name} 不完整：应有 {want} 秒，只有 {have} 秒",
        "{name} is cut off: it announces {want} s but holds {have} s",
    ),
    "unsupported_codec": (
        "error",
        "浏览器无法播放 {codec} 编码，可用：{known}",
        "browsers do not play {codec}; use one of {known}",
    ),
    "unsupported_pixel_format": (
        "error",
        "浏览器无法播放 {pixels} 的 H.264 画面，请转为 yuv420p",
        "browsers do not play H.264 with {pixels} pixels; convert it to yuv420p",
    ),
    "bad_caption": (
        "error",
        "字幕 {name} 须为 UTF-8 编码并以 WEBVTT 开头",
        "the caption {name} must be UTF-8 and start with WEBVTT",
    ),
    # Quizzes.
    "no_questions": ("error", "习题没有题目", "the quiz has no questions"),
    "too_many_questions": ("error", "题目超过 {limit} 道", "there are more than {limit} questions"),
    "no_question_text": ("error", "缺少题目", "the question is missing"),
    "unknown_kind": ("error", "未知的题型“{value}”，可用：{known}", "unknown kind {value}; known: {known}"),
    "all_options_empty": ("error", "所有选项都为空", "all options are empty"),
    "too_few_options": ("error", "选项少于两个", "there are fewer than two options"),
    "too_many_options": ("error", "选项超过 {limit} 个", "there are more than {limit} options"),
    "empty_option": ("error", "选项 {letter} 为空", "option {letter} is empty"),
    "duplicate_option": (
        "error",
        "选项 {letter} 与选项 {first} 相同",
        "option {letter} is the same as option {first}",
    ),
    "no_right_option": ("error", "没有正确答案", "no right option is named"),
    "two_right_options": (
        "error",
        "单选题只能有一个正确答案",
        "a single choice has exactly one right option",
    ),
    "unknown_right_option": (
        "error",
        "答案“{value}”不是已有选项的字母",
        "the answer {value} is not the letter of an option",
    ),
    "true_false_answer": (
        "error",
        "判断题的答案须为“正确”或“错误”（true / false）",
        "a true/false question needs true or false as its answer",
    ),
    "true_false_options": (
        "error",
        "判断题的选项只能是“正确”和“错误”，也可以不写",
        "a true/false question has only the options true and false, or none written",
    ),
    "duplicate_question": (
        "warning",
        "题目和选项与 {place} 相同",
        "question and options are the same as in {place}",
    ),
}


def problem(code: str, place: Place, /, **details: object) -> Problem:
    """The problem ``code`` at ``place``, its words filled with ``details``.

    Raises KeyError for unknown codes.
    """
    severity, zh, en = WORDS[code]
    short = {name: _short(str(value)) for name, value in details.items()}
    return Problem(code, place, zh.format(**short), en.format(**short), severity)


def errors(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Only those that stop an import."""
    return tuple(found for found in problems if found.severity == "error")


def _short(value: str) -> str:
    # A message repeats what was typed, and somebody may have pasted a book, or control characters, into a
    # cell.
    printable = "".join(char if char.isprintable() else "�" for char in value)
    return printable if len(printable) <= 120 else printable[:119] + "…"
