"""Course folders on the disk: good ones are read, bad ones say everything that is wrong, with its line or cell."""

import io
import os
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

import player_server.demo
from player_server.learning.course_documents import DOCUMENT_LIMIT_BYTES, read_sheet, read_yaml
from player_server.learning.course_folder import CheckedFolder, check_folder
from tests.support.clips import make_clip

COURSE = """\
title: 施工安全
specialty: 建筑工程
subject: professional
videos:
  - file: a.mp4
    title: 第一讲
    hours: 0.01
    quiz: a.yaml
"""
QUIZ = """\
questions:
  - kind: single
    text: 几米以上是高处作业？
    options:
      - 1 米
      - 2 米
    right: B
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound course of one video, whose hours (27 s) it is long enough for as far as errors go."""
    made = tmp_path / "course"
    made.mkdir()
    (made / "course.yaml").write_text(COURSE, encoding="utf-8")
    (made / "a.yaml").write_text(QUIZ, encoding="utf-8")
    make_clip(made / "a.mp4")
    return made


def told(checked: CheckedFolder) -> list[str]:
    return [f"{found.place} {found.code}" for found in checked.errors]


def sheet(*rows: list[object]) -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"strings_to_formulas": False})
    page = book.add_worksheet()
    for number, row in enumerate(rows):
        page.write_row(number, 0, row)
    book.close()
    return buffer.getvalue()


def test_a_sound_folder_gives_a_plan_and_only_a_warning_about_its_hours(folder: Path) -> None:
    seen: list[str] = []
    checked = check_folder(folder, seen.append)
    assert [(found.code, str(found.place)) for found in checked.problems] == [
        ("hours_exceed_duration", "course.yaml:7")
    ]
    assert checked.plan is not None
    video = checked.plan.videos[0]
    assert (video.title, video.hours_hundredths, video.caption) == ("第一讲", 1, None)
    assert video.quiz is not None and video.quiz.questions[0].right == (1,)
    assert seen == ["a.mp4", "a.yaml"]


