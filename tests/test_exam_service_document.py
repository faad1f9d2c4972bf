"""Every snippet of docs/exam-service.md does what the page says: they are cut out of it and run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import update

from player_server.api import oauth
from player_server.auth.service_clients import Scope, add_client, new_secret
from player_server.auth.service_tokens import make_access_token
from player_server.learning.exam_launch import launch
from player_server.learning.services import Services
from player_server.routes import OPERATIONS
from player_server.storage.clock import wall_ms
from player_server.storage.tables import outbox
from tests.support import school
from tests.support.clients import add_client_row, private_pem
from tests.support.doors import open_doors
from tests.support.ports import free_port
from tests.support.services import close_services, make_services

PAGE = Path(__file__).parents[1] / "docs" / "exam-service.md"
SNIPPETS = {
    name: text for text, name in re.findall(r"```(?:python|sh)\n(# snippet: (\w+)\n.*?)```", PAGE.read_text(), re.S)
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


class Reader:
    """Somebody who copies snippets from the page, at a running server with an eligible learner."""

    def __init__(self, services: Services, url: str, learner_id: int, enrolment_id: int, at: int) -> None:
        self.services = services
        self.url = url
        self.learner_id = learner_id
        self.enrolment_id = enrolment_id
        self.at = at
        self.token = make_access_token(services, "exam", frozenset(Scope)).token

    async def shell(self, name: str, **variables: str) -> dict[str, Any]:
        """Run a curl snippet; what it prints."""
        environment = {
            **os.environ,
            "URL": self.url,
            "TOKEN": self.token,
            "LEARNER": str(self.learner_id),
            **variables,
        }
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-ec", SNIPPETS[name]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def python(self, name: str) -> dict[str, Any]:
        """What a Python snippet defines."""
        defined: dict[str, Any] = {}
        exec(compile(SNIPPETS[name], f"{PAGE.name}:{name}", "exec"), defined)  # noqa: S102  # It is our own page.
        return defined


@pytest_asyncio.fixture
async def reader(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Reader]:
    port = free_port()
    services = await make_services(
        database_url,
        valkey_url,
        tmp_path,
        server={"port": port},
        exam={"launch_url": "https://exam.example.org/enter"},
    )
    at = await school.add_institution(services, "示例")
    pupil, lessons = await school.add_learner(services, at), await school.add_course(services, at)
    enrolment_id = await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    for number, hours in enumerate((100, 50)):
        video_id = lessons.video_ids[number]
        await school.add_entry(
            services, pupil.learner_id, lessons, video_id, hours, institution_id=at, occurred_at=wall_ms()
        )
    await add_client_row(services, "exam", at)
    routes = [
        *(each.route() for each in OPERATIONS),
        web.get("/.well-known/jwks.json", oauth.jwks),
        web.get("/.well-known/oauth-authorization-server", oauth.metadata),
    ]
    async with open_doors(services, routes, port=port) as server:
        yield Reader(services, str(server.make_url("")).rstrip("/"), pupil.learner_id, enrolment_id, at)
    await close_services(services)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the snippets for the shell need curl")
async def test_the_way_from_registration_to_the_result(reader: Reader) -> None:
    assert set(SNIPPETS) == {"token", "secret", "ask", "verify", "redeem", "result", "events"}
    credential = new_secret()
    await add_client(reader.services, "plain", name="x", institution_id=reader.at, credential=credential)
    granted = await reader.shell("secret", CLIENT="plain", SECRET=credential.secret or "")
    assert granted["token_type"] == "Bearer"
    key = await add_client_row(reader.services, "keyed", reader.at)
    access_token = reader.python("token")["access_token"]
    reader.token = await asyncio.to_thread(access_token, reader.url, "keyed", private_pem(key))

    answer = await reader.shell("ask")
    assert answer["eligible"] is True
    believed = reader.python("verify")["believed"]
    said = await asyncio.to_thread(believed, reader.url, "keyed", answer["assertion"])
    assert said == {name: value for name, value in answer.items() if name != "assertion"}
    with pytest.raises(jwt.InvalidAudienceError):
        await asyncio.to_thread(believed, reader.url, "another", answer["assertion"])

    address = await launch(reader.services, reader.at, reader.learner_id, reader.enrolment_id, address="x")
    assert address is not None
    redeemed = await reader.shell("redeem", LAUNCH=address.partition("launch=")[2])
    assert (redeemed["learner"], redeemed["enrolment"]) == (reader.learner_id, reader.enrolment_id)

    results = [await reader.shell("result", SITTING="sitting-1") for _ in range(2)]
    assert results[0]["result"] == results[1]["result"]
    async with reader.services.db.write() as conn:
        await conn.execute(update(outbox).values(position=outbox.c.id))
    events = reader.python("events")["events"]
    told = await asyncio.to_thread(lambda: [each["type"] for each in events(reader.url, reader.token)])
    assert told.count("exam.result") == 1
