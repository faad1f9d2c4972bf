"""The table of a file's samples tells how many bytes hold everything up to a time."""

import shutil
import time
from pathlib import Path

import av
import pytest

from player_server.storage.media import probe, store_video, video_path
from player_server.storage.media_index import bytes_until
from tests.support.clips import make_clip

SECONDS = 60


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    source = make_clip(folder / "clip.mp4", picture_s=SECONDS, sound_s=SECONDS)
    facts = probe(source)
    return store_video(source, facts, folder / "store")


def test_the_beginning_holds_the_index_and_plays_up_to_that_time(stored: Path, tmp_path: Path) -> None:
    size = stored.stat().st_size
    before = 0
    for second in (0, 1, 7, 30, 55):
        end = bytes_until(stored, second * 1000)
        assert end is not None and before < end < size
        before = end
        cut = tmp_path / f"{second}.mp4"
        shutil.copy(stored, cut)
        with cut.open("r+b") as file:
            file.seek(end)
            file.write(bytes(size - end))
        with av.open(str(cut)) as file:
            last: dict[int, float] = {}
            for packet in file.demux():
                if packet.pts is not None and packet.pos is not None and packet.pos + packet.size <= end:
                    last[packet.stream.index] = float((packet.pts + (packet.duration or 0)) * packet.time_base)
        # Everything of that second is there in both tracks, and hardly anything of the time after it.
        assert len(last) == 2
        assert min(last.values()) >= second + 0.8
        assert max(last.values()) <= second + 4
    assert bytes_until(stored, SECONDS * 1000) is None


def test_the_table_is_read_once(stored: Path, tmp_path: Path) -> None:
    moved = video_path(tmp_path, "once")
    shutil.copy(stored, moved)
    first = bytes_until(moved, 10_000)
    moved.unlink()
    began = time.perf_counter()
    assert bytes_until(moved, 10_000) == first
    assert time.perf_counter() - began < 0.05
