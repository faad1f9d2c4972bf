"""Learners by the hundred thousand, made inside PostgreSQL: one institution, ten courses, tens of entries each."""

from __future__ import annotations

from sqlalchemy import text

from player_server.learning.services import Services

COURSES = 10
VIDEOS = 40
#: Entries of a usual learner: the hours in class and some videos.
ENTRIES = 12

_COMMON = """
INSERT INTO institution (id, name, created_at) VALUES (1, '学校', 1);
INSERT INTO media (sha, duration_ms, width, height, video_codec, created_at)
    VALUES (repeat('0', 64), 600000, 640, 360, 'h264', 1);
INSERT INTO course (id, institution_id, title, specialty, subject, created_at)
    SELECT c, 1, '课程 ' || c, '建筑工程', 'professional', 1 FROM generate_series(1, :courses) c;
INSERT INTO video (id, course_id, position, title, hours, media_sha, created_at)
    SELECT (c - 1) * :videos + v, c, v, '第' || v || '讲', 100, repeat('0', 64), 1
    FROM generate_series(1, :courses) c, generate_series(1, :videos) v;
"""

_LEARNERS = """
INSERT INTO person (id, id_hash, id_cipher, name, created_at)
    SELECT n, 'hash-' || n, 'none', '张伟', 1 FROM generate_series(:first, :last) n;
INSERT INTO learner (id, institution_id, person_id, created_at)
    SELECT n, 1, n, 1 FROM generate_series(:first, :last) n;
INSERT INTO enrolment (id, learner_id, programme, issue_date, expiry_date, offline_missing, created_at)
    SELECT n, n, 'jiangsu-constructor-2', current_date - 700, current_date + 300, false, :now
    FROM generate_series(:first, :last) n;
INSERT INTO enrolment_course (enrolment_id, course_id)
    SELECT n, 1 + n % :courses FROM generate_series(:first, :last) n;
INSERT INTO ledger_entry (learner_id, institution_id, course_id, video_id, kind, subject, hours, round, entry_type,
                          rule_version, occurred_at, evidence, source, source_row)
    SELECT n, 1, 1 + n % :courses, NULL, 'offline', 'public', 1600, 1, 'credit', '1', :now - 86400000, '{}',
           'bench', 'a' || n
    FROM generate_series(:first, :last) n;
INSERT INTO ledger_entry (learner_id, institution_id, course_id, video_id, kind, subject, hours, round, entry_type,
                          rule_version, occurred_at, evidence)
    SELECT n, 1, 1 + n % :courses, (n % :courses) * :videos + v, 'online', 'professional', 100, 1, 'credit', '1',
           :now - 3600000, '{}'
    FROM generate_series(:first, :last) n, generate_series(1, :entries - 1) v;
"""


async def found(services: Services) -> None:
    """Institution, courses and videos."""
    await _run(services, _COMMON, {})


async def add_learners(services: Services, first: int, last: int, now_ms: int, *, entries: int = ENTRIES) -> None:
    """Learners with these ids, enrolled, with so many entries each; at most VIDEOS + 1."""
    await _run(services, _LEARNERS, {"first": first, "last": last, "now": now_ms, "entries": entries})


async def tidy(services: Services) -> None:
    """What autovacuum would have done by and by."""
    async with services.db.engine.connect() as conn:
        plain = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text("VACUUM ANALYZE"))


async def _run(services: Services, script: str, values: dict[str, int]) -> None:
    async with services.db.write() as conn:
        # Roll-ups and foreign keys are not what is measured; checking them a million times would take minutes.
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in script.strip().removesuffix(";").split(";\n"):
            wanted = {**values, "courses": COURSES, "videos": VIDEOS}
            named = {name: value for name, value in wanted.items() if f":{name}" in statement}
            filled = statement
            for name in sorted(named, key=len, reverse=True):
                filled = filled.replace(f":{name}", str(named[name]))
            await conn.exec_driver_sql(filled)