def test_the_demo_course_has_no_errors_and_no_warning_but_its_short_clips() -> None:
    checked = check_folder(Path(player_server.demo.__file__).parent / "course")
    assert {found.code for found in checked.problems} == {"hours_exceed_duration"}
    assert checked.plan is not None
    videos = checked.plan.videos
    assert [video.facts.duration_ms // 1000 for video in videos] == [75, 60, 45, 40]
    assert [video.quiz is None for video in videos] == [False, False, False, True]
    assert {question.kind for video in videos if video.quiz for question in video.quiz.questions} == {
        "single", "multiple", "true_false",
    }  # fmt: skip
    assert [video.caption is not None for video in videos] == [True, False, False, False]
    assert all(video.facts.size_bytes < 1_000_000 for video in videos)


def test_everything_wrong_in_all_files_is_told_at_once(folder: Path) -> None:
    (folder / "course.yaml").write_text(
        COURSE
        + """\
  - file: b.mp4
    title: 第一讲
    hours: 0
    quiz: missing.yaml
  - file: text.mp4
    title: 第三讲
    hours: 0.01
    quiz: b.xlsx
"""
    )
    (folder / "a.yaml").write_text(QUIZ.replace("right: B", "right: AB"))
    (folder / "text.mp4").write_text("not a video")
    (folder / "b.xlsx").write_bytes(
        sheet(
            ["题型", "题目", "选项A", "选项B", "答案"],
            ["单选题", "几米？", "1 米", "", "A"],
            ["单选题", "", 1, 2, ""],
        )
    )
    checked = check_folder(folder)
    assert checked.plan is None
    assert told(checked) == [
        "course.yaml:9 missing_file",
        "course.yaml:10 duplicate_title",
        "course.yaml:11 hours_not_positive",
        "course.yaml:12 missing_file",
        "course.yaml:13 not_a_video",
        "a.yaml:7 two_right_options",
        "b.xlsx:C2 too_few_options",
        "b.xlsx:B3 no_question_text",
        "b.xlsx:E3 no_right_option",
    ]


def test_a_folder_without_a_course_says_so(tmp_path: Path) -> None:
    assert told(check_folder(tmp_path)) == ["course.yaml missing_file"]
    assert told(check_folder(tmp_path / "nowhere")) == ["course.yaml missing_file"]


def test_links_and_paths_that_lead_out_of_the_folder_are_refused(folder: Path) -> None:
    outside = folder.parent / "secret.yaml"
    outside.write_text(QUIZ)
    (folder / "a.yaml").unlink()
    (folder / "a.yaml").symlink_to(outside)
    assert told(check_folder(folder)) == ["course.yaml:8 path_escapes"]
    (folder / "course.yaml").write_text(COURSE.replace("quiz: a.yaml", "quiz: ../secret.yaml"))
    assert told(check_folder(folder)) == ["course.yaml:8 path_escapes"]


def test_a_link_inside_the_folder_is_followed_and_a_circle_is_not(folder: Path) -> None:
    (folder / "a.yaml").rename(folder / "real.yaml")
    (folder / "a.yaml").symlink_to("real.yaml")
    assert told(check_folder(folder)) == []
    (folder / "real.yaml").unlink()
    (folder / "real.yaml").symlink_to("a.yaml")
    assert told(check_folder(folder)) == ["course.yaml:8 unreadable_file"]


def test_folders_and_pipes_are_not_opened(folder: Path) -> None:
    (folder / "a.mp4").unlink()
    os.mkfifo(folder / "a.mp4")
    (folder / "a.yaml").unlink()
    (folder / "a.yaml").mkdir()
    assert told(check_folder(folder)) == ["course.yaml:5 not_a_file", "course.yaml:8 not_a_file"]


def test_captions_beside_a_video_are_found_and_checked(folder: Path) -> None:
    (folder / "a.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\n系好安全带\n")
    plan = check_folder(folder).plan
    assert plan is not None and plan.videos[0].caption is not None
    assert plan.videos[0].caption.path == "a.vtt"
    (folder / "a.vtt").write_text("SRT")
    assert told(check_folder(folder)) == ["a.vtt bad_caption"]


def test_a_file_named_twice_is_read_once_and_reported_as_a_warning(folder: Path) -> None:
    again = "  - file: a.mp4\n    title: 第二讲\n    hours: 0.01\n    quiz: a.yaml\n"
    (folder / "course.yaml").write_text(COURSE + again)
    seen: list[str] = []
    checked = check_folder(folder, seen.append)
    assert seen == ["a.mp4", "a.yaml"]
    assert told(checked) == []
    assert "course.yaml:9 duplicate_file" in [f"{found.place} {found.code}" for found in checked.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: a\nvideos:\n  - file: [\n", "3 yaml_syntax"),
        ("title: a\n\tfile: b\n", "2 yaml_syntax"),
        ("title: a\nnote: \x07\n", "2 yaml_syntax"),
        ("title: a\n---\ntitle: b\n", "2 yaml_syntax"),
        ("title: a\nmore: &x [1]\n", "2 yaml_alias"),
        ("title: a\nmore: *x\n", "2 yaml_alias"),
        ("title: !!python/object:os.system a\n", "1 yaml_alias"),
        ("[" * 5000, "1 yaml_too_deep"),
        ("a: 1\n" * (DOCUMENT_LIMIT_BYTES // 5 + 1), "None file_too_large"),
        ("a: 1\nb: 2\na: 3\n", "3 duplicate_key"),
        ("[a]: 1\n", "1 not_a_text"),
    ],
)
def test_a_yaml_file_that_is_broken_or_hostile_gives_its_line(text: str, expected: str) -> None:
    _, problems = read_yaml(text.encode(), "course.yaml")
    assert [f"{found.place.line} {found.code}" for found in problems[:1]] == [expected]
    assert len(problems[0].text()) < 400


def test_a_file_in_another_encoding_is_told_to_be_saved_again() -> None:
    _, problems = read_yaml("title: a\nspecialty: 建筑工程\n".encode("gbk"), "course.yaml")
    assert [(found.code, found.place.line) for found in problems] == [("not_utf8", 2)]


@pytest.mark.parametrize("text", ["", "# 空的\n", "title：安全\n"])
def test_an_empty_file_or_a_wide_colon_is_not_a_mapping(folder: Path, text: str) -> None:
    (folder / "course.yaml").write_text(text)
    assert told(check_folder(folder)) == ["course.yaml:1 not_a_mapping"]


def test_words_that_yaml_takes_for_other_things_stay_words(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        QUIZ.replace("1 米", "no").replace("2 米", "0o17").replace("text: 几", "text: 12:30 几")
    )
    plan = check_folder(folder).plan
    assert plan is not None and plan.videos[0].quiz is not None
    assert plan.videos[0].quiz.questions[0].options == ("no", "0o17")


def test_numbers_and_truths_in_a_sheet_are_read_as_they_look() -> None:
    rows, _ = read_sheet(sheet(["答案", 2.0, 0.5, True], ["", "=1+1", "007"]), "a.xlsx")
    assert rows is not None
    assert [[cell.value for cell in row] for row in rows] == [["答案", "2", "0.5", "true"], ["", "=1+1", "007", ""]]
    assert str(rows[1][2].place) == "a.xlsx:C2"


def packed(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sheet_unreadable"),
        (b"PK\x03\x04 no archive", "sheet_unreadable"),
        (packed("hello.txt", b"hello"), "sheet_unreadable"),
        (packed("xl/worksheets/sheet1.xml", b" " * 40_000_000), "sheet_too_large"),
        (packed("xl/worksheets/sheet1.xml", b'<c r="XFD1048576"/>'), "sheet_too_large"),
        (packed("xl/worksheets/sheet1.xml", b"<row r = '99999999999'/>"), "sheet_too_large"),
        (b"x" * (DOCUMENT_LIMIT_BYTES + 1), "file_too_large"),
    ],
)
def test_a_sheet_that_is_broken_or_hostile_is_refused_before_it_is_opened(data: bytes, code: str) -> None:
    rows, problems = read_sheet(data, "a.xlsx")
    assert rows is None
    assert [found.code for found in problems] == [code]


def test_a_real_sheet_with_a_cell_far_away_is_refused() -> None:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer)
    book.add_worksheet().write(1_000_000, 16_000, "x")
    book.close()
    assert [found.code for found in read_sheet(buffer.getvalue(), "a.xlsx")[1]] == ["sheet_too_large"]
