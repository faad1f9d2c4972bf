"""Drawing for the demo clips: a pen over Pillow in picture units, the palette, and things every scene has.

What belongs here: shapes without a story. Pictures are drawn at twice their size and halved at the end, which
is what smooths the edges. Run by hand only; Pillow is a requirement of development, not of the product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 640, 360
SCALE = 2

Colour = tuple[int, ...]
Point = tuple[float, float]

INK = (31, 45, 61)
STEEL = (92, 110, 128)
STEEL_DARK = (64, 80, 97)
CONCRETE = (188, 194, 200)
CONCRETE_DARK = (156, 164, 172)
ORANGE = (240, 128, 48)
YELLOW = (250, 190, 60)
RED = (214, 69, 65)
GREEN = (58, 153, 110)
BLUE = (58, 123, 190)
WHITE = (255, 255, 255)
SKIN = (240, 200, 166)


class Pen:
    """Draws on an RGB picture of WIDTH × HEIGHT units. Angles are radians, colours may carry an alpha."""

    def __init__(self, picture: Image.Image, fonts: Fonts) -> None:
        self._draw = ImageDraw.Draw(picture, "RGBA")
        self._fonts = fonts

    def line(self, points: Sequence[Point], colour: Colour, width: float = 2) -> None:
        """A line with round ends and joints."""
        wide = max(1, round(width * SCALE))
        scaled = _scaled(points)
        self._draw.line(scaled, fill=colour, width=wide, joint="curve")
        if width > 2.5 and len(colour) == 3:
            for x, y in (scaled[0], scaled[-1]):
                self._draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=colour)

    def dashes(self, start: Point, end: Point, colour: Colour, width: float = 1.5, dash: float = 6) -> None:
        """A dashed straight line."""
        length = math.dist(start, end)
        count = max(1, int(length / dash / 2))
        for index in range(count):
            a, b = index / count, (index + 0.5) / count
            self.line([between(start, end, a), between(start, end, b)], colour, width)

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon(_scaled(points), fill=colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, round_by: float = 0) -> None:
        """A filled rectangle from its upper left corner."""
        corners = (x * SCALE, y * SCALE, (x + width) * SCALE - 1, (y + height) * SCALE - 1)
        self._draw.rounded_rectangle(corners, radius=round_by * SCALE, fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        self._draw.ellipse([v * SCALE for v in (x - radius, y - radius, x + radius, y + radius)], fill=colour)

    def ring(self, x: float, y: float, radius: float, colour: Colour, width: float = 2) -> None:
        """A circle's edge."""
        corners = [v * SCALE for v in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(corners, outline=colour, width=round(width * SCALE))

    def pie(self, x: float, y: float, radius: float, start: float, end: float, colour: Colour) -> None:
        """A sector, from one angle clockwise to another."""
        corners = [v * SCALE for v in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.pieslice(corners, math.degrees(start), math.degrees(end), fill=colour)

    def text(
        self, x: float, y: float, words: str, colour: Colour, size: int, bold: bool = False, anchor: str = "lm"
    ) -> None:
        """Words at a point; ``anchor`` as Pillow names it."""
        self._draw.text((x * SCALE, y * SCALE), words, fill=colour, font=self._fonts.of(size, bold), anchor=anchor)

    def text_width(self, words: str, size: int, bold: bool = False) -> float:
        """In picture units."""
        return float(self._fonts.of(size, bold).getlength(words)) / SCALE


class Fonts:
    """A regular and a bold font file with Chinese characters, opened at the sizes asked for."""

    def __init__(self, regular: Path, bold: Path) -> None:
        self._files = {False: (str(regular), _simplified(regular)), True: (str(bold), _simplified(bold))}
        self._open: dict[tuple[int, bool], ImageFont.FreeTypeFont] = {}

    def of(self, size: int, bold: bool) -> ImageFont.FreeTypeFont:
        """The font at a size in picture units."""
        if (size, bold) not in self._open:
            file, index = self._files[bold]
            self._open[size, bold] = ImageFont.truetype(file, size * SCALE, index=index)
        return self._open[size, bold]


def between(start: Point, end: Point, part: float) -> Point:
    """The point that lies ``part`` (0 to 1) of the way from start to end."""
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def ease(part: float) -> float:
    """0 to 1 with a soft start and a soft end; clipped outside."""
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)


def to_and_fro(seconds: float, period: float) -> float:
    """Softly from 0 to 1 and back within a period."""
    part = seconds / period % 1
    return ease(part * 2) if part < 0.5 else ease(2 - part * 2)


def sky(pen: Pen, top: Colour, bottom: Colour, horizon: float) -> None:
    """A sky down to the horizon, a sun and a far city."""
    bands = 12
    for band in range(bands):
        mix = tuple(round(a + (b - a) * band / (bands - 1)) for a, b in zip(top, bottom, strict=True))
        pen.box(0, horizon * band / bands, WIDTH, horizon / bands + 1, mix)
    pen.disc(92, 84, 34, (255, 244, 214, 120))
    pen.disc(92, 84, 24, (255, 236, 180))
    far = tuple(round(channel * 0.9) for channel in bottom)
    heights = (60, 92, 44, 110, 70, 52, 124, 80, 58, 96, 40, 74, 104, 62, 84, 48)
    for index, height in enumerate(heights):
        pen.box(index * 42 - 6, horizon - height, 34, height, far)


def cloud(pen: Pen, x: float, y: float, size: float) -> None:
    """A cloud around a point."""
    for dx, dy, radius in ((-18, 4, 11), (-4, -3, 15), (13, 2, 12)):
        pen.disc(x + dx * size, y + dy * size, radius * size, (255, 255, 255))
    pen.box(x - 28 * size, y + 3 * size, 52 * size, 12 * size, (255, 255, 255), 6 * size)


def worker(pen: Pen, x: float, y: float, step: float, helmet: Colour = YELLOW, arm: float = 0.5) -> Point:
    """A worker whose feet stand at (x, y); ``step`` is the phase of the walk.

    Gives the point of the harness.
    """
    swing = math.sin(step) * 5
    pen.line([(x - 1, y - 15), (x - swing, y - 1)], INK, 4)
    pen.line([(x + 1, y - 15), (x + swing, y - 1)], INK, 4)
    pen.box(x - 6, y - 31, 12, 18, ORANGE, 4)
    pen.box(x - 6, y - 24, 12, 2.5, (255, 244, 180))
    pen.box(x - 6, y - 19, 12, 2.5, (255, 244, 180))
    hand = (x + 12 * math.cos(arm), y - 27 + 12 * math.sin(arm))
    pen.line([(x + 3, y - 28), hand], ORANGE, 4)
    pen.disc(*hand, 2.2, SKIN)
    pen.disc(x, y - 36, 5.5, SKIN)
    pen.pie(x, y - 37, 7, math.pi, 2 * math.pi, helmet)
    pen.box(x - 8, y - 38, 17, 2.2, helmet, 1)
    return x - 4, y - 29


def rail(pen: Pen, x: float, y: float, length: float, colour: Colour = RED) -> None:
    """A guard rail on a floor at height y: posts, upper and middle bar, toe board."""
    for index in range(int(length / 30) + 1):
        pen.line([(x + index * 30, y), (x + index * 30, y - 24)], colour, 2)
    for height in (24, 12):
        pen.line([(x, y - height), (x + length, y - height)], colour, 2)
        for index in range(int(length / 20)):
            pen.line([(x + index * 20 + 6, y - height), (x + index * 20 + 14, y - height)], WHITE, 2)
    pen.box(x, y - 4, length, 4, YELLOW)


def measure(pen: Pen, top: Point, bottom: Point, words: str, colour: Colour = ORANGE) -> None:
    """A dimension line with its words at the left."""
    pen.line([top, bottom], colour, 1.6)
    for x, y in (top, bottom):
        pen.line([(x - 5, y), (x + 5, y)], colour, 1.6)
    middle = between(top, bottom, 0.5)
    width = pen.text_width(words, 12, True) + 10
    pen.box(middle[0] - width - 5, middle[1] - 9, width, 18, colour, 4)
    pen.text(middle[0] - width / 2 - 5, middle[1], words, WHITE, 12, True, "mm")


def pulse(pen: Pen, x: float, y: float, radius: float, seconds: float) -> None:
    """A ring that says: look here."""
    part = seconds / 1.6 % 1
    pen.ring(x, y, radius + 8 * part, (*ORANGE, round(230 * (1 - part))), 2.5)


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _simplified(file: Path) -> int:
    # A font collection holds the same font for several countries; the shapes of the characters differ.
    for index in range(16):
        try:
            name = ImageFont.truetype(str(file), 10, index=index).getname()[0] or ""
        except OSError:
            break
        if name.split()[-1] in ("SC", "CN"):
            return index
    return 0
