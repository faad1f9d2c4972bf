"""Correcting a wrong answer key: a new version of the quiz, and every submission that failed by the old one again.

What belongs here: which key decides, the correction, and the job that grades again. A submission that passed stays
passed, whatever the new key says: nobody loses credit because somebody else made a mistake. A version is only ever
compared with one that asks the same questions; what was answered to other questions stays as it was graded.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.learning import jobs
from player_server.learning.jobs import JobRun
from player_server.learning.services import Services
from player_server.learning.settle import settle
from player_server.learning.staff_actions import Action, Hand, Outcome
from player_server.learning.staff_scope import StaffScope
from player_server.learning.video_actions import lock_video
from player_server.policy.quiz_content import (
    QuizContent,
    decode,
    encode,
    grade,
    same_questions,
    version_of,
    with_key,
)
from player_server.storage import audit, staff_actions
from player_server.storage.attempts import answers_of
from player_server.storage.tables import attempt, quiz_version, video
from player_server.storage.upsert import insert

REGRADE = "regrade"
#: Submissions that one transaction grades: some milliseconds, so that nobody who watches waits for it.
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Key:
    """What a sheet is judged by: the version that it showed, and the newest one if that asks the same questions."""

    shown: QuizContent
    newest_sha: str | None = None
    newest: QuizContent | None = None

    def judge(self, answers: Sequence[Set[int]]) -> tuple[str | None, list[bool]]:
        """(the version that decided, None for the one shown; the marks).

        What is all right by the version shown is all right: the sheet was answered in good faith.
        """
        marks = grade(self.shown, answers)
        if self.newest is None or all(marks):
            return None, marks
        return self.newest_sha, grade(self.newest, answers)


@dataclass(frozen=True, slots=True)
class Quiz:
    """A video's quiz with its right answers, for the institution only."""

    video_id: int
    title: str
    content: QuizContent


async def read_content(conn: AsyncConnection, sha: str) -> QuizContent:
    """The content of a stored version."""
    text = await conn.scalar(select(quiz_version.c.content).where(quiz_version.c.sha == sha))
    if text is None:
        # Attempts and videos refer to versions by foreign key, so none can be deleted.
        raise LookupError(f"quiz version {sha} is missing")
    return decode(text)


async def key_for(conn: AsyncConnection, shown_sha: str, newest_sha: str | None) -> Key:
    """The key for a sheet that showed one version while another one is the newest of its video."""
    shown = await read_content(conn, shown_sha)
    if newest_sha is None or newest_sha == shown_sha:
        return Key(shown)
    newest = await read_content(conn, newest_sha)
    return Key(shown, newest_sha, newest) if same_questions(shown, newest) else Key(shown)


async def find_quiz(
    services: Services, scope: StaffScope, institution_id: int, video_id: int, address: str
) -> Quiz | None:
    """The quiz of one of the institution's videos; None if it has none, and for foreign and absent videos.

    Right answers are shown, so that somebody looked at them is in the audit.
    """
    async with services.db.write() as conn:
        row = await lock_video(conn, institution_id, video_id)
        found = None
        if row is not None and row.quiz_sha is not None:
            found = Quiz(video_id, row.title, await read_content(conn, row.quiz_sha))
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=scope.actor,
            action="read_answer_key",
            target=f"video:{video_id}",
            result="not_found" if found is None else "ok",
            institution_id=institution_id,
            address=address,
        )
    return found


async def correct_key(
    services: Services, hand: Hand, institution_id: int, video_id: int, rights: Sequence[Sequence[int]]
) -> tuple[Outcome, str | None]:
    """Give the quiz these right options (the author's indexes, for each question); also the job that grades again.

    Raises ValueError where a question would have no right option, or a single one two.
    """
    job_id: str | None = None
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        row = await lock_video(conn, institution_id, video_id)
        outcome = Outcome.ABSENT
        if row is not None and row.quiz_sha is not None:
            old = await read_content(conn, row.quiz_sha)
            new = with_key(old, rights)
            outcome = Outcome.ALREADY if new == old else Outcome.DONE
            if outcome is Outcome.DONE:
                job_id = await _correct_in(services, conn, hand, row, old, new, now)
        await audit.record(
            conn,
            at=now,
            actor=hand.scope.actor,
            action=Action.CORRECT_KEY.value,
            target=f"video:{video_id}",
            result=outcome.value,
            institution_id=institution_id,
            address=hand.address,
        )
    if job_id is not None:
        await jobs.wake(services)
    return outcome, job_id


