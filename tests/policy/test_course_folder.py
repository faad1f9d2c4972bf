"""Courses as authors write them: every mistake is found, at its place, in one go."""

from dataclasses import replace

import pytest

from player_server.policy.course_document import WORDS, Fields, Items, Node, Place, Text, problem
from player_server.policy.course_folder import CourseDraft, VideoFacts, draft_course, path_escapes, plan_course
from player_server.policy.quiz_content import Question, QuizContent

FACTS = VideoFacts("a" * 64, 60_000, 60_000, "h264", "yuv420p", "aac", 640, 360, 1000)
QUIZ = QuizContent((Question("single", "几米？", ("1 米", "2 米"), (1,)),))


def node(value: object, line: int = 1) -> Node:
    """A document made of dicts, lists and words; each video lies on a line of its own, counted from 10."""
    place = Place("course.yaml", line)
    if isinstance(value, dict):
        return Fields(place, tuple((Text(place, key), node(part, line)) for key, part in value.items()))
    if isinstance(value, list):
        return Items(place, tuple(node(part, 10 + index) for index, part in enumerate(value)))
    return Text(place, str(value))


def video(**changes: object) -> dict[str, object]:
    return {"file": "a.mp4", "title": "第一讲", "hours": "0.02", "quiz": "none"} | changes


def course(*videos: object, **changes: object) -> dict[str, object]:
    return {"title": "安全", "specialty": "建筑工程", "subject": "professional", "videos": list(videos)} | changes


def draft_and_codes(document: object) -> tuple[CourseDraft, list[tuple[str, int | None]]]:
    draft, problems = draft_course(node(document))
    return draft, [(found.code, found.place.line) for found in problems]


def test_a_sound_course_becomes_a_plan_in_the_order_of_the_file() -> None:
    document = course(video(quiz="a.yaml"), video(file="b.mp4", title="第二讲", hours="0.01"))
    draft, problems = draft_course(node(document))
    facts = {"a.mp4": FACTS, "b.mp4": replace(FACTS, sha256="b" * 64)}
    plan, problems = plan_course(draft, problems, facts, {"a.yaml": QUIZ}, {})
    assert problems == ()
    assert plan is not None
    assert (plan.title, plan.specialty, plan.subject) == ("安全", "建筑工程", "professional")
    assert [(one.title, one.file, one.hours_hundredths, one.quiz) for one in plan.videos] == [
        ("第一讲", "a.mp4", 2, QUIZ),
        ("第二讲", "b.mp4", 1, None),
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (course(video(), title=""), ("missing_title", 1)),
        (course(video(title="")), ("missing_title", 10)),
        (course(video(), specialty=""), ("missing_key", 1)),
        (course(video(), subject="sport"), ("unknown_subject", 1)),
        (course(), ("no_videos", 1)),
        (course(video(), videos=""), ("no_videos", 1)),
        (course(video(), videos="a.mp4"), ("no_videos", 1)),
        (course(video(), teacher="王"), ("unknown_key", 1)),
        (course(video(minutes="3")), ("unknown_key", 10)),
        (course(video(quiz="")), ("quiz_missing", 10)),
        (course(video(quiz="quiz.doc")), ("quiz_unknown_format", 10)),
        (course(video(quiz="../quiz.yaml")), ("path_escapes", 10)),
        (course(video(file="")), ("missing_key", 10)),
        (course(video(file="../a.mp4")), ("path_escapes", 10)),
        (course("a.mp4"), ("not_a_mapping", 10)),
        (course(video(title=["第一讲"])), ("not_a_text", 10)),
        (course(video(), video(file="b.mp4")), ("duplicate_title", 11)),
        ([], ("not_a_mapping", 1)),
    ],
)
def test_a_mistake_is_found_at_its_line(document: object, expected: tuple[str, int]) -> None:
    draft, problems = draft_course(node(document))
    assert expected in [(found.code, found.place.line) for found in problems]
    assert plan_course(draft, problems, {}, {}, {})[0] is None


def test_a_missing_quiz_key_is_not_taken_for_no_quiz() -> None:
    without = video()
    del without["quiz"]
    assert draft_and_codes(course(without))[1] == [("quiz_missing", 10)]


def test_all_mistakes_are_found_at_once() -> None:
    _, found = draft_and_codes(course(video(hours="x", title=""), video(file="/etc/passwd", quiz=""), title=""))
    assert found == [
        ("missing_title", 1),
        ("missing_title", 10),
        ("hours_not_a_number", 10),
        ("path_escapes", 11),
        ("quiz_missing", 11),
    ]


