"""Quizzes in the database, and a learner who knows the answers and fills in what the sheet shows."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from player_server.learning.quiz import Sheet
from player_server.learning.services import Services
from player_server.policy.quiz_content import Question as Q
from player_server.policy.quiz_content import QuizContent, encode, version_of
from player_server.storage.tables import quiz_version, video

CONTENT = QuizContent(
    (
        Q("single", "高处作业的起算高度是？", ("一米", "两米", "三米", "五米"), (1,)),
        Q("multiple", "进入现场须佩戴？", ("安全帽", "耳环", "安全带", "凉鞋"), (0, 2)),
        Q("true_false", "临边须设防护栏杆。", ("正确", "错误"), (0,)),
        Q("single", "发现隐患应当？", ("不管", "报告", "围观", "拍照"), (1,)),
    )
)

Answers = dict[int, set[int]]


async def add_quiz(services: Services, video_id: int, content: QuizContent = CONTENT) -> str:
    """Make this the newest version of the video's quiz; returns its hash."""
    sha = version_of(content)
    async with services.db.write() as conn:
        if await conn.scalar(select(quiz_version.c.sha).where(quiz_version.c.sha == sha)) is None:
            await conn.execute(insert(quiz_version).values(sha=sha, content=encode(content).decode(), created_at=1))
        await conn.execute(update(video).where(video.c.id == video_id).values(quiz_sha=sha))
    return sha


def right_answers(sheet: Sheet, content: QuizContent = CONTENT) -> Answers:
    """All right, found by the texts on the sheet."""
    questions = {question.text: question for question in content.questions}
    answers = {}
    for shown in sheet.questions:
        question = questions[shown.text]
        texts = {question.options[index] for index in question.right}
        answers[shown.number] = {place for place, text in enumerate(shown.options) if text in texts}
    return answers


def wrong_answers(sheet: Sheet, wrong: set[str] | None = None, content: QuizContent = CONTENT) -> Answers:
    """Wrong at the questions with these texts (None: at all), right at the others."""
    answers = right_answers(sheet, content)
    for shown in sheet.questions:
        if wrong is None or shown.text in wrong:
            others = set(range(len(shown.options))) - answers[shown.number]
            answers[shown.number] = {min(others)}
    return answers