async def _correct_in(
    services: Services, conn: AsyncConnection, hand: Hand, row: Any, old: QuizContent, new: QuizContent, now: int
) -> str:
    sha = version_of(new)
    version = insert(conn, quiz_version).values(sha=sha, content=encode(new).decode(), created_at=now)
    await conn.execute(version.on_conflict_do_nothing())
    await conn.execute(update(video).where(video.c.id == row.id).values(quiz_sha=sha))
    changed = [
        number
        for number, (was, now_) in enumerate(zip(old.questions, new.questions, strict=True), 1)
        if was.right != now_.right
    ]
    await staff_actions.add(
        conn,
        Action.CORRECT_KEY,
        institution_id=row.institution_id,
        staff_id=hand.scope.staff_id,
        video_id=row.id,
        reason=hand.reason,
        details={"questions": changed, "from": row.quiz_sha, "to": sha},
        at=now,
    )
    return await jobs.submit(
        services,
        conn,
        kind=REGRADE,
        institution_id=row.institution_id,
        asked_by=hand.scope.actor,
        arguments={"video": row.id},
        # By version: a job that runs already may have read the version before.
        dedupe=f"{row.id}:{sha}",
    )


async def regrade(services: Services, run: JobRun) -> dict[str, object]:
    """The job: grade every failed submission of a video by its newest key, and credit those that pass now.

    It looks again until nothing is left, so it may run twice, and a correction in the middle is followed.
    """
    video_id = int(run.arguments["video"])
    graded = passed = 0
    while ids := await _left(services, video_id):
        for start in range(0, len(ids), AT_ONCE):
            done, now_right = await _grade_some(services, video_id, ids[start : start + AT_ONCE])
            graded += done
            passed += len(now_right)
            for learner_id, round_ in now_right:
                await settle(services, learner_id, video_id, round_)
            await run.progress(start + AT_ONCE if start + AT_ONCE < len(ids) else len(ids), len(ids))
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor="system",
            action=REGRADE,
            target=f"video:{video_id}",
            result=f"{graded} graded, {passed} passed",
            institution_id=run.institution_id,
        )
    return {"graded": graded, "passed": passed, "page": f"/staff/videos/{video_id}"}


async def catch_up(services: Services, row: Any) -> Any:
    """A submission that failed, graded by the newest key if that came while it was handed in."""
    async with services.db.read() as conn:
        newest = await conn.scalar(select(video.c.quiz_sha).where(video.c.id == row.video_id))
    if row.passed or newest in (None, row.graded_sha or row.quiz_sha):
        return row
    await _grade_some(services, row.video_id, [row.id])
    async with services.db.read() as conn:
        return (await conn.execute(select(attempt).where(attempt.c.id == row.id))).one()


async def _left(services: Services, video_id: int) -> list[str]:
    """Failed submissions that the newest key has not judged yet, of versions that ask the same questions."""
    async with services.db.read() as conn:
        newest = await conn.scalar(select(video.c.quiz_sha).where(video.c.id == video_id))
        if newest is None:
            return []
        last = func.coalesce(attempt.c.graded_sha, attempt.c.quiz_sha)
        failed = (attempt.c.video_id == video_id, attempt.c.passed.is_(False), last != newest)
        shown = (await conn.scalars(select(attempt.c.quiz_sha).where(*failed).distinct())).all()
        content = await read_content(conn, newest)
        same = [sha for sha in shown if same_questions(await read_content(conn, sha), content)]
        if not same:
            return []
        query = select(attempt.c.id).where(*failed, attempt.c.quiz_sha.in_(same)).order_by(attempt.c.id)
        return list((await conn.scalars(query)).all())


async def _grade_some(services: Services, video_id: int, ids: Sequence[str]) -> tuple[int, list[tuple[int, int]]]:
    """Grade these by the newest key; how many, and (learner, round) of those that pass now."""
    async with services.db.write() as conn:
        newest = await conn.scalar(select(video.c.quiz_sha).where(video.c.id == video_id))
        rows = (await conn.execute(select(attempt).where(attempt.c.id.in_(ids), attempt.c.passed.is_(False)))).all()
        keys = {sha: await key_for(conn, sha, newest) for sha in {row.quiz_sha for row in rows}}
        now_right: list[tuple[int, int]] = []
        for row in rows:
            sha, marks = keys[row.quiz_sha].judge(answers_of(row))
            # Whoever passed meanwhile stays as they are.
            won = await conn.execute(
                update(attempt)
                .where(attempt.c.id == row.id, attempt.c.passed.is_(False))
                .values(graded_sha=sha, right_count=sum(marks), passed=all(marks))
            )
            if won.rowcount and all(marks):
                now_right.append((row.learner_id, row.round))
    return len(rows), now_right
