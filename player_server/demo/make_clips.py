"""Draws and encodes the clips of the demo course: ``python -m player_server.demo.make_clips``.

What belongs here: the clips' words, the frame around the scenes, the tune, and the encoder. Run by hand
after a change; the MP4 files it writes are committed. Needs Pillow and a font with Chinese characters.
"""

from __future__ import annotations

import argparse
import array
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from .pen import HEIGHT, INK, ORANGE, SCALE, WHITE, WIDTH, Colour, Fonts, Pen, ease
from .scenes import SCENES, Scene

FRAMES_PER_SECOND = 20
SAMPLES_PER_SECOND = 24_000
KEY_FRAME_EVERY = 5 * FRAMES_PER_SECOND // 2  # A drag shows its picture at once.
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts", "~/.fonts")
FONT_NAMES = (
    ("NotoSansCJK-Regular.*", "NotoSansCJK-Bold.*"),
    ("SourceHanSans*-Regular.*", "SourceHanSans*-Bold.*"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a clip: its name and the points that appear one after the other."""

    name: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One file; its sections have equal lengths."""

    file: str
    title: str
    seconds: int
    accent: Colour
    root_hertz: float
    sections: tuple[Section, ...]


CLIPS = (
    Clip(
        "01-high-work.mp4",
        "高处作业与临边防护",
        75,
        (38, 110, 148),
        261.63,
        (
            Section(
                "什么是高处作业",
                ("坠落高度基准面 2 m 及以上", "有可能坠落的高处进行的作业", "作业前先检查防护，再上人"),
            ),
            Section(
                "临边防护栏杆", ("上杆离地 1.2 m，中间再设一道", "立杆间距不大于 2 m", "挡脚板高度不小于 180 mm")
            ),
            Section(
                "洞口防护", ("短边 25～500 mm：盖板固定盖严", "短边 ≥ 1500 mm：四周设栏杆", "并在洞口张设安全平网")
            ),
            Section("安全带的使用", ("高挂低用，挂点牢固可靠", "不得挂在活动的物件上", "移动时始终保持一个挂点")),
        ),
    ),
    Clip(
        "02-deep-pit.mp4",
        "深基坑施工安全",
        60,
        (146, 92, 46),
        220.0,
        (
            Section(
                "界定与专项方案",
                ("开挖深度 ≥ 3 m：编制专项方案", "开挖深度 ≥ 5 m：组织专家论证", "方案未批准，不得开挖"),
            ),
            Section("支护与开挖", ("开槽支撑，先撑后挖", "分层开挖，严禁超挖", "坑边荷载不得超过设计限值")),
            Section(
                "监测与应急", ("按方案监测位移、沉降和水位", "达到报警值立即停止作业", "险情排除之前，人员全部撤离")
            ),
        ),
    ),
    Clip(
        "03-site-power.mp4",
        "施工现场临时用电",
        45,
        (30, 120, 108),
        293.66,
        (
            Section(
                "TN-S 接零保护",
                ("五芯电缆：L1 L2 L3 N PE", "PE 线为绿/黄双色，严禁混用", "PE 线上严禁装设开关"),
            ),
            Section("三级配电", ("总箱 → 分箱 → 开关箱", "分箱至开关箱不超过 30 m", "一机、一闸、一漏、一箱")),
            Section("漏电保护", ("开关箱：≤ 30 mA，≤ 0.1 s", "潮湿场所：≤ 15 mA", "每天使用前按一次试验按钮")),
        ),
    ),
    Clip(
        "04-lifting.mp4",
        "起重吊装安全要点",
        40,
        (62, 84, 150),
        246.94,
        (
            Section("吊装之前", ("核对吊物重量，严禁超载", "检查吊钩、钢丝绳和限位装置", "先试吊，确认稳妥再起升")),
            Section("大风天气", ("六级及以上大风停止吊装", "大雨、大雪、浓雾同样停止", "停机后松开回转制动")),
            Section("指挥与警戒", ("信号工、司索工持证上岗", "信号不明，不得起吊", "吊物下方严禁站人")),
        ),
    ),
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--font", type=Path, help="a font file with Chinese characters")
    parser.add_argument("--bold-font", type=Path, help="its bold form")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "course")
    parser.add_argument("--only", type=int, choices=range(1, len(CLIPS) + 1), help="make one clip only")
    parser.add_argument("--still", type=float, metavar="SECOND", help="write a PNG of one moment instead")
    chosen = parser.parse_args()
    regular, bold = chosen.font, chosen.bold_font or chosen.font
    if regular is None:
        regular, bold = _find_fonts()
    fonts = Fonts(regular, bold)
    for number, (clip, scene) in enumerate(zip(CLIPS, SCENES, strict=True), 1):
        if chosen.only not in (None, number):
            continue
        target = chosen.folder / clip.file
        if chosen.still is not None:
            at = round(chosen.still * FRAMES_PER_SECOND)
            target = target.with_name(f"{target.stem}-{chosen.still:g}.png")
            next(_pictures(clip, scene, number, fonts, at)).save(target)
        else:
            _encode(clip, _pictures(clip, scene, number, fonts), target)
        print(f"{target.name}: {target.stat().st_size // 1024} KiB")


def _find_fonts() -> tuple[Path, Path]:
    for regular, bold in FONT_NAMES:
        for folder in FONT_FOLDERS:
            base = Path(folder).expanduser()
            found = [next(iter(sorted(base.rglob(name))), None) for name in (regular, bold)]
            if found[0] is not None:
                return found[0], found[1] or found[0]
    sys.exit("No font with Chinese characters was found; name one with --font.")


# ---- The picture


def _pictures(clip: Clip, scene: Scene, number: int, fonts: Fonts, first: int = 0) -> Iterator[Image.Image]:
    each = clip.seconds / len(clip.sections)
    grounds: dict[int, Image.Image] = {}
    scenery = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
    scene.ground(Pen(scenery, fonts))
    for frame in range(first, clip.seconds * FRAMES_PER_SECOND):
        seconds = frame / FRAMES_PER_SECOND
        section = min(len(clip.sections) - 1, int(seconds / each))
        if section not in grounds:
            grounds[section] = scenery.copy()
        picture = grounds[section].copy()
        pen = Pen(picture, fonts)
        scene.moving(pen, seconds, section)
        _frame_around(pen, clip, number, seconds, section, seconds - section * each)
        yield picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def _frame_around(pen: Pen, clip: Clip, number: int, seconds: float, section: int, inside: float) -> None:
    accent = clip.accent
    pen.box(0, 0, WIDTH, 40, accent)
    pen.box(14, 10, 46, 20, ORANGE, 10)
    pen.text(37, 20, f"第{'一二三四'[number - 1]}讲", WHITE, 12, True, "mm")
    pen.text(70, 20, clip.title, WHITE, 18, True)
    pen.text(WIDTH - 14, 20, "安全生产继续教育 · 演示课程", (255, 255, 255, 210), 12, False, "rm")
    # The card with the key points.
    pen.box(411, 57, 218, 236, (0, 0, 0, 36), 12)
    pen.box(408, 53, 218, 236, WHITE, 12)
    pen.box(408, 66, 5, 26, ORANGE, 2)
    here = clip.sections[section]
    pen.text(422, 79, here.name, INK, 17, True)
    pen.line([(422, 100), (612, 100)], (226, 232, 238), 1)
    y = 122.0
    for index, point in enumerate(here.points):
        # The points come in one after the other and softly.
        shown = ease((inside - 0.8 - index * 2.6) / 0.5)
        if shown <= 0:
            break
        shift = 10 * (1 - shown)
        pen.disc(430 + shift, y, 9, (*accent, round(255 * shown)))
        pen.text(430 + shift, y, str(index + 1), (255, 255, 255, round(255 * shown)), 11, True, "mm")
        for line in _wrapped(pen, point, 172):
            pen.text(446 + shift, y, line, (*INK, round(255 * shown)), 14)
            y += 21
        y += 15
    # The sections and the time.
    pen.box(0, 312, WIDTH, 48, INK)
    minutes, rest = divmod(int(seconds), 60)
    pen.text(16, 336, f"{minutes:02}:{rest:02}", WHITE, 18, True)
    pen.text(72, 337, f"/ {clip.seconds // 60:02}:{clip.seconds % 60:02}", (160, 174, 190), 13)
    count = len(clip.sections)
    width = (WIDTH - 150) / count
    for index, other in enumerate(clip.sections):
        x = 136 + index * width
        done = min(1.0, max(0.0, (seconds - index * clip.seconds / count) * count / clip.seconds))
        pen.box(x, 344, width - 8, 5, (74, 90, 108), 2.5)
        if done > 0.01:
            pen.box(x, 344, max(5, (width - 8) * done), 5, ORANGE, 2.5)
        pen.text(x, 330, other.name, WHITE if index == section else (140, 154, 170), 12, index == section)


def _wrapped(pen: Pen, words: str, width: float) -> list[str]:
    """One line, or two of about the same length. Numbers keep their units; the break best follows a mark."""
    if pen.text_width(words, 14) <= width:
        return [words]
    pieces = re.findall(r"[A-Za-z0-9≥≤～./ ]+|.", words)
    ways = []
    for index in range(1, len(pieces)):
        lines = ["".join(pieces[:index]).strip(), "".join(pieces[index:]).strip()]
        if lines[1][0] not in "，。；：、":
            after_mark = lines[0][-1] in "，。；：、"
            longest = max(pen.text_width(line, 14) for line in lines)
            ways.append((longest - (60 if after_mark and longest <= width else 0), lines))
    return min(ways)[1]


# ---- The tune


def _tune(clip: Clip) -> array.array[int]:
    """A slow broken chord over a soft ground tone, a step higher in each section. 16-bit mono."""
    total = clip.seconds * SAMPLES_PER_SECOND
    mixed = array.array("f", bytes(4 * total))
    steps = (0, 4, 7, 12, 16, 12, 7, 4)
    raised = (0, 2, 5, 7)
    each = clip.seconds / len(clip.sections)
    known: dict[int, array.array[float]] = {}
    for beat in range(int(clip.seconds / 0.75)):
        start = beat * 0.75
        up = raised[min(len(clip.sections) - 1, int(start / each))]
        for half_tones, loud in ((steps[beat % 8] + up, 0.16), *([(up - 12, 0.2)] if beat % 4 == 0 else [])):
            if half_tones not in known:
                known[half_tones] = _pluck(clip.root_hertz * 2 ** (half_tones / 12))
            offset = int(start * SAMPLES_PER_SECOND)
            for index, value in enumerate(known[half_tones][: total - offset], offset):
                mixed[index] += value * loud
    fade = SAMPLES_PER_SECOND
    for index in range(fade):
        mixed[total - 1 - index] *= index / fade
    return array.array("h", (int(max(-1.0, min(1.0, value)) * 32_000) for value in mixed))


def _pluck(hertz: float) -> array.array[float]:
    length = int(2.4 * SAMPLES_PER_SECOND)
    turn = math.tau * hertz / SAMPLES_PER_SECOND
    return array.array(
        "f",
        (
            min(1.0, index / 600)
            * math.exp(-1.9 * index / SAMPLES_PER_SECOND)
            * min(1.0, (length - index) / 3000)
            * (math.sin(turn * index) + 0.25 * math.sin(2 * turn * index))
            for index in range(length)
        ),
    )


# ---- The file


def _encode(clip: Clip, pictures: Iterator[Image.Image], target: Path) -> None:
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as file:
        video = file.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.gop_size = KEY_FRAME_EVERY
        video.options = {
            "profile": "main",
            "preset": "veryslow",
            "crf": "32",
            "tune": "animation",
            "x264-params": f"keyint={KEY_FRAME_EVERY}:min-keyint={KEY_FRAME_EVERY}:scenecut=0:ipratio=1.2",
        }
        audio = file.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono")
        audio.bit_rate = 24_000
        sound, sent = _tune(clip), 0
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            file.mux(video.encode(frame))
            # Sound and picture are interleaved as they go, so that a player need not look ahead.
            while sent < (number + 1) * SAMPLES_PER_SECOND // FRAMES_PER_SECOND:
                file.mux(audio.encode(_sound_frame(sound[sent : sent + 1024], sent)))
                sent += 1024
        file.mux(video.encode(None))
        file.mux(audio.encode(None))


def _sound_frame(samples: array.array[int], start: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
    frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts = SAMPLES_PER_SECOND, start
    frame.time_base = Fraction(1, SAMPLES_PER_SECOND)
    return frame


if __name__ == "__main__":
    main()
