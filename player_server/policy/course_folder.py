"""What a course folder must say, and what may be wrong with it.

What belongs here: from ``course.yaml`` as a document with places, and from what was found in its files, to
a ``CoursePlan`` or every problem at once. It takes two calls, because only the first one knows which files
to look at: ``draft_course`` reads the document, the caller reads the files it names, ``plan_course`` judges
both together. Reading files is not done here; the quizzes' own rules are in ``quiz_document.py``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

from .course_document import Fields, Items, Node, Place, Problem, Text, errors, problem
from .quiz_content import QuizContent

COURSE_FILE = "course.yaml"
NO_QUIZ = "none"
QUIZ_SUFFIXES = (".yaml", ".yml", ".xlsx")

Subject = Literal["public", "professional", "elective"]
SUBJECTS: Mapping[str, Subject] = {
    "public": "public",
    "公共": "public",
    "professional": "professional",
    "专业": "professional",
    "elective": "elective",
    "选修": "elective",
}

# What browsers play out of an MP4 file, by FFmpeg's canonical codec names.
VIDEO_CODECS: Mapping[str, str] = {"h264": "H.264", "av1": "AV1", "vp9": "VP9"}
AUDIO_CODECS: Mapping[str, str] = {"aac": "AAC", "mp3": "MP3", "opus": "Opus"}
# AV1 and VP9 decoders play other pixel formats too; browsers' H.264 decoders play these only.
H264_PIXELS = frozenset({"yuv420p", "yuvj420p"})

MS_PER_HOUR = 45 * 60 * 1000
"""One 学时 is usually 45 minutes."""


@dataclass(frozen=True, slots=True)
class CourseLimits:
    """Bounds that a sensible course never meets; they keep pages and database rows small."""

    videos: int = 500
    title_chars: int = 200
    path_chars: int = 400
    hours: int = 1000
    # A track is cut off when it ends this much before its header says. Encoders round the last frame.
    missing_end_ms: int = 1000


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What was found in one video file.

    ``sha256`` is of the source file; ``duration_ms`` is the earliest end of its picture and sound tracks;
    ``announced_ms`` is the earliest end its header speaks of. Codecs are FFmpeg's canonical names.
    """

    sha256: str
    duration_ms: int
    announced_ms: int
    video_codec: str
    pixel_format: str
    audio_codec: str | None
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CaptionFacts:
    """A WebVTT file that lies beside a video, with the SHA-256 of its bytes.

    ``path`` is relative to the folder.
    """

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class VideoDraft:
    """One entry of ``videos`` as far as the document alone can be judged.

    ``quiz`` is None for ``quiz: none``.
    """

    place: Place
    file: Text
    title: str
    title_place: Place
    hours_hundredths: int
    hours_place: Place
    quiz: Text | None


