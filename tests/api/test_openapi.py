"""The document says what the handlers do: schemathesis asks every operation, rightly and wrongly, with all
checks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
import schemathesis
from openapi_spec_validator import validate
from schemathesis.generation import GenerationMode

from player_server.learning.services import Services
from player_server.policy.periods import china_day
from player_server.routes import OPERATIONS
from player_server.storage.clock import wall_ms
from player_server.web.openapi import document
from player_server.web.operations import Operation
from tests.support import school
from tests.support.clients import add_client_row, bearer
from tests.support.doors import open_doors
from tests.support.services import close_services, make_services

#: Examples of each kind (right and wrong) for each operation; XUESHI_API_EXAMPLES asks for more.
EXAMPLES = int(os.environ.get("XUESHI_API_EXAMPLES", "8"))


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL is the pickier one: about types, zero bytes and ranges."""
    return postgres_url


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    # Nobody is slowed down here: what a client may ask a minute has its own test.
    exam = {"requests_per_minute": 1_000_000, "launch_url": "https://exam.example.org/"}
    made = await make_services(database_url, valkey_url, tmp_path, exam=exam)
    at = await school.add_institution(made, "示例")
    pupil, lessons = await school.add_learner(made, at), await school.add_course(made, at)
    today = china_day(wall_ms())
    dates = {"issue_date": today - timedelta(days=900), "expiry_date": today + timedelta(days=90)}
    await school.add_enrolment(made, pupil.learner_id, lessons.course_id, programme="demo", **dates)  # type: ignore[arg-type]
    for number, hours in enumerate((200, 100)):
        await school.add_entry(
            made,
            pupil.learner_id,
            lessons,
            lessons.video_ids[number],
            hours,
            institution_id=at,
            occurred_at=wall_ms(),
        )
    await add_client_row(made, "exam", at)
    yield made
    await close_services(made)


def test_the_document_is_valid() -> None:
    validate(document(OPERATIONS, "https://xueshi.example.org"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_every_answer_is_as_documented(operation: Operation, services: Services) -> None:
    headers = bearer(services) if operation.scope is not None else {}
    async with open_doors(services, [each.route() for each in OPERATIONS]) as server:
        url = str(server.make_url("")).rstrip("/")
        schema = schemathesis.openapi.from_dict(document(OPERATIONS, url))
        schema.config.update(base_url=url)
        asked = schema[operation.path][operation.method]
        statuses: set[int] = set()

        def ask(mode: GenerationMode) -> None:
            @hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=EXAMPLES < 10,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=asked.as_strategy(generation_mode=mode))
            def one(case: Any) -> None:
                statuses.add(case.call_and_validate(headers=headers).status_code)

            one()

        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            await asyncio.to_thread(ask, mode)
    assert statuses and max(statuses) < 500
