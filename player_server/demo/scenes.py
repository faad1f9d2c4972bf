"""The four moving pictures of the demo clips.

What belongs here: for each clip, a still ground and what moves before it, by second and section. Every scene
keeps to the left 400 units; the card with the key points covers the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .pen import (
    BLUE,
    CONCRETE,
    CONCRETE_DARK,
    GREEN,
    INK,
    ORANGE,
    RED,
    STEEL,
    STEEL_DARK,
    WHITE,
    WIDTH,
    YELLOW,
    Pen,
    Point,
    between,
    cloud,
    ease,
    measure,
    pulse,
    rail,
    sky,
    to_and_fro,
    worker,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """``ground(pen)`` is drawn once; ``moving(pen, seconds, section)`` for every frame, section from 0."""

    ground: Callable[[Pen], None]
    moving: Callable[[Pen, float, int], None]


# ---- 高处作业与临边防护

_FLOORS = (124.0, 196.0, 268.0)


def _height_ground(pen: Pen) -> None:
    sky(pen, (150, 204, 236), (214, 236, 246), 304)
    pen.box(0, 304, WIDTH, 56, (196, 178, 148))
    pen.box(0, 304, WIDTH, 4, (176, 156, 126))
    for x in (24, 132, 240):
        pen.box(x, 124, 14, 180, CONCRETE)
        pen.box(x + 10, 124, 4, 180, CONCRETE_DARK)
    for y in _FLOORS:
        pen.box(0, y, 268, 11, CONCRETE)
        pen.box(0, y + 8, 268, 3, CONCRETE_DARK)
    # The scaffold with its green net.
    pen.box(278, 84, 46, 220, (58, 153, 110, 60))
    for x in (278, 301, 324):
        pen.line([(x, 80), (x, 304)], STEEL, 2.5)
    for y in (92, 128, 164, 200, 236, 272):
        pen.line([(276, y), (326, y)], STEEL, 2.2)
        pen.line([(278, y + 32), (324, y)], (*STEEL, 150), 1.4)
    for y in (128, 200, 272):
        pen.box(274, y, 54, 4, (170, 122, 72))
    # The mast of the hoist.
    for x in (346, 356):
        pen.line([(x, 76), (x, 304)], STEEL_DARK, 2)
    for y in range(80, 300, 12):
        pen.line([(346, y), (356, y + 12)], STEEL_DARK, 1.2)


def _height_moving(pen: Pen, seconds: float, section: int) -> None:
    cloud(pen, 180 + seconds * 1.6, 76, 0.9)
    cloud(pen, 330 + seconds * 1.0, 60, 0.6)
    hoist = 272 - 160 * to_and_fro(seconds, 16)
    pen.box(359, hoist - 4, 30, 36, ORANGE, 3)
    pen.box(363, hoist + 1, 22, 15, (255, 230, 190), 2)
    rail(pen, 144, 124, 120)
    rail(pen, 144, 196, 120)
    if section == 2:
        _hole(pen, 60, 196, ease(seconds % 6 / 2))
    # The walker turns at both ends of the floor; the line runs along above the head.
    pen.line([(24, 142), (264, 142)], BLUE, 1.6)
    x = 164 + 80 * to_and_fro(seconds, 14) if section == 2 else 52 + 192 * to_and_fro(seconds, 24)
    hook = worker(pen, x, 196, seconds * 5, YELLOW, 0.4)
    pen.line([hook, (hook[0], 142)], BLUE, 1.6)
    pen.disc(hook[0], 142, 2.6, BLUE)
    worker(pen, 300, 128, 0, RED, -0.5 + 0.4 * math.sin(seconds * 2.5))
    worker(pen, 60, 268, 0, (255, 255, 255), 0.6)
    if section == 0:
        measure(pen, (120, 207), (120, 304), "≥ 2 m")
    elif section == 1:
        measure(pen, (138, 100), (138, 124), "1.2 m")
        pulse(pen, 204, 112, 20, seconds)
    elif section == 2:
        pulse(pen, 78, 194, 26, seconds)
    else:
        pulse(pen, hook[0], 142, 9, seconds)


def _hole(pen: Pen, x: float, y: float, closed: float) -> None:
    pen.box(x, y, 36, 11, (70, 76, 84))
    left = x - 40 * (1 - closed)
    pen.box(left - 3, y - 4, 42, 5, YELLOW, 1)
    for index in range(4):
        start = left + index * 10
        pen.shape([(start, y + 1), (start + 5, y + 1), (start + 8, y - 4), (start + 3, y - 4)], INK)


# ---- 深基坑施工安全

_PIT_LEFT, _PIT_RIGHT, _PIT_TOP, _PIT_FLOOR = 74.0, 372.0, 132.0, 300.0


def _pit_ground(pen: Pen) -> None:
    sky(pen, (250, 214, 170), (253, 238, 214), _PIT_TOP)
    layers = ((132, 60, (176, 138, 98)), (192, 56, (158, 120, 84)), (248, 112, (138, 104, 74)))
    for y, height, colour in layers:
        pen.box(0, y, WIDTH, height, colour)
    for index in range(60):
        pen.disc(index * 97 % 640, 144 + index * 53 % 160, 1.6, (120, 88, 62))
    pen.box(_PIT_LEFT, _PIT_TOP - 1, _PIT_RIGHT - _PIT_LEFT, _PIT_FLOOR - _PIT_TOP + 1, (238, 222, 196))
    pen.box(_PIT_LEFT, _PIT_FLOOR - 3, _PIT_RIGHT - _PIT_LEFT, 6, (120, 92, 66))
    for x in (_PIT_LEFT - 12, _PIT_RIGHT):
        pen.box(x, _PIT_TOP - 4, 12, 210, CONCRETE)
        pen.box(x + 8, _PIT_TOP - 4, 4, 210, CONCRETE_DARK)
    for x in (_PIT_LEFT - 18, _PIT_RIGHT - 6):
        pen.box(x, _PIT_TOP - 8, 24, 9, CONCRETE_DARK, 2)
    for y in (160, 204):
        pen.box(_PIT_LEFT, y, _PIT_RIGHT - _PIT_LEFT, 9, BLUE)
        pen.box(_PIT_LEFT, y, _PIT_RIGHT - _PIT_LEFT, 3, (104, 160, 216))
        for x in (_PIT_LEFT, _PIT_RIGHT - 7):
            pen.box(x, y - 5, 7, 19, STEEL_DARK)
    rail(pen, 4, _PIT_TOP, 46)


def _pit_moving(pen: Pen, seconds: float, section: int) -> None:
    cloud(pen, 190 + seconds * 1.8, 68, 0.9)
    cloud(pen, 320 + seconds * 1.1, 96, 0.6)
    _excavator(pen, 236, _PIT_FLOOR - 3, seconds)
    worker(pen, 30, _PIT_TOP, 0, RED, -0.9 + 0.5 * math.sin(seconds * 1.8))
    if section == 0:
        measure(pen, (352, _PIT_TOP), (352, _PIT_FLOOR - 3), "≥ 5 m")
    elif section == 1:
        level = (160, 204)[int(seconds / 2.5) % 2]
        pulse(pen, 150, level + 4, 14, seconds)
        pulse(pen, 300, level + 4, 14, seconds)
    else:
        # The instrument looks at the prisms one after the other.
        for foot in (-8, 0, 8):
            pen.line([(392, 112), (392 + foot, 132)], STEEL_DARK, 2)
        pen.box(387, 100, 10, 13, ORANGE, 2)
        prisms: tuple[Point, ...] = ((80, 146), (80, 190), (80, 240))
        for index, prism in enumerate(prisms):
            pen.disc(*prism, 4, RED if int(seconds) % 3 == index else GREEN)
        pen.dashes((390, 106), prisms[int(seconds) % 3], RED, 1.4)


def _excavator(pen: Pen, x: float, y: float, seconds: float) -> None:
    """Two arms whose lengths are fixed; the elbow follows from where the bucket is."""
    part = seconds / 7 % 1
    stops: tuple[Point, ...] = ((-104, -8), (-62, -4), (-56, -44), (-100, -52), (-104, -8))
    index = min(3, int(part * 4))
    bucket = between(stops[index], stops[index + 1], ease(part * 4 - index))
    shoulder = (x - 12, y - 28)
    hand = (x + bucket[0], y + bucket[1])
    upper, lower = 62.0, 56.0
    reach = min(math.dist(shoulder, hand), upper + lower - 1)
    base = math.atan2(hand[1] - shoulder[1], hand[0] - shoulder[0])
    bend = math.acos((upper**2 + reach**2 - lower**2) / (2 * upper * reach))
    elbow = (shoulder[0] + upper * math.cos(base + bend), shoulder[1] + upper * math.sin(base + bend))
    heap = 20 + 5 * math.sin(part * math.tau)
    pen.shape([(x - 140, y), (x - 118, y - heap * 0.7), (x - 96, y - heap * 0.4), (x - 76, y)], (112, 84, 58))
    pen.box(x - 30, y - 15, 66, 15, INK, 7)
    for wheel in range(5):
        pen.disc(x - 22 + wheel * 12.5, y - 7.5, 4.5, STEEL)
    pen.box(x - 20, y - 34, 54, 19, YELLOW, 4)
    pen.box(x + 22, y - 34, 12, 19, (214, 152, 40), 4)
    pen.box(x - 20, y - 56, 24, 24, YELLOW, 3)
    pen.box(x - 17, y - 52, 15, 13, (196, 228, 240), 2)
    pen.line([shoulder, elbow], (226, 164, 44), 8)
    pen.line([elbow, hand], YELLOW, 6)
    pen.disc(*elbow, 3.5, INK)
    tilt = 0.4 if index in (0, 3) else -0.5
    cup = [(-11, -2), (9, -4), (8, 7), (0, 12), (-8, 9)]
    pen.shape([_turned(hand, point, tilt) for point in cup], STEEL_DARK)
    if index in (1, 2):
        pen.disc(hand[0] - 1, hand[1] - 2, 6, (112, 84, 58))


def _turned(centre: Point, point: Point, angle: float) -> Point:
    cosine, sine = math.cos(angle), math.sin(angle)
    return (
        centre[0] + point[0] * cosine - point[1] * sine,
        centre[1] + point[0] * sine + point[1] * cosine,
    )


# ---- 施工现场临时用电

_CORES = ((240, 196, 60), (58, 153, 110), (214, 69, 65), (96, 164, 220))
# Left edge, width, height, breakers, name.
_BOXES = (
    (24.0, 92, 126, 3, "总配电箱"),
    (146.0, 84, 110, 2, "分配电箱"),
    (258.0, 70, 94, 1, "开关箱"),
)
_BOX_FOOT, _CABLE, _CABLE_STEP = 196.0, 218.0, 11.0


def _power_ground(pen: Pen) -> None:
    pen.box(0, 0, WIDTH, 360, (226, 236, 234))
    for row, joint in enumerate(range(48, 290, 22)):
        pen.line([(0, joint), (WIDTH, joint)], (214, 226, 224), 1.2)
        for brick in range(-20 + row % 2 * 30, WIDTH, 60):
            pen.line([(brick, joint), (brick, joint + 22)], (214, 226, 224), 1.2)
    pen.box(0, 290, WIDTH, 70, (170, 178, 182))
    pen.box(0, 290, WIDTH, 4, (148, 156, 162))
    for x, width, height, breakers, words in _BOXES:
        for leg in (x + 10, x + width - 15):
            pen.box(leg, _BOX_FOOT - 4, 5, 98, STEEL)
        top = _BOX_FOOT - height
        pen.box(x + 3, top + 3, width, height, (0, 0, 0, 30), 5)
        pen.box(x, top, width, height, YELLOW, 5)
        pen.box(x + 4, top + 4, width - 8, height - 8, (252, 210, 108), 4)
        pen.text(x + width / 2, top + 17, words, INK, 14, True, "mm")
        pen.box(x + 9, top + 31, width - 18, 42, (250, 250, 246), 3)
        for breaker in range(breakers):
            left = x + width / 2 + (breaker - (breakers - 1) / 2) * 22 - 8
            pen.box(left, top + 36, 16, 32, (206, 214, 220), 2)
            pen.box(left + 4, top + 40, 8, 24, STEEL_DARK, 2)
        if height > 100:
            _warning(pen, x + width / 2, top + height - 18)
    for index, core in enumerate((*_CORES, GREEN)):
        y = _CABLE + index * _CABLE_STEP
        pen.line([(34, y), (318, y)], core, 3.4)
        if index == 4:
            for stripe in range(38, 312, 14):
                pen.line([(stripe, y), (stripe + 7, y)], YELLOW, 3.4)


def _warning(pen: Pen, x: float, y: float) -> None:
    pen.shape([(x, y - 11), (x + 13, y + 10), (x - 13, y + 10)], INK)
    bolt = [(x + 1, y - 5), (x - 4, y + 3), (x - 0.5, y + 3), (x - 2, y + 9), (x + 4, y), (x + 0.5, y)]
    pen.shape(bolt, YELLOW)


def _power_moving(pen: Pen, seconds: float, section: int) -> None:
    # Every six seconds of the last section a fault shows why the residual-current device is there.
    phase = seconds % 6 if section == 2 else 0
    tripped = 2.2 <= phase < 5
    for index in range(4):
        # The protective conductor carries no current.
        for dot in range(8):
            x = 40 + (dot * 34 + seconds * 40 + index * 9) % 272
            if not tripped or x < 258:
                pen.disc(x, _CABLE + index * _CABLE_STEP, 2.4, WHITE)
    for number, (x, width, height, breakers, _) in enumerate(_BOXES):
        top, off = _BOX_FOOT - height, tripped and number == 2
        for breaker in range(breakers):
            left = x + width / 2 + (breaker - (breakers - 1) / 2) * 22 - 4
            pen.box(left, top + (54 if off else 40), 8, 10, RED if off else GREEN, 2)
        if section == 1 and int(seconds / 1.5) % 3 == number:
            pulse(pen, x + width / 2, top + 52, 28, seconds)
    _saw(pen, 370, 290, 0 if tripped else seconds * 9)
    pen.line([(318, 240), (344, 240), (350, 266)], INK, 3)
    if 1 <= phase < 2.2:
        flash = [(364, 228), (352, 250), (360, 250), (354, 272), (374, 244), (365, 244)]
        pen.shape(flash, RED if int(seconds * 6) % 2 else ORANGE)
    if tripped:
        pen.box(246, 66, 94, 24, RED, 5)
        pen.text(293, 78, "≤ 0.1 s 跳闸", WHITE, 13, True, "mm")
    if section == 0:
        focus = int(seconds / 1.5) % 5
        for index, name in enumerate(("L1", "L2", "L3", "N", "PE")):
            y = _CABLE + index * _CABLE_STEP
            if index == focus:
                pen.box(5, y - 6, 23, 12, ORANGE, 3)
            pen.text(16.5, y, name, WHITE if index == focus else INK, 10, True, "mm")


def _saw(pen: Pen, x: float, y: float, angle: float) -> None:
    teeth = []
    for index in range(32):
        radius = 20 if index % 2 else 16.5
        turn = angle + index * math.pi / 16
        teeth.append((x + radius * math.cos(turn), y - 28 + radius * math.sin(turn)))
    pen.shape(teeth, (208, 214, 220))
    pen.disc(x, y - 28, 5, STEEL_DARK)
    pen.disc(x + 10 * math.cos(angle), y - 28 + 10 * math.sin(angle), 2, STEEL)
    pen.box(x - 26, y - 28, 52, 28, BLUE, 3)
    pen.box(x - 30, y - 31, 60, 5, STEEL_DARK, 2)


# ---- 起重吊装安全要点


_JIB = 108.0  # The height of the jib's lower chord.


def _crane_ground(pen: Pen) -> None:
    sky(pen, (134, 178, 224), (226, 234, 244), 300)
    pen.box(0, 300, WIDTH, 60, (186, 190, 176))
    pen.box(0, 300, WIDTH, 4, (164, 168, 154))
    for floor in range(3):
        y = 300 - (floor + 1) * 34
        pen.box(262, y, 118, 34, (214, 206, 196))
        pen.box(258, y, 126, 6, CONCRETE_DARK)
        for x in (276, 312, 348):
            pen.box(x, y + 12, 20, 14, (150, 178, 198), 2)
    # The crane: mast, jib, counter-jib, tie rods, cabin.
    for x in (104, 120):
        pen.line([(x, _JIB), (x, 298)], ORANGE, 3)
    for y in range(int(_JIB), 284, 16):
        pen.line([(104, y), (120, y + 16)], ORANGE, 1.6)
        pen.line([(104, y + 16), (120, y)], ORANGE, 1.6)
    pen.box(88, 290, 48, 12, CONCRETE_DARK, 2)
    pen.line([(44, _JIB), (392, _JIB)], ORANGE, 3)
    pen.line([(126, _JIB - 10), (384, _JIB - 10)], ORANGE, 2)
    for x in range(126, 384, 14):
        pen.line([(x, _JIB), (x + 7, _JIB - 10), (x + 14, _JIB)], ORANGE, 1.4)
    pen.line([(112, _JIB), (112, _JIB - 38)], ORANGE, 3)
    for end in ((50, _JIB), (230, _JIB - 10), (340, _JIB - 10)):
        pen.line([(112, _JIB - 38), end], STEEL_DARK, 1.4)
    pen.box(42, _JIB, 30, 22, CONCRETE_DARK, 2)
    pen.box(120, _JIB + 2, 17, 19, (250, 244, 230), 3)
    pen.box(126, _JIB + 5, 9, 9, (120, 170, 200), 1)


def _crane_moving(pen: Pen, seconds: float, section: int) -> None:
    wind = section == 1
    cloud(pen, 200 + seconds * (5 if wind else 1.6), 68, 0.8)
    # One round: lift, move out, set down on the roof, unhook, and come back empty.
    part = seconds / 13 % 1
    out = ease((part - 0.22) / 0.3) - ease((part - 0.78) / 0.2)
    up = ease(part / 0.2) - ease((part - 0.54) / 0.12) * 0.215 + ease((part - 0.68) / 0.1) * 0.215
    up -= ease((part - 0.82) / 0.16)
    if wind:
        out, up = 0.0, 0.5
    trolley = 176 + 142 * out
    swing = math.sin(seconds * 2.1) * (0.16 if wind else 0.03 * ease((0.5 - part) * 4))
    length = 160 - 130 * up
    hook = (trolley + length * math.sin(swing), _JIB + length * math.cos(swing))
    # The load lies on the roof until the next round begins.
    loaded = wind or part < 0.67
    load = hook if loaded else (318.0, _JIB + 160 - 130 * 0.785)
    for row in range(3):
        pen.box(load[0] - 26, load[1] + 15 + row * 6, 52, 5, (176, 128, 78), 1)
    if loaded:
        pen.line([(hook[0] - 22, hook[1] + 15), hook, (hook[0] + 22, hook[1] + 15)], INK, 1.4)
    pen.box(trolley - 9, _JIB - 2, 18, 7, STEEL_DARK, 2)
    pen.line([(trolley - 4, _JIB + 4), (hook[0] - 1, hook[1])], INK, 1.4)
    pen.line([(trolley + 4, _JIB + 4), (hook[0] + 1, hook[1])], INK, 1.4)
    pen.disc(hook[0], hook[1], 3.5, RED)
    # Nobody stands where the load travels: the signaller is behind the mast, the ground below is marked off.
    for x in range(142, 250, 12):
        pen.shape([(x, 303), (x + 6, 303), (x + 2, 309), (x - 4, 309)], YELLOW)
    for x in (140, 250):
        pen.shape([(x, 284), (x + 6, 304), (x - 6, 304)], ORANGE)
        pen.box(x - 3.5, 293, 7, 4, WHITE)
    worker(pen, 62, 300, 0, RED, -1.1 + 0.7 * math.sin(seconds * 3))
    if wind:
        for index in range(5):
            gust = (seconds * 120 + index * 93) % 460 - 60
            pen.line([(gust, 140 + index * 28), (gust + 34, 140 + index * 28)], (255, 255, 255, 170), 2)
        _cups(pen, 112, _JIB - 42, seconds * 7)
        pulse(pen, 112, _JIB - 42, 15, seconds)
    elif section == 0:
        pulse(pen, hook[0], hook[1] + 4, 12, seconds)
    else:
        pulse(pen, 64, 272, 22, seconds)


def _cups(pen: Pen, x: float, y: float, angle: float) -> None:
    for index in range(3):
        reach = 11 * math.cos(angle + index * math.tau / 3)
        pen.line([(x, y), (x + reach, y)], INK, 1.6)
        pen.disc(x + reach, y, 3, INK)


SCENES = (
    Scene(_height_ground, _height_moving),
    Scene(_pit_ground, _pit_moving),
    Scene(_power_ground, _power_moving),
    Scene(_crane_ground, _crane_moving),
)
