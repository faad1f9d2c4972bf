"""The demo: loaded once, usable by everybody it names, and its secrets are kept to their owner."""

import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from sqlalchemy import func, select

from player_server.auth.identity import id_hash
from player_server.auth.initial_secrets import initial_hash
from player_server.auth.passwords import verify_password
from player_server.auth.service_tokens import client_of_proof, make_client_proof
from player_server.config import load
from player_server.demo.loader import ACCOUNTS_FILE, KEY_FILE, load_demo
from player_server.learning.enrolments import Refusal, WatchRight, may_watch, my_courses
from player_server.learning.hours import my_hours
from player_server.learning.services import Services
from player_server.operating.where import Where
from player_server.policy.id_number import check_id_number
from player_server.policy.periods import china_day
from player_server.storage.all_tables import metadata
from player_server.storage.tables import person, staff
from tests.support.services import close_services, make_services

DEMO_SETTINGS = Path(__file__).parents[2] / "player_server" / "demo" / "demo.yaml"


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path)
    yield made
    await close_services(made)


async def rows(services: Services) -> dict[str, int]:
    async with services.db.read() as conn:
        return {
            name: int(await conn.scalar(select(func.count()).select_from(table)) or 0)
            for name, table in metadata.tables.items()
        }


async def test_a_second_start_finds_the_same_accounts_and_adds_nothing(services: Services) -> None:
    first = await load_demo(services)
    before = await rows(services)
    assert await load_demo(services) == first
    assert await rows(services) == before
    assert (before["institution"], before["course"], before["learner"], before["staff"]) == (1, 1, 3, 4)


async def test_everybody_it_names_can_do_what_it_says(services: Services) -> None:
    demo = await load_demo(services)
    async with services.db.read() as conn:
        for each in demo.learners:
            number = check_id_number(each.id_number)
            found = (
                await conn.execute(select(person).where(person.c.id_hash == id_hash(services.keys, number)))
            ).one()
            if each.initial:
                assert found.initial_hash == initial_hash(services.keys, each.secret)
                assert found.password_hash is None
            else:
                assert found.initial_hash is None
                assert await verify_password(each.secret, found.password_hash)
        password_hash = await conn.scalar(select(staff.c.password_hash).where(staff.c.username == demo.staff))
        others = {row.username: row for row in await conn.execute(select(staff))}
    assert await verify_password(demo.staff_password, password_hash)
    assert [each.role for each in demo.colleagues] == ["teacher", "auditor", "regulator"]
    for colleague in demo.colleagues:
        row = others[colleague.username]
        assert row.role == colleague.role and await verify_password(colleague.password, row.password_hash)
    pem = Path(demo.key_file).read_text()
    client = await client_of_proof(services, make_client_proof(pem, demo.exam_client, services.settings.public_url))
    assert client.client_id == demo.exam_client and client.institution_id is not None


async def test_two_learners_may_watch_and_one_waits_for_the_hours_in_class(services: Services) -> None:
    demo = await load_demo(services)
    answers = []
    for each in demo.learners:
        (course,) = await my_courses(services, each.learner_id)
        assert course.required == sum(video.hours for video in course.videos) > 0
        assert course.deadline is not None
        async with services.db.read() as conn:
            answers.append(await may_watch(conn, each.learner_id, course.videos[0].video_id))
            now = (await services.clock.read(conn)).ms
        assert 59 < (course.deadline - now) / 86_400_000 < 62
    assert isinstance(answers[0], WatchRight) and isinstance(answers[1], WatchRight)
    assert answers[2] is Refusal.OFFLINE_MISSING


async def test_the_demo_programme_asks_for_the_hours_of_the_demo_course_until_its_deadline(
    services: Services,
) -> None:
    demo = await load_demo(services)
    for each in demo.learners:
        mine = await my_hours(services, each.learner_id)
        (course,), (judged,) = mine.courses, mine.programmes
        (rule,) = judged.evaluation.rules
        assert rule.required == course.required
        assert course.deadline is not None
        assert judged.evaluation.deadline == china_day(course.deadline)
        finish = judged.programme.programme.finish
        assert finish is not None and rule.ends is not None
        assert rule.ends - judged.evaluation.deadline == timedelta(days=finish.days_before_expiry)


async def test_secrets_are_readable_by_their_owner_only(services: Services) -> None:
    await load_demo(services)
    for name in (ACCOUNTS_FILE, KEY_FILE):
        assert stat.S_IMODE((services.settings.folder / name).stat().st_mode) == 0o600


async def test_when_the_secrets_are_gone_it_says_how_to_start_over(services: Services) -> None:
    await load_demo(services)
    (services.settings.folder / ACCOUNTS_FILE).unlink()
    assert "--fresh" in " ".join((await load_demo(services)).lines("http://localhost"))


async def test_the_exam_service_s_line_asks_where_the_demo_listens(services: Services) -> None:
    accounts = await load_demo(services)
    typed = Where((), {"server": {"port": 8099}, "data": {"folder": "x"}}).typed()
    assert "$(./run exam-token --port 8099)" in accounts.lines("http://127.0.0.1:8099", typed)[-1]
    assert "$(./run exam-token)" in accounts.lines("http://127.0.0.1:8080", Where((), {}).typed())[-1]


def test_the_settings_of_the_demo_are_valid() -> None:
    settings = load(DEMO_SETTINGS)
    assert settings.challenges.show_link and settings.challenges.latest_s == 40
