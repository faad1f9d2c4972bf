"""Invents one learner of a made-up school: name, class, programme, dates, and how far the study has come.

What belongs here takes dice and returns values. Writing them down is `seed.py`'s.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec

from player_server.policy.id_number import check_character
from player_server.policy.periods import china_day

DAY_MS = 86_400_000
RECENT = 2

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
DOUBLE = ("欧阳", "司马", "上官", "诸葛", "尉迟")
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华玉萍红玲芬燕彬辉宇浩然子轩梓涵一诺晨曦志远建国海波文博雅婷"
)
PROGRAMMES = (
    ("jiangsu-constructor-2", 60),
    ("mohurd-site-staff", 15),
    ("hainan-site-staff", 10),
    ("jiangxi-site-staff", 10),
    ("re-issue", 5),
)
FINDINGS = ("metronome_beats", "second_page", "ahead_of_frontier", "wrong_phone", "phone_rebound")


@dataclass(frozen=True, slots=True)
class SeedVideo:
    """`right`: the right options of each question."""

    id: int
    media_sha: str
    duration_ms: int
    quiz_sha: str
    right: list[list[int]]


@dataclass(frozen=True, slots=True)
class SeedCourse:
    """A course with its videos in order."""

    course_id: int
    specialty: str
    videos: tuple[SeedVideo, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """How far one video is; times in UTC ms."""

    video_id: int
    media_sha: str
    quiz_sha: str
    answers: str
    questions: int
    frontier_ms: int
    credited: bool
    recent: bool
    at: int


@dataclass(frozen=True, slots=True)
class Pupil:
    """One learner. `other_hours`: hundredths, subject, kind, when. `check`: when, outcome. `finding`: kind, count,
    worst, when."""

    name: str
    class_name: str
    programme: str
    course: SeedCourse
    since: int
    deadline: int
    issue_date: date
    expiry_date: date
    offline_missing: bool
    other_hours: tuple[tuple[int, str, str, int], ...]
    lessons: tuple[Lesson, ...]
    check: tuple[int, str] | None
    finding: tuple[str, int, int, int] | None


def id_number_of(person_id: int) -> str:
    """A well-formed ID number that belongs to nobody, one for each id (area 320199 was never given out)."""
    born = date(1960, 1, 1) + timedelta(days=person_id // 999 % 14_600)
    body = f"320199{born:%Y%m%d}{person_id % 999 + 1:03d}"
    return body + check_character(body)


def invent(dice: random.Random, number: int, classes: int, courses: list[SeedCourse], now: int) -> Pupil:
    """The learner of this number. Classes share programme, course and last day; people differ."""
    group = number % classes
    of_class = random.Random(group)  # noqa: S311  # Made-up data.
    programme = of_class.choices([each[0] for each in PROGRAMMES], [each[1] for each in PROGRAMMES])[0]
    course = courses[group % len(courses)]
    deadline = _last_minute(now + of_class.randrange(-30, 200) * DAY_MS)
    since = min(now - 30 * DAY_MS, deadline - 120 * DAY_MS) - of_class.randrange(40) * DAY_MS
    expiry = china_day(deadline) + timedelta(days=30)
    issue = expiry - timedelta(days=3 * 365)
    offline = programme == "jiangsu-constructor-2"
    offline_missing = offline and dice.random() < 0.1
    # Many have hardly begun, some are done, the rest lies between.
    share = 0.0
    if not offline_missing and dice.random() > 0.15:
        share = 1.0 if dice.random() < 0.15 else dice.betavariate(0.6, 1.2)
    lessons = _lessons(dice, course, share, since, now)
    other: list[tuple[int, str, str, int]] = []
    if offline and not offline_missing:
        other.append((1600, "public", "offline", since + 2 * DAY_MS))
    if programme == "jiangxi-site-staff" and dice.random() < 0.7:
        other.append((2000, "professional", "employer", since + 5 * DAY_MS))
    last = lessons[-1].at if lessons else 0
    check = None
    if lessons and dice.random() < 0.3:
        check = (last - 20_000, "missed" if dice.random() < 0.1 else "answered")
    found = None
    if lessons and dice.random() < 0.03:
        found = (dice.choice(FINDINGS), dice.randrange(1, 30), dice.randrange(1_000, 90_000), last)
    return Pupil(
        name=_name(dice),
        class_name=f"2026年第{group + 1:03d}期",
        programme=programme,
        course=course,
        since=since,
        deadline=deadline,
        issue_date=issue,
        expiry_date=expiry,
        offline_missing=offline_missing,
        other_hours=tuple(other),
        lessons=lessons,
        check=check,
        finding=found,
    )


def _lessons(dice: random.Random, course: SeedCourse, share: float, since: int, now: int) -> tuple[Lesson, ...]:
    whole = int(share * len(course.videos))
    begun = whole + (1 if share > 0 and whole < len(course.videos) else 0)
    # Study is spread between the second day and now, in order.
    times = sorted(dice.randrange(since + 2 * DAY_MS, now) for _ in range(begun))
    lessons = []
    for index in range(begun):
        video = course.videos[index]
        credited = index < whole
        lessons.append(
            Lesson(
                video_id=video.id,
                media_sha=video.media_sha,
                quiz_sha=video.quiz_sha,
                answers=msgspec.json.encode(video.right).decode(),
                questions=len(video.right),
                frontier_ms=video.duration_ms if credited else dice.randrange(1_000, video.duration_ms // 2),
                credited=credited,
                recent=index >= begun - RECENT,
                at=times[index],
            )
        )
    return tuple(lessons)


def _name(dice: random.Random) -> str:
    surname = dice.choice(DOUBLE) if dice.random() < 0.02 else dice.choice(SURNAMES)
    return surname + "".join(dice.choice(GIVEN) for _ in range(1 if dice.random() < 0.35 else 2))


def _last_minute(ms: int) -> int:
    """The last minute of that day in China."""
    china = 8 * 3_600_000
    return ((ms + china) // DAY_MS + 1) * DAY_MS - china - 60_000
