"""The media store, with real files."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from player_server.policy.course_document import Place
from player_server.policy.course_folder import video_problems
from player_server.storage.media import (
    BadMedia,
    MediaChanged,
    caption_path,
    probe,
    probe_caption,
    store_caption,
    store_video,
    video_path,
)
from tests.support.clips import boxes, make_clip

FRAME_MS = 130  # A frame of picture or sound, whichever is longer, at the clips' low rates.


def code_of(path: Path) -> str:
    with pytest.raises(BadMedia) as caught:
        probe(path)
    return caught.value.code


def test_the_facts_of_a_clip_are_read(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", picture_s=2, sound_s=2)
    facts = probe(clip)
    assert facts.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert facts.duration_ms == pytest.approx(2000, abs=FRAME_MS)
    assert (facts.video_codec, facts.audio_codec, facts.pixel_format) == ("h264", "aac", "yuv420p")
    assert (facts.width, facts.height) == (64, 48)
    assert video_problems(facts, Place("course.yaml"), "a.mp4") == []


@pytest.mark.parametrize(("picture_s", "sound_s"), [(1.0, 3.0), (3.0, 1.0)])
def test_the_duration_is_the_earliest_end_of_the_tracks(tmp_path: Path, picture_s: float, sound_s: float) -> None:
    facts = probe(make_clip(tmp_path / "a.mp4", picture_s=picture_s, sound_s=sound_s))
    assert facts.duration_ms == pytest.approx(1000, abs=FRAME_MS)


def test_a_video_without_sound_is_fine(tmp_path: Path) -> None:
    facts = probe(make_clip(tmp_path / "a.mp4", sound_s=None))
    assert facts.audio_codec is None
    assert facts.duration_ms == 2000
    assert video_problems(facts, Place("course.yaml"), "a.mp4") == []


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libsvtav1"])
def test_the_newer_codecs_are_known_by_their_plain_names(tmp_path: Path, codec: str) -> None:
    facts = probe(make_clip(tmp_path / "a.mp4", video_codec=codec, audio_codec="libopus"))
    assert facts.video_codec in ("vp9", "av1")
    assert facts.audio_codec == "opus"
    assert video_problems(facts, Place("course.yaml"), "a.mp4") == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"video_codec": "mpeg4"}, "unsupported_codec"),
        ({"video_codec": "libx265"}, "unsupported_codec"),
        ({"audio_codec": "alac"}, "unsupported_codec"),
        ({"pixel_format": "yuv444p"}, "unsupported_pixel_format"),
    ],
)
def test_what_browsers_do_not_play_is_seen(tmp_path: Path, options: dict[str, str], code: str) -> None:
    facts = probe(make_clip(tmp_path / "a.mp4", **options))  # type: ignore[arg-type]
    problems = video_problems(facts, Place("course.yaml"), "a.mp4")
    assert [found.code for found in problems] == [code]


def test_a_text_with_a_videos_name_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for content in (b"", b"hello " * 1000, os.urandom(5000), b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n"):
        path.write_bytes(content)
        assert code_of(path) == "not_a_video"


def test_another_container_is_not_taken_for_mp4(tmp_path: Path) -> None:
    assert code_of(make_clip(tmp_path / "a.mp4", container="matroska")) == "not_a_video"


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    assert code_of(make_clip(tmp_path / "a.mp4", picture_s=None)) == "no_picture"


def test_a_missing_file_is_an_operating_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "a.mp4")


def test_a_file_cut_off_before_its_index_is_not_a_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    assert boxes(clip)[-1] == "moov"
    clip.write_bytes(clip.read_bytes()[:-200])
    assert code_of(clip) == "not_a_video"


def test_a_file_cut_off_after_its_index_holds_less_than_it_announces(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", picture_s=10, sound_s=None, index_first=True)
    data = clip.read_bytes()
    clip.write_bytes(data[: (data.index(b"mdat") + len(data)) // 2])
    facts = probe(clip)
    assert facts.announced_ms == pytest.approx(10_000, abs=FRAME_MS)
    assert facts.duration_ms < 8000
    assert [found.code for found in video_problems(facts, Place("course.yaml"), "a.mp4")] == ["truncated_video"]


def test_the_index_is_moved_to_the_front_and_the_pictures_stay_the_same(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", picture_s=3, sound_s=2)
    assert boxes(clip).index("moov") > boxes(clip).index("mdat")
    facts = probe(clip)
    stored = store_video(clip, facts, tmp_path / "media")
    assert stored == video_path(tmp_path / "media", facts.sha256)
    assert boxes(stored).index("moov") < boxes(stored).index("mdat")
    copied = probe(stored)
    assert copied.duration_ms == pytest.approx(facts.duration_ms, abs=2)
    assert (copied.video_codec, copied.audio_codec) == (facts.video_codec, facts.audio_codec)
    assert [path.name for path in (tmp_path / "media").iterdir()] == [stored.name]


def test_a_video_in_the_store_is_left_alone(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    facts = probe(clip)
    stored = store_video(clip, facts, tmp_path / "media")
    before = stored.stat()
    clip.unlink()
    assert store_video(clip, facts, tmp_path / "media") == stored
    assert (stored.stat().st_ino, stored.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_changed_after_it_was_looked_at_is_not_stored_under_the_old_name(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    facts = probe(clip)
    make_clip(clip, shade=20)
    with pytest.raises(MediaChanged):
        store_video(clip, facts, tmp_path / "media")
    assert list((tmp_path / "media").iterdir()) == []


def test_a_copy_of_another_length_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    facts = replace(probe(clip), duration_ms=5000)
    with pytest.raises(BadMedia):
        store_video(clip, facts, tmp_path / "media")
    assert list((tmp_path / "media").iterdir()) == []


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path: Path) -> None:
    assert probe(make_clip(tmp_path / "http:a%20b?c#d.mp4")).video_codec == "h264"


CAPTION = "WEBVTT\n\n00:00.000 --> 00:01.000\n系好安全带\n"


@pytest.mark.parametrize("text", [CAPTION, "\ufeff" + CAPTION, "WEBVTT - 字幕\r\n", "WEBVTT"])
def test_captions_are_stored_by_their_own_sha(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.vtt"
    path.write_bytes(text.encode())
    sha = probe_caption(path)
    assert sha == hashlib.sha256(text.encode()).hexdigest()
    stored = store_caption(path, sha, tmp_path / "media")
    assert stored == caption_path(tmp_path / "media", sha)
    assert stored.read_bytes() == text.encode()
    assert store_caption(path, sha, tmp_path / "media") == stored


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad_caption"),
        (b"1\n00:00:00,000 --> 00:00:01,000\nSRT\n", "bad_caption"),
        (b"WEBVTTX\n", "bad_caption"),
        ("WEBVTT\n\n安全".encode("gbk"), "bad_caption"),
        (b"WEBVTT\n" + b"x" * 1024 * 1024, "file_too_large"),
    ],
)
def test_a_file_that_is_no_caption_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "a.vtt").write_bytes(data)
    with pytest.raises(BadMedia) as caught:
        probe_caption(tmp_path / "a.vtt")
    assert caught.value.code == code


def test_captions_changed_after_they_were_looked_at_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(CAPTION)
    sha = probe_caption(path)
    path.write_text(CAPTION + "\n")
    with pytest.raises(MediaChanged):
        store_caption(path, sha, tmp_path / "media")
