"""Tiny video files, made on the spot, with the faults that real ones have."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

PICTURES_PER_SECOND = 10
SAMPLES_PER_SECOND = 8000


def make_clip(
    path: Path,
    *,
    picture_s: float | None = 2.0,
    sound_s: float | None = 2.0,
    shade: int = 128,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    pixel_format: str = "yuv420p",
    container: str = "mp4",
    index_first: bool = False,
    noisy: bool = False,
) -> Path:
    """Write a clip of 64×48 points; a length of None leaves that track out. Clips of other shades differ.

    A `noisy` one has as many bytes a second as a real video of that size, about 40,000.
    """
    options = {"movflags": "+faststart"} if index_first else {}
    with av.open(str(path), "w", format=container, options=options) as file:
        # The wanted codecs are given by name, so their streams have no narrower type.
        picture: Any = file.add_stream(video_codec, rate=PICTURES_PER_SECOND) if picture_s else None
        sound: Any = file.add_stream(audio_codec, rate=SAMPLES_PER_SECOND) if sound_s else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 48, pixel_format
            for number in range(round((picture_s or 0) * PICTURES_PER_SECOND)):
                frame = av.VideoFrame(64, 48, "yuv420p")
                for index, plane in enumerate(frame.planes):
                    grey = bytes([shade if index == 0 else 128]) * plane.buffer_size
                    plane.update(os.urandom(plane.buffer_size) if noisy else grey)
                frame.pts, frame.time_base = number, Fraction(1, PICTURES_PER_SECOND)
                file.mux(picture.encode(frame.reformat(format=pixel_format)))
            file.mux(picture.encode(None))
        if sound:
            for start in range(0, round((sound_s or 0) * SAMPLES_PER_SECOND), 1000):
                quiet = av.AudioFrame(format="s16", layout="mono", samples=1000)
                quiet.planes[0].update(bytes(quiet.planes[0].buffer_size))
                quiet.sample_rate, quiet.pts = SAMPLES_PER_SECOND, start
                quiet.time_base = Fraction(1, SAMPLES_PER_SECOND)
                file.mux(sound.encode(quiet))
            file.mux(sound.encode(None))
    return path


def boxes(path: Path) -> list[str]:
    """The names of an MP4 file's outermost boxes, in their order."""
    data, names, at = path.read_bytes(), [], 0
    while at + 8 <= len(data):
        names.append(data[at + 4 : at + 8].decode("ascii", "replace"))
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:
            break
        at += size
    return names
