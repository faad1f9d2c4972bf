"""The rows of each export: learners in, rows of cells out, a page of learners at a time.

What belongs here: which columns an export has and what is read for them. Who may ask, files and jobs are in
`learning/exports.py`. Every number comes from where the pages have it: the ledger, and the programmes' rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning import export_words as words
from player_server.learning.certificates import decode, standing_of
from player_server.learning.programme_hours import programme_hours
from player_server.learning.services import Services
from player_server.policy.certificates import stands
from player_server.policy.findings import CHINA_OFFSET_MS
from player_server.storage.certificate_tables import registry_batch, registry_batch_entry
from player_server.storage.sheets import Cell
from player_server.storage.tables import (
    challenge,
    course,
    enrolment,
    enrolment_course,
    finding,
    ledger_entry,
    video,
    watch_progress,
)

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Who:
    """A learner as every row begins: class, name and ID number (whole or masked)."""

    learner_id: int
    class_name: str
    name: str
    id_number: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.class_name, self.name, self.id_number


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of rows is made from. `now_ms`: the store's clock when the export began, UTC ms."""

    services: Services
    conn: AsyncConnection
    who: dict[int, Who]
    now_ms: int

    @property
    def ids(self) -> list[int]:
        return list(self.who)


Rows = list[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of export: the name of its file and tab, its headings, and how a page of learners becomes rows."""

    title: str
    headings: tuple[str, ...]
    read: Callable[[Page], Awaitable[Rows]]


WHO = ("班级", "姓名", "身份证号")


def hours(hundredths: int) -> float:
    """As a number that spreadsheets can add up."""
    return hundredths / 100


def minute(ms: int | None) -> str:
    """UTC ms → `2026-11-20 09:31:05` in China; "" for none."""
    if ms is None:
        return ""
    return (_EPOCH + timedelta(milliseconds=ms + CHINA_OFFSET_MS)).strftime("%Y-%m-%d %H:%M:%S")


async def _progress(page: Page) -> Rows:
    """A row for each course that a learner is enrolled for."""
    enrolled = (
        await page.conn.execute(
            select(
                enrolment.c.learner_id,
                course.c.id,
                course.c.title,
                course.c.specialty,
                course.c.subject,
                func.min(enrolment.c.deadline).label("deadline"),
            )
            .join(enrolment_course, enrolment_course.c.enrolment_id == enrolment.c.id)
            .join(course, course.c.id == enrolment_course.c.course_id)
            .where(enrolment.c.learner_id.in_(page.ids), enrolment.c.withdrawn_at.is_(None))
            .group_by(enrolment.c.learner_id, course.c.id, course.c.title, course.c.specialty, course.c.subject)
            .order_by(enrolment.c.learner_id, course.c.id)
        )
    ).all()
    asked = select(video.c.course_id, func.sum(video.c.hours)).where(
        video.c.course_id.in_({row.id for row in enrolled}), video.c.withdrawn_at.is_(None)
    )
    required = dict((await page.conn.execute(asked.group_by(video.c.course_id))).all())
    entry = ledger_entry.c
    sums = select(entry.learner_id, entry.course_id, func.sum(entry.hours)).where(
        entry.learner_id.in_(page.ids), entry.video_id.is_not(None)
    )
    earned = {
        (learner_id, course_id): total
        for learner_id, course_id, total in await page.conn.execute(
            sums.group_by(entry.learner_id, entry.course_id)
        )
    }
    seen = (
        select(
            watch_progress.c.learner_id,
            video.c.course_id,
            func.count(watch_progress.c.watched_at),
            func.max(watch_progress.c.updated_at),
        )
        .join(video, video.c.id == watch_progress.c.video_id)
        .where(watch_progress.c.learner_id.in_(page.ids))
        .group_by(watch_progress.c.learner_id, video.c.course_id)
    )
    watched = {
        (learner_id, course_id): (count, at) for learner_id, course_id, count, at in await page.conn.execute(seen)
    }
    rows: Rows = []
    for row in enrolled:
        got, wanted = int(earned.get((row.learner_id, row.id), 0)), int(required.get(row.id, 0))
        count, at = watched.get((row.learner_id, row.id), (0, None))
        rows.append(
            (
                *page.who[row.learner_id].cells,
                row.title,
                row.specialty,
                words.SUBJECTS.get(row.subject, row.subject),
                hours(got),
                hours(wanted),
                hours(max(0, wanted - got)),
                words.YES if wanted and got >= wanted else words.NO,
                count,
                minute(at),
                minute(row.deadline),
            )
        )
    return rows


async def _hours(page: Page) -> Rows:
    """A row for each rule and period of each enrolment that can be judged."""
    rows: Rows = []
    found = await programme_hours(page.conn, page.services.programmes, page.ids, page.now_ms)
    for each in found:
        for rule in each.evaluation.rules:
            rows.append(
                (
                    *page.who[each.learner_id].cells,
                    each.programme.programme.name.zh,
                    rule.name.zh,
                    rule.label,
                    rule.begins.isoformat(),
                    rule.ends.isoformat() if rule.ends else "",
                    hours(rule.required),
                    hours(rule.counted),
                    hours(rule.missing),
                    words.RULE_STATES[rule.state.value],
                    each.evaluation.deadline.isoformat() if each.evaluation.deadline else "",
                    words.STANDINGS[each.evaluation.standing.value],
                    words.YES if each.evaluation.exam else words.NO,
                    words.YES if each.evaluation.complete else words.NO,
                    each.programme.version,
                )
            )
    return rows


async def _findings(page: Page) -> Rows:
    query = (
        select(finding, video.c.title)
        .outerjoin(video, video.c.id == finding.c.video_id)
        .where(finding.c.learner_id.in_(page.ids))
        .order_by(finding.c.learner_id, finding.c.first_at, finding.c.id)
    )
    return [
        (
            *page.who[row.learner_id].cells,
            words.FINDINGS.get(row.kind, row.kind),
            row._mapping["count"],
            minute(row.first_at),
            minute(row.last_at),
            row.worst,
            row.title or "",
        )
        for row in await page.conn.execute(query)
    ]


async def _challenges(page: Page) -> Rows:
    query = (
        select(challenge, video.c.title)
        .join(video, video.c.id == challenge.c.video_id)
        .where(challenge.c.learner_id.in_(page.ids))
        .order_by(challenge.c.learner_id, challenge.c.sequence)
    )
    return [
        (
            *page.who[row.learner_id].cells,
            row.title,
            words.CHALLENGES.get(row.kind, row.kind),
            minute(row.issued_at),
            minute(row.deadline),
            minute(row.answered_at),
            words.OUTCOMES.get(row.outcome, row.outcome),
            words.YES if row.same_device else words.NO,
        )
        for row in await page.conn.execute(query)
    ]


async def _ledger(page: Page) -> Rows:
    query = (
        select(ledger_entry, course.c.title.label("course_title"), video.c.title.label("video_title"))
        .outerjoin(course, course.c.id == ledger_entry.c.course_id)
        .outerjoin(video, video.c.id == ledger_entry.c.video_id)
        .where(ledger_entry.c.learner_id.in_(page.ids))
        .order_by(ledger_entry.c.learner_id, ledger_entry.c.id)
    )
    return [
        (
            *page.who[row.learner_id].cells,
            row.id,
            minute(row.occurred_at),
            words.ENTRY_TYPES.get(row.entry_type, row.entry_type),
            words.KINDS.get(row.kind, row.kind),
            words.SUBJECTS.get(row.subject, row.subject),
            hours(row.hours),
            row.course_title or "",
            row.video_title or "",
            row.round,
            row.reverses,
            row.source or "",
            row.rule_version,
        )
        for row in await page.conn.execute(query)
    ]


async def _retractions(page: Page) -> Rows:
    """A row for each enrolment that stands in a batch though hours of it were reversed since."""
    query = (
        select(registry_batch_entry, registry_batch.c.number, registry_batch.c.opened_at)
        .join(registry_batch, registry_batch.c.id == registry_batch_entry.c.batch_id)
        .where(registry_batch_entry.c.learner_id.in_(page.ids))
        .order_by(registry_batch_entry.c.learner_id, registry_batch_entry.c.id)
    )
    handed_over = (await page.conn.execute(query)).all()
    standing = await standing_of(page.conn, {row.learner_id for row in handed_over})
    rows: Rows = []
    for row in handed_over:
        content, now = decode(row.content), standing[row.learner_id]
        if not stands(content.entries, now.ids):
            reversed_at = [now.reversed_at[each] for each in content.entries if each in now.reversed_at]
            rows.append(
                (
                    *page.who[row.learner_id].cells,
                    content.programme.zh,
                    row.number,
                    minute(row.opened_at),
                    minute(min(reversed_at, default=None)),
                )
            )
    return rows


SOURCES: dict[str, Source] = {
    "progress": Source(
        "课程进度",
        (
            *WHO,
            "课程",
            "专业",
            "科目",
            "已得学时",
            "应得学时",
            "还差学时",
            "是否修满",
            "看完的视频",
            "最近学习",
            "截止时间",
        ),
        _progress,
    ),
    "hours": Source(
        "学时核算",
        (
            *WHO,
            "培训项目",
            "学时要求",
            "年度",
            "起始日",
            "截止日",
            "应修学时",
            "已修学时",
            "还差学时",
            "要求状态",
            "项目截止日期",
            "项目状态",
            "可以考试",
            "全部修满",
            "规则版本",
        ),
        _hours,
    ),
    "findings": Source("异常记录", (*WHO, "异常", "次数", "首次", "最近", "最大值", "视频"), _findings),
    "challenges": Source(
        "播放验证", (*WHO, "视频", "验证方式", "发出时间", "截止时间", "回答时间", "结果", "本机确认"), _challenges
    ),
    "retractions": Source("上报后冲销", (*WHO, "培训项目", "批次", "上报时间", "首次冲销时间"), _retractions),
    "ledger": Source(
        "学时账目",
        (
            *WHO,
            "账目编号",
            "入账时间",
            "类型",
            "学时种类",
            "科目",
            "学时",
            "课程",
            "视频",
            "轮次",
            "冲销账目",
            "来源",
            "规则版本",
        ),
        _ledger,
    ),
}


def registry_headings() -> tuple[str, ...]:
    """Of the registry's batch: one row for each enrolment that is complete."""
    return (
        "姓名",
        "身份证号",
        "班级",
        "培训项目",
        "证书发证日期",
        "证书有效期至",
        "网络学习学时",
        "面授学时",
        "单位组织学时",
        "考试学时",
        "合计学时",
        "学时要求",
        "规则版本",
    )


def registry_row(who: Who, entry: Any, content: Any) -> tuple[Cell, ...]:
    """One row; `content` (policy.certificates.Content) is what was true when the batch was collected."""
    totals: dict[str, int] = defaultdict(int)
    for kind, total in content.totals.items():
        totals[kind] += total
    kinds: Sequence[str] = ("online", "offline", "employer", "test")
    lines = [
        f"{line.name.zh}{' ' + line.label if line.label else ''} {hours(line.counted):g}/{hours(line.required):g}"
        for line in content.lines
    ]
    return (
        who.name,
        who.id_number,
        who.class_name,
        content.programme.zh,
        content.issued_on.isoformat() if content.issued_on else "",
        content.expires_on.isoformat() if content.expires_on else "",
        *(hours(totals[kind]) for kind in kinds),
        hours(sum(totals.values())),
        "；".join(lines),
        entry.rule_version,
    )