@dataclass(frozen=True, slots=True)
class CourseDraft:
    """The course as far as the document alone can be judged."""

    title: str
    specialty: str
    subject: Subject
    videos: tuple[VideoDraft, ...]


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video to be imported. ``file`` is relative to the folder, hours are in hundredths and above 0."""

    title: str
    file: str
    hours_hundredths: int
    facts: VideoFacts
    quiz: QuizContent | None
    caption: CaptionFacts | None


@dataclass(frozen=True, slots=True)
class CoursePlan:
    """A course without errors, its videos in their order."""

    title: str
    specialty: str
    subject: Subject
    videos: tuple[VideoPlan, ...]


def draft_course(document: Node, limits: CourseLimits = CourseLimits()) -> tuple[CourseDraft, tuple[Problem, ...]]:
    """The draft of ``course.yaml`` and its problems.

    The draft is given even when there are errors, so that the files of the sound entries can be looked at and
    every error be reported in one go. Entries whose file cannot be told are left out of it.
    """
    problems: list[Problem] = []
    if not isinstance(document, Fields):
        return CourseDraft("", "", "public", ()), (problem("not_a_mapping", document.place),)
    fields = _fields(document, ("title", "specialty", "subject", "videos"), problems)
    title = _title(fields.get("title"), document.place, limits, problems)
    specialty = _text(fields.get("specialty"), "specialty", document.place, limits.title_chars, problems)
    subject = _subject(fields.get("subject"), document.place, problems)
    listed = fields.get("videos")
    nodes: tuple[Node, ...] = ()
    if isinstance(listed, Items):
        nodes = listed.items
    elif listed is not None and not (isinstance(listed, Text) and not listed.value):
        problems.append(problem("not_a_list", listed.place, key="videos"))
    if not nodes and not isinstance(listed, Fields):
        problems.append(problem("no_videos", (listed or document).place))
    if len(nodes) > limits.videos:
        problems.append(problem("too_many_videos", nodes[limits.videos].place, limit=limits.videos))
    drafts = [_video(node, limits, problems) for node in nodes[: limits.videos]]
    videos = tuple(draft for draft in drafts if draft is not None)
    _duplicate_titles(videos, problems)
    return CourseDraft(title, specialty, subject or "public", videos), tuple(problems)


def plan_course(
    draft: CourseDraft,
    found: Sequence[Problem],
    videos: Mapping[str, VideoFacts],
    quizzes: Mapping[str, QuizContent],
    captions: Mapping[str, CaptionFacts],
    limits: CourseLimits = CourseLimits(),
) -> tuple[CoursePlan | None, tuple[Problem, ...]]:
    """The plan, or None when there is any error, and all problems in the order of the files and lines.

    ``found`` are the problems known so far; whatever is not in the three mappings, by path as written,
    could not be read and has its problem there already.
    """
    problems = list(found)
    plans: list[VideoPlan] = []
    first_with: dict[str, Place] = {}
    for video in draft.videos:
        facts = videos.get(video.file.value)
        if facts is None:
            continue
        problems.extend(video_problems(facts, video.file.place, video.file.value, limits))
        if facts.sha256 in first_with:
            problems.append(problem("duplicate_file", video.file.place, line=first_with[facts.sha256].line))
        first_with.setdefault(facts.sha256, video.file.place)
        problems.extend(_hours_problems(video, facts))
        quiz = quizzes.get(video.quiz.value) if video.quiz else None
        caption = captions.get(video.file.value)
        plans.append(VideoPlan(video.title, video.file.value, video.hours_hundredths, facts, quiz, caption))
    problems.sort(key=_reading_order)
    if errors(problems):
        return None, tuple(problems)
    return CoursePlan(draft.title, draft.specialty, draft.subject, tuple(plans)), tuple(problems)


def video_problems(
    facts: VideoFacts, place: Place, name: str, limits: CourseLimits = CourseLimits()
) -> list[Problem]:
    """Why browsers would not play this file as it is."""
    problems = []
    if facts.video_codec not in VIDEO_CODECS:
        known = ", ".join(VIDEO_CODECS.values())
        problems.append(problem("unsupported_codec", place, codec=facts.video_codec, known=known))
    elif facts.video_codec == "h264" and facts.pixel_format not in H264_PIXELS:
        problems.append(problem("unsupported_pixel_format", place, pixels=facts.pixel_format))
    if facts.audio_codec is not None and facts.audio_codec not in AUDIO_CODECS:
        known = ", ".join(AUDIO_CODECS.values())
        problems.append(problem("unsupported_codec", place, codec=facts.audio_codec, known=known))
    if facts.duration_ms + limits.missing_end_ms < facts.announced_ms:
        want, have = (f"{ms / 1000:.1f}" for ms in (facts.announced_ms, facts.duration_ms))
        problems.append(problem("truncated_video", place, name=name, want=want, have=have))
    return problems


def path_escapes(path: str) -> bool:
    """Whether a path as written leads, or on some system could lead, out of the folder.

    Links are not seen here.
    """
    parts = re.split(r"[/\\]", path)
    odd = "\\" in path or ":" in parts[0] or not path.isprintable()
    return odd or path.startswith(("/", "~")) or ".." in parts


def _fields(node: Fields, known: Sequence[str], problems: list[Problem]) -> dict[str, Node]:
    fields: dict[str, Node] = {}
    for key, value in node.fields:
        if key.value in known:
            fields[key.value] = value
        else:
            problems.append(problem("unknown_key", key.place, key=key.value, known=", ".join(known)))
    return fields


def _text(node: Node | None, key: str, parent: Place, limit: int, problems: list[Problem]) -> str:
    if node is None or (isinstance(node, Text) and not node.value):
        problems.append(problem("missing_key", node.place if node else parent, key=key))
        return ""
    if not isinstance(node, Text):
        problems.append(problem("not_a_text", node.place, key=key))
        return ""
    if len(node.value) > limit:
        problems.append(problem("text_too_long", node.place, key=key, limit=limit))
    return unicodedata.normalize("NFC", node.value)


def _title(node: Node | None, parent: Place, limits: CourseLimits, problems: list[Problem]) -> str:
    if node is None or (isinstance(node, Text) and not node.value):
        problems.append(problem("missing_title", node.place if node else parent))
        return ""
    return _text(node, "title", parent, limits.title_chars, problems)


def _subject(node: Node | None, parent: Place, problems: list[Problem]) -> Subject | None:
    known = ", ".join(f"{subject} {word}" for word, subject in SUBJECTS.items() if word != subject)
    typed = _text(node, "subject", parent, 100, problems)
    subject = SUBJECTS.get(typed)
    if typed and subject is None:
        problems.append(problem("unknown_subject", (node.place if node else parent), value=typed, known=known))
    return subject


def _video(node: Node, limits: CourseLimits, problems: list[Problem]) -> VideoDraft | None:
    if not isinstance(node, Fields):
        problems.append(problem("not_a_mapping", node.place))
        return None
    fields = _fields(node, ("file", "title", "hours", "quiz"), problems)
    title = _title(fields.get("title"), node.place, limits, problems)
    hours = _hours(fields.get("hours"), node.place, limits, problems)
    file = _path(fields.get("file"), "file", node.place, limits, problems)
    quiz = fields.get("quiz")
    quiz_file: Text | None = None
    if quiz is None or (isinstance(quiz, Text) and not quiz.value):
        problems.append(problem("quiz_missing", quiz.place if quiz else node.place))
    elif not (isinstance(quiz, Text) and quiz.value == NO_QUIZ):
        quiz_file = _path(quiz, "quiz", node.place, limits, problems)
    if quiz_file and not quiz_file.value.lower().endswith(QUIZ_SUFFIXES):
        problems.append(problem("quiz_unknown_format", quiz_file.place))
        quiz_file = None
    if file is None:
        return None
    title_place = fields["title"].place if "title" in fields else node.place
    hours_place = fields["hours"].place if "hours" in fields else node.place
    return VideoDraft(node.place, file, title, title_place, hours, hours_place, quiz_file)


def _path(node: Node | None, key: str, parent: Place, limits: CourseLimits, problems: list[Problem]) -> Text | None:
    before = len(problems)
    _text(node, key, parent, limits.path_chars, problems)
    if len(problems) > before or not isinstance(node, Text):
        return None
    if path_escapes(node.value):
        problems.append(problem("path_escapes", node.place, path=node.value))
        return None
    return node


def _hours(node: Node | None, parent: Place, limits: CourseLimits, problems: list[Problem]) -> int:
    """Hundredths, or 0 after a problem was reported."""
    typed = _text(node, "hours", parent, 100, problems)
    if not typed or node is None:
        return 0
    try:
        # Decimal alone also takes digits of other scripts, underscores, exponents and infinity.
        hours = Decimal(typed) if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", typed) else Decimal("nan")
    except InvalidOperation:
        hours = Decimal("nan")
    hundredths = 0
    if hours.is_nan():
        problems.append(problem("hours_not_a_number", node.place, value=typed))
    elif hours <= 0:
        problems.append(problem("hours_not_positive", node.place))
    elif hours > limits.hours:
        problems.append(problem("hours_too_many", node.place, limit=limits.hours))
    elif hours * 100 != int(hours * 100):
        problems.append(problem("hours_too_precise", node.place, value=typed))
    else:
        hundredths = int(hours * 100)
    return hundredths


def _hours_problems(video: VideoDraft, facts: VideoFacts) -> list[Problem]:
    need_ms = video.hours_hundredths * MS_PER_HOUR // 100
    if need_ms <= facts.duration_ms:
        return []
    hours = f"{Decimal(video.hours_hundredths) / 100}"
    need, have = (f"{ms / 60_000:.1f}" for ms in (need_ms, facts.duration_ms))
    return [problem("hours_exceed_duration", video.hours_place, hours=hours, need=need, have=have)]


def _duplicate_titles(videos: Sequence[VideoDraft], problems: list[Problem]) -> None:
    first_with: dict[str, VideoDraft] = {}
    for video in videos:
        first = first_with.setdefault("".join(video.title.split()), video)
        if video.title and first is not video:
            place, line = video.title_place, first.title_place.line
            problems.append(problem("duplicate_title", place, title=video.title, line=line))


def _reading_order(found: Problem) -> tuple[bool, str, int, int, str]:
    cell = re.fullmatch(r"([A-Z]+)([0-9]+)", found.place.cell or "")
    row = int(cell[2]) if cell else found.place.line or 0
    column = cell[1] if cell else ""
    return found.place.file != COURSE_FILE, found.place.file, row, len(column), column
