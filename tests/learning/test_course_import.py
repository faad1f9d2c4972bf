"""Importing course folders into real databases, real files into a real store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Table, func, insert, select

from player_server.learning.course_import import ImportResult, import_course
from player_server.policy.quiz_content import decode, version_of
from player_server.storage.all_tables import metadata
from player_server.storage.database import Database
from player_server.storage.media import video_path
from player_server.storage.tables import course, institution, media, quiz_version, video
from tests.support.clips import make_clip

QUIZ = "questions:\n  - {kind: single, text: 几米？, options: [1 米, 2 米], right: B}\n"
NOW = 1_700_000_000_000


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with every table and the institutions 1 and 2."""
    database = Database(database_url)
    async with database.write() as conn:
        await conn.run_sync(metadata.create_all)
        for number in (1, 2):
            await conn.execute(insert(institution).values(id=number, name=f"第 {number} 学校", created_at=NOW))
    yield database
    await database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A course of two videos, the second one without a quiz."""
    made = tmp_path / "course"
    made.mkdir()
    make_clip(made / "a.mp4", shade=60)
    make_clip(made / "b.mp4", shade=200)
    (made / "a.yaml").write_text(QUIZ)
    write_course(made, ("a.mp4", "第一讲", "a.yaml"), ("b.mp4", "第二讲", "none"))
    return made


def write_course(
    folder: Path, *videos: tuple[str, str, str], hours: str = "0.5", subject: str = "professional"
) -> None:
    lines = ["title: 施工安全", "specialty: 建筑工程", f"subject: {subject}", "videos:"]
    for file, title, quiz in videos:
        lines.append(f"  - {{file: {file}, title: {title}, hours: {hours}, quiz: {quiz}}}")
    (folder / "course.yaml").write_text("\n".join(lines))


async def rows(db: Database, table: Table) -> list[dict[str, Any]]:
    async with db.read() as conn:
        return [dict(row._mapping) for row in await conn.execute(select(table).order_by(*table.primary_key))]


async def everything(db: Database) -> list[list[dict[str, Any]]]:
    return [await rows(db, table) for table in (course, video, media, quiz_version)]


async def do_import(db: Database, folder: Path, institution_id: int = 1, now_ms: int = NOW) -> ImportResult:
    return await import_course(db, folder.parent / "media", folder, institution_id, now_ms)


def what(result: ImportResult) -> dict[str, tuple[str, ...]]:
    return {change.title: change.what for change in result.video_changes}


async def test_a_course_is_there_with_its_videos_its_quiz_and_its_files(db: Database, folder: Path) -> None:
    seen: list[str] = []
    result = await import_course(db, folder.parent / "media", folder, 1, NOW, seen.append)
    assert seen == ["a.mp4", "a.yaml", "b.mp4"]
    assert result.created and result.changed
    assert what(result) == {"第一讲": ("added",), "第二讲": ("added",)}
    courses, videos, files, quizzes = await everything(db)
    assert [(row["id"], row["title"], row["subject"]) for row in courses] == [
        (result.course_id, "施工安全", "professional")
    ]
    assert [(row["position"], row["title"], row["hours"]) for row in videos] == [
        (1, "第一讲", 50),
        (2, "第二讲", 50),
    ]
    assert videos[1]["quiz_sha"] is None
    assert quizzes[0]["sha"] == videos[0]["quiz_sha"] == version_of(decode(quizzes[0]["content"]))
    assert {row["sha"] for row in files} == {row["media_sha"] for row in videos}
    assert all(row["duration_ms"] > 1500 for row in files)
    assert all(video_path(folder.parent / "media", row["sha"]).exists() for row in files)


async def test_the_same_folder_a_second_time_changes_nothing(db: Database, folder: Path) -> None:
    first = await do_import(db, folder)
    before = await everything(db)
    second = await do_import(db, folder, now_ms=NOW + 1000)
    assert not second.changed
    assert second.course_id == first.course_id
    assert await everything(db) == before


async def test_a_folder_with_an_error_imports_nothing_at_all(db: Database, folder: Path) -> None:
    (folder / "a.yaml").write_text(QUIZ.replace("right: B", "right: AB"))
    result = await do_import(db, folder)
    assert result.course_id is None and not result.changed
    assert [str(found.place) for found in result.errors] == ["a.yaml:2"]
    assert await everything(db) == [[], [], [], []]
    assert not (folder.parent / "media").exists()


async def test_a_broken_change_leaves_the_course_as_it_was(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    before = await everything(db)
    write_course(folder, ("a.mp4", "第一讲", "a.yaml"), ("b.mp4", "第二讲", "none"), hours="0")
    assert (await do_import(db, folder)).course_id is None
    assert await everything(db) == before


async def test_a_failure_in_the_middle_of_writing_leaves_nothing(db: Database, folder: Path) -> None:
    with pytest.raises(LookupError):
        await do_import(db, folder, institution_id=99)
    assert await everything(db) == [[], [], [], []]


async def test_changed_files_become_new_versions_of_the_same_videos(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    _, old, _, _ = await everything(db)
    make_clip(folder / "a.mp4", shade=90)
    (folder / "a.yaml").write_text(QUIZ.replace("right: B", "right: A"))
    (folder / "b.vtt").write_text("WEBVTT\n")
    result = await do_import(db, folder)
    assert what(result) == {"第一讲": ("file", "quiz"), "第二讲": ("captions",)}
    _, new, files, quizzes = await everything(db)
    assert [row["id"] for row in new] == [row["id"] for row in old]
    assert len(files) == 3 and len(quizzes) == 2, "the old versions stay for those who started with them"
    assert new[1]["captions_sha"] and (folder.parent / "media" / f"{new[1]['captions_sha']}.vtt").exists()


async def test_a_renamed_video_keeps_its_id_because_its_file_is_the_same(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    _, old, _, _ = await everything(db)
    write_course(folder, ("b.mp4", "第二讲", "none"), ("a.mp4", "绪论", "a.yaml"))
    result = await do_import(db, folder)
    assert what(result) == {"第二讲": ("position",), "绪论": ("title", "position")}
    _, new, _, _ = await everything(db)
    assert {row["id"]: row["title"] for row in new} == {old[0]["id"]: "绪论", old[1]["id"]: "第二讲"}


async def test_titles_that_change_places_take_the_files_with_them(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    write_course(folder, ("a.mp4", "第二讲", "none"), ("b.mp4", "第一讲", "a.yaml"))
    result = await do_import(db, folder)
    assert what(result) == {"第二讲": ("position", "file"), "第一讲": ("position", "file")}


async def test_a_video_that_is_gone_is_withdrawn_and_may_come_back(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    write_course(folder, ("a.mp4", "第一讲", "a.yaml"))
    assert what(await do_import(db, folder, now_ms=NOW + 5)) == {"第二讲": ("withdrawn",)}
    _, videos, _, _ = await everything(db)
    assert [row["withdrawn_at"] for row in videos] == [None, NOW + 5]
    assert not (await do_import(db, folder, now_ms=NOW + 9)).changed
    write_course(folder, ("a.mp4", "第一讲", "a.yaml"), ("b.mp4", "第二讲", "none"))
    assert what(await do_import(db, folder)) == {"第二讲": ("restored",)}
    assert [row["id"] for row in (await everything(db))[1]] == [row["id"] for row in videos]


async def test_hours_and_subject_can_be_corrected(db: Database, folder: Path) -> None:
    await do_import(db, folder)
    write_course(
        folder, ("a.mp4", "第一讲", "a.yaml"), ("b.mp4", "第二讲", "none"), hours="0.75", subject="elective"
    )
    result = await do_import(db, folder)
    assert result.course_changes == ("subject",)
    assert what(result) == {"第一讲": ("hours",), "第二讲": ("hours",)}


async def test_two_institutions_share_files_and_nothing_else(db: Database, folder: Path) -> None:
    one, two = await do_import(db, folder, 1), await do_import(db, folder, 2)
    assert two.created and one.course_id != two.course_id
    courses, videos, files, quizzes = await everything(db)
    assert (len(courses), len(videos), len(files), len(quizzes)) == (2, 4, 2, 1)


async def test_the_same_import_twice_at_the_same_time_makes_one_course(db: Database, folder: Path) -> None:
    results = await asyncio.gather(*(do_import(db, folder) for _ in range(4)))
    assert sorted(result.created for result in results) == [False, False, False, True]
    async with db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(video))).scalar_one() == 2
