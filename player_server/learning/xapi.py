"""Telling a learning record store what was watched: xAPI statements, through the outbox and its deliveries.

The store is the operator's, named in the settings (`xapi`), and is told of all institutions.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from player_server.learning.services import Services
from player_server.policy.xapi import VERSION, Stretch, Watching, statements
from player_server.storage import outbox
from player_server.storage.xapi import (
    known_store,
    new_segments,
    note_told,
    record_store,
    segments_before,
    source_of,
)
from telemetry.rules import watched_from_ms

#: The kind of endpoint, and what its messages are called in the outbox. They are no events: the feed has none.
XAPI = "xapi"
TOPIC = "xapi.statements"
#: Segments of one transaction.
BATCH = 50


async def tell_record_store(services: Services) -> int:
    """For the worker: leave statements of newly watched stretches; returns of how many stretches."""
    url = services.settings.xapi.endpoint
    url = None if url is None else url.rstrip("/")
    async with services.db.read() as conn:
        ready = await known_store(conn, url)
        if ready and (url is None or not await new_segments(conn, url, limit=1)):
            return 0
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await record_store(conn, url, TOPIC, now)
        if url is None:
            return 0
        told = 0
        for segment in await new_segments(conn, url, limit=BATCH):
            made = statements(_watching(services, segment, await segments_before(conn, segment)))
            told += await outbox.put(
                conn,
                TOPIC,
                institution_id=segment.institution_id,
                learner_id=segment.learner_id,
                payload={"statements": made},
                source=source_of(segment.id),
                now_ms=now,
            )
            await note_told(conn, url, segment.id)
    return told


def _watching(services: Services, segment: Any, before: Any) -> Watching:
    of_session = [each for each in before if each.session_id == segment.session_id]
    return Watching(
        home=services.settings.public_url,
        source=source_of(segment.id),
        learner_id=segment.learner_id,
        video_id=segment.video_id,
        title=segment.title,
        length_ms=segment.duration_ms,
        watched_ms=watched_from_ms(segment.duration_ms),
        session_id=segment.session_id,
        stretch=_stretch(segment),
        earlier=[_stretch(each) for each in before],
        previous=_stretch(of_session[-1]) if of_session else None,
    )


def _stretch(row: Any) -> Stretch:
    return Stretch(row.from_ms, row.to_ms, row.started_at, row.ended_at)


def statements_request(services: Services, url: str, payload: str) -> tuple[str, bytes, dict[str, str]]:
    """Address, body and headers of one message to the record store."""
    settings = services.settings.xapi
    body = msgspec.json.encode(msgspec.json.decode(payload)["statements"])
    fields = {"content-type": "application/json", "x-experience-api-version": VERSION}
    if settings.username:
        secret = b64encode(f"{settings.username}:{settings.password}".encode()).decode()
        fields["authorization"] = f"Basic {secret}"
    return f"{url}/statements", body, fields