@pytest.mark.parametrize(
    ("typed", "hundredths"),
    [("1", 100), ("0.5", 50), ("0.50", 50), ("2.25", 225), ("1.500", 150), ("1000", 100_000)],
)
def test_hours_are_kept_as_whole_hundredths(typed: str, hundredths: int) -> None:
    draft, found = draft_and_codes(course(video(hours=typed)))
    assert found == []
    assert draft.videos[0].hours_hundredths == hundredths


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("0", "hours_not_positive"),
        ("0.00", "hours_not_positive"),
        ("-1", "hours_not_positive"),
        ("0.005", "hours_too_precise"),
        ("1.125", "hours_too_precise"),
        ("1000.01", "hours_too_many"),
        ("一", "hours_not_a_number"),
        ("2 学时", "hours_not_a_number"),
        ("1e2", "hours_not_a_number"),
        ("1_0", "hours_not_a_number"),
        ("１", "hours_not_a_number"),
        ("nan", "hours_not_a_number"),
        ("inf", "hours_not_a_number"),
        ("0x10", "hours_not_a_number"),
        ("1,5", "hours_not_a_number"),
        ("9" * 90, "hours_too_many"),
    ],
)
def test_hours_that_are_no_sensible_number_are_refused(typed: str, code: str) -> None:
    assert draft_and_codes(course(video(hours=typed)))[1] == [(code, 10)]


@pytest.mark.parametrize(
    "path",
    [
        "../a.mp4",
        "a/../../b.mp4",
        "..",
        "/a.mp4",
        "\\\\host\\a.mp4",
        "a\\..\\b.mp4",
        "C:/a.mp4",
        "~/a.mp4",
        "a\0.mp4",
    ],
)
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    assert path_escapes(path)


@pytest.mark.parametrize("path", ["a.mp4", "videos/a.mp4", "第一讲.mp4", "a..b.mp4", "一 讲：绪论.mp4"])
def test_a_path_inside_the_folder_is_taken(path: str) -> None:
    assert not path_escapes(path)


@pytest.mark.parametrize(
    ("facts", "code", "severity"),
    [
        (replace(FACTS, video_codec="hevc"), "unsupported_codec", "error"),
        (replace(FACTS, audio_codec="ac3"), "unsupported_codec", "error"),
        (replace(FACTS, pixel_format="yuv422p10le"), "unsupported_pixel_format", "error"),
        (replace(FACTS, announced_ms=61_001), "truncated_video", "error"),
        (replace(FACTS, duration_ms=53_999, announced_ms=53_999), "hours_exceed_duration", "warning"),
    ],
)
def test_what_is_in_the_file_is_judged(facts: VideoFacts, code: str, severity: str) -> None:
    draft, problems = draft_course(node(course(video())))
    plan, problems = plan_course(draft, problems, {"a.mp4": facts}, {}, {})
    assert [(found.code, found.severity) for found in problems] == [(code, severity)]
    assert (plan is None) == (severity == "error")


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, audio_codec=None),
        replace(FACTS, audio_codec="opus"),
        replace(FACTS, audio_codec="mp3"),
        replace(FACTS, video_codec="av1", pixel_format="yuv420p10le"),
        replace(FACTS, video_codec="vp9"),
        replace(FACTS, announced_ms=61_000),
        replace(FACTS, duration_ms=54_000, announced_ms=54_000),
    ],
)
def test_what_browsers_play_is_taken_without_a_word(facts: VideoFacts) -> None:
    draft, _ = draft_course(node(course(video())))
    assert plan_course(draft, (), {"a.mp4": facts}, {}, {})[1] == ()


def test_the_same_video_under_two_names_is_a_warning() -> None:
    draft, _ = draft_course(node(course(video(), video(file="b.mp4", title="第二讲"))))
    plan, problems = plan_course(draft, (), {"a.mp4": FACTS, "b.mp4": FACTS}, {}, {})
    assert plan is not None
    assert [(found.code, found.place.line) for found in problems] == [("duplicate_file", 11)]


def test_problems_are_told_in_reading_order() -> None:
    places = [
        Place("z.xlsx", cell="B10"),
        Place("z.xlsx", cell="C2"),
        Place("a.yaml", 3),
        Place("course.yaml", 9),
        Place("z.xlsx", cell="B2"),
        Place("course.yaml", 2),
    ]
    draft, _ = draft_course(node(course(video())))
    _, found = plan_course(draft, [problem("missing_title", place) for place in places], {}, {}, {})
    assert [str(one.place) for one in found] == [
        "course.yaml:2", "course.yaml:9", "a.yaml:3", "z.xlsx:B2", "z.xlsx:C2", "z.xlsx:B10",
    ]  # fmt: skip


def test_every_code_has_words_in_both_languages() -> None:
    for code, (severity, zh, en) in WORDS.items():
        assert severity in ("error", "warning"), code
        assert any("一" <= char <= "鿿" for char in zh), code
        assert en.isprintable() and en != zh, code


def test_a_message_never_repeats_a_whole_book_or_control_characters() -> None:
    found = problem("unknown_key", Place("course.yaml", 3), key="\x1b[31m" + "x" * 10_000, known="title")
    assert len(found.text()) < 300
    assert "\x1b" not in found.text("en")
    assert found.text("en").startswith("course.yaml:3: unknown key")
