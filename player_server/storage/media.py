"""The media store: one flat folder of files named after the SHA-256 of the author's file.

What belongs here: looking into video and caption files, and putting playable copies into the store.
Everything here blocks, for seconds with a long video; callers on the event loop use ``asyncio.to_thread``.
Whether what was found is good enough is decided in ``policy/course_folder.py``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from player_server.policy.course_folder import VideoFacts

CAPTION_LIMIT_BYTES = 1024 * 1024
"""Two hours of captions are about 100 KiB."""

STORED_DURATION_TOLERANCE_MS = 100
"""How far a stored copy's duration may lie from the source's: less than a frame of sound is usual."""


class BadMedia(Exception):
    """A file that is not what it should be. ``code`` is one of those in ``policy/course_document.py``."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(f"{code}: {reason}" if reason else code)
        self.code = code
        self.reason = reason


class MediaChanged(Exception):
    """A source file was changed between being looked at and being stored; import the folder again."""


def video_path(media_dir: Path, sha: str) -> Path:
    """Where the store keeps the video whose source has this SHA-256."""
    return media_dir / f"{sha}.mp4"


def caption_path(media_dir: Path, sha: str) -> Path:
    """Where the store keeps the WebVTT captions with this SHA-256."""
    return media_dir / f"{sha}.vtt"


def probe(path: Path) -> VideoFacts:
    """What is in a video file, read to its end: a header can promise more than the file holds.

    Raises BadMedia (``not_a_video``, ``no_picture``) and OSError.
    """
    sha = sha256_of(path)
    try:
        with _opened(path) as source:
            return _facts(source, sha, path.stat().st_size)
    except av.FFmpegError as error:
        raise BadMedia("not_a_video", str(error)) from error


def store_video(path: Path, facts: VideoFacts, media_dir: Path) -> Path:
    """Copy the tracks of a probed file into the store, index first, without encoding again.

    Does nothing when the store has it. The copy appears whole or not at all. Raises MediaChanged, BadMedia
    when the copy does not play like the source, and OSError.
    """
    target = video_path(media_dir, facts.sha256)
    if target.exists():
        return target
    with _new_file(media_dir, target) as draft:
        try:
            _remux(path, draft)
            with _opened(draft) as copy:
                copied = _facts(copy, facts.sha256, draft.stat().st_size)
        except av.FFmpegError as error:
            raise BadMedia("not_a_video", str(error)) from error
        if sha256_of(path) != facts.sha256:
            raise MediaChanged(path.name)
        if abs(copied.duration_ms - facts.duration_ms) > STORED_DURATION_TOLERANCE_MS:
            raise BadMedia("not_a_video", f"{facts.duration_ms} ms became {copied.duration_ms} ms")
    return target


def probe_caption(path: Path) -> str:
    """The SHA-256 of a WebVTT file. Raises BadMedia (``bad_caption``, ``file_too_large``) and OSError."""
    return hashlib.sha256(_caption(path)).hexdigest()


def store_caption(path: Path, sha: str, media_dir: Path) -> Path:
    """Copy a checked WebVTT file into the store, unless it has it.

    Raises MediaChanged, BadMedia and OSError.
    """
    target = caption_path(media_dir, sha)
    if not target.exists():
        data = _caption(path)
        if hashlib.sha256(data).hexdigest() != sha:
            raise MediaChanged(path.name)
        with _new_file(media_dir, target) as draft:
            draft.write_bytes(data)
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path) -> InputContainer:
    # Only the MP4 reader is allowed, and only local files: other formats can name further files and
    # addresses. The prefix keeps a name that looks like an address from being taken for one.
    return av.open(f"file:{path}", format="mp4", options={"protocol_whitelist": "file"})


def _tracks(source: InputContainer) -> tuple[Stream, Stream | None]:
    """The picture and the sound that count. A cover picture is not a picture track."""
    pictures = [track for track in source.streams.video if not track.disposition & Disposition.attached_pic]
    if not pictures:
        raise BadMedia("no_picture")
    sounds = source.streams.audio
    return pictures[0], sounds[0] if sounds else None


def _facts(source: InputContainer, sha: str, size: int) -> VideoFacts:
    picture, sound = _tracks(source)
    tracks = [track for track in (picture, sound) if track is not None]
    announced = [_seconds(track, track.start_time or 0, track.duration) for track in tracks if track.duration]
    ends: dict[int, Fraction] = {}
    try:
        for packet in source.demux(tracks):
            if packet.pts is None or packet.size == 0 or packet.is_corrupt:
                continue
            end = _seconds(packet.stream, packet.pts, packet.duration)
            ends[packet.stream.index] = max(end, ends.get(packet.stream.index, Fraction(0)))
    except av.FFmpegError:
        # A file that ends too early is not unreadable; what could be read shows how much is missing.
        pass
    if len(ends) < len(tracks):
        raise BadMedia("not_a_video", "a track is empty")
    duration = min(ends.values())
    codec = picture.codec_context
    return VideoFacts(
        sha256=sha,
        duration_ms=int(duration * 1000),
        announced_ms=int(min(announced, default=duration) * 1000),
        video_codec=_codec_name(picture),
        pixel_format=getattr(codec, "pix_fmt", None) or "unknown",
        audio_codec=_codec_name(sound) if sound else None,
        width=getattr(codec, "width", 0),
        height=getattr(codec, "height", 0),
        size_bytes=size,
    )


def _codec_name(track: Stream) -> str:
    # A codec this build of FFmpeg has no decoder for has no context.
    context = track.codec_context
    return "unknown" if context is None else context.codec.canonical_name


def _seconds(track: Stream, start: int, length: int | None) -> Fraction:
    return (start + (length or 0)) * (track.time_base or Fraction(0))


def _remux(source_path: Path, target: Path) -> None:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with _opened(source_path) as source, av.open(f"file:{target}", "w", format="mp4", options=options) as copy:
        tracks = [track for track in _tracks(source) if track is not None]
        copies = {track.index: copy.add_stream_from_template(track) for track in tracks}
        for packet in source.demux(tracks):
            # The reader ends with an empty packet for each track.
            if packet.dts is None:
                continue
            packet.stream = copies[packet.stream.index]
            copy.mux(packet)


def _caption(path: Path) -> bytes:
    if path.stat().st_size > CAPTION_LIMIT_BYTES:
        raise BadMedia("file_too_large")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadMedia("bad_caption", "not UTF-8") from error
    first_line = text.split("\n", 1)[0].rstrip("\r")
    if first_line != "WEBVTT" and not first_line.startswith(("WEBVTT ", "WEBVTT\t")):
        raise BadMedia("bad_caption", "no WEBVTT line")
    return data


@contextmanager
def _new_file(folder: Path, target: Path) -> Iterator[Path]:
    """A draft beside ``target`` that becomes it, on the disk for good, when the block ends without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=folder, prefix=".draft-", suffix=target.suffix)
    os.close(number)
    draft = Path(name)
    try:
        yield draft
        # Drafts are private; what is in the store may be served by another user, such as nginx.
        draft.chmod(0o644)
        _sync(draft)
        draft.replace(target)
        _sync(folder)
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
