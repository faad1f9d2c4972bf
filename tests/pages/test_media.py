"""The doors of video and captions: who gets a file, and how."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import structs
from sqlalchemy import delete, insert, select, update

from player_server.auth import media_tokens
from player_server.auth.media_tokens import media_url
from player_server.config import MediaSettings
from player_server.learning.services import Services
from player_server.pages import media
from player_server.storage.clock import wall_ms
from player_server.storage.media import probe, store_video
from player_server.storage.media_index import loadable_bytes
from player_server.storage.tables import enrolment, video, watch_progress
from player_server.storage.tables import media as media_table
from tests.support import school
from tests.support.clips import make_clip
from tests.support.doors import browser_of, open_doors

CONTENT = bytes(range(256)) * 40
CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:01.000\n安全帽\n"


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    routes = [web.get("/media/{video}", media.video_file), web.get("/captions/{video}", media.captions_file)]
    async with open_doors(services, routes) as opened:
        yield opened


@pytest_asyncio.fixture
async def pupil(services: Services) -> school.Pupil:
    return await school.add_learner(services, await school.add_institution(services, "示例"))


@pytest_asyncio.fixture
async def video_id(services: Services, pupil: school.Pupil) -> int:
    lessons = await school.add_course(services, 1, hours=(100, 100))
    await school.add_enrolment(services, pupil.learner_id, lessons.course_id)
    folder = services.settings.media_folder
    folder.mkdir(parents=True)
    (folder / f"{'c' * 64}.vtt").write_text(CAPTIONS, encoding="utf-8")
    for each in lessons.video_ids:
        sha = await school.add_media(services)
        (folder / f"{sha}.mp4").write_bytes(CONTENT)
        async with services.db.write() as conn:
            values = {"media_sha": sha, "captions_sha": "c" * 64}
            await conn.execute(update(video).where(video.c.id == each).values(values))
    return lessons.video_ids[0]


def url(services: Services, learner_id: int, video_id: int, *, kind: media_tokens.Kind = "media") -> str:
    return media_url(services.keys, kind, learner_id, video_id, now_ms=wall_ms(), hours=1)


async def test_the_learner_gets_the_whole_file_and_parts_of_it(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    async with browser_of(services, server, pupil) as browser:
        async with browser.get(url(services, pupil.learner_id, video_id)) as whole:
            assert whole.status == 200
            assert whole.headers["Content-Type"] == "video/mp4"
            assert whole.headers["Cache-Control"].startswith("private")
            assert whole.headers["Accept-Ranges"] == "bytes"
            assert await whole.read() == CONTENT
        part = {"Range": "bytes=100-199"}
        async with browser.get(url(services, pupil.learner_id, video_id), headers=part) as some:
            assert some.status == 206
            assert some.headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
            assert await some.read() == CONTENT[100:200]
        beyond = {"Range": f"bytes={len(CONTENT)}-"}
        async with browser.get(url(services, pupil.learner_id, video_id), headers=beyond) as none:
            assert none.status == 416


async def test_captions_come_as_vtt(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    address = url(services, pupil.learner_id, video_id, kind="captions")
    async with browser_of(services, server, pupil) as browser, browser.get(address) as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/vtt; charset=utf-8"
        assert await reply.text() == CAPTIONS


async def test_the_address_alone_opens_nothing(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    # A mate in the same course, so that only the address itself can be what keeps the door shut.
    mate = await school.add_learner(services, 1, name="李娜")
    async with services.db.read() as conn:
        course_id = await conn.scalar(select(video.c.course_id).where(video.c.id == video_id))
    await school.add_enrolment(services, mate.learner_id, course_id or 0)
    address = url(services, pupil.learner_id, video_id)
    async with browser_of(services, server) as nobody, nobody.get(address) as reply:
        assert reply.status == 403
    async with browser_of(services, server, mate) as other, other.get(address) as reply:
        assert reply.status == 403


async def test_an_address_opens_no_other_video(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    token = url(services, pupil.learner_id, video_id).partition("?")[2]
    async with browser_of(services, server, pupil) as browser:
        async with browser.get(f"/media/{video_id + 1}?{token}") as reply:
            assert reply.status == 403
        for path in ("/media/0", "/media/x", f"/media/{'9' * 5000}", "/media/%2e%2e"):
            async with browser.get(f"{path}?{token}") as reply:
                assert reply.status in (403, 404), path


async def test_an_expired_address_is_refused(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    old = media_url(services.keys, "media", pupil.learner_id, video_id, now_ms=wall_ms() - 3_700_000, hours=1)
    async with browser_of(services, server, pupil) as browser, browser.get(old) as reply:
        assert reply.status == 403


@pytest.mark.parametrize("forgery", ["none", "other key", "other type", "no expiry", "other audience", "", "x.y.z"])
async def test_forged_addresses_are_refused(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int, forgery: str
) -> None:
    claims = {
        "iss": media_tokens.ISSUER,
        "aud": media_tokens.AUDIENCE,
        "sub": str(pupil.learner_id),
        "video": video_id,
        "exp": wall_ms() // 1000 + 600,
    }
    key, typ = services.keys.derive(media_tokens.PURPOSE), media_tokens.TYPE

    def made(key: bytes = key, alg: str = "HS256", typ: str = typ, **changes: object) -> str:
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(kept, key, alg, headers={"typ": typ})

    token = {
        "none": lambda: jwt.encode(claims, "", "none", headers={"typ": typ}),
        "other key": lambda: made(services.keys.derive("csrf")),
        "other type": lambda: made(typ="JWT"),
        "no expiry": lambda: made(exp=None),
        "other audience": lambda: made(aud="xueshi"),
    }.get(forgery, lambda: forgery)()
    async with browser_of(services, server, pupil) as browser:
        async with browser.get(f"/media/{video_id}", params={"t": made()}) as reply:
            assert reply.status == 200  # The test can make a right one.
        async with browser.get(f"/media/{video_id}", params={"t": token}) as reply:
            assert reply.status == 403


async def test_a_withdrawn_enrolment_closes_addresses_given_before(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    address = url(services, pupil.learner_id, video_id)
    async with services.db.write() as conn:
        await conn.execute(update(enrolment).values(withdrawn_at=1))
    async with browser_of(services, server, pupil) as browser, browser.get(address) as reply:
        assert reply.status == 403


async def test_a_file_that_is_gone_is_not_found(
    services: Services, server: TestServer, pupil: school.Pupil, video_id: int
) -> None:
    for file in services.settings.media_folder.iterdir():
        file.unlink()
    address = url(services, pupil.learner_id, video_id)
    async with browser_of(services, server, pupil) as browser, browser.get(address) as reply:
        assert reply.status == 404


LONG_S = 60
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest_asyncio.fixture
async def long_video(services: Services, pupil: school.Pupil, video_id: int, tmp_path: Path) -> Path:
    """The stored file of a video that is longer than what may be loaded of it."""
    source = make_clip(tmp_path / "long.mp4", picture_s=LONG_S, sound_s=LONG_S, noisy=True)
    facts = probe(source)
    async with services.db.write() as conn:
        sha = facts.sha256
        await conn.execute(
            insert(media_table).values(
                sha=sha, duration_ms=facts.duration_ms, width=64, height=48, video_codec="h264", created_at=1
            )
        )
        await conn.execute(update(video).where(video.c.id == video_id).values(media_sha=sha))
    return store_video(source, facts, services.settings.media_folder)


def with_lookahead(services: Services, seconds: float, **more: Any) -> Services:
    settings = structs.replace(services.settings, media=MediaSettings(lookahead_s=seconds, **more))
    return replace(services, settings=settings)


@one_database
async def test_beyond_the_look_ahead_nothing_is_given_out_until_it_is_earned(
    services: Services, pupil: school.Pupil, video_id: int, long_video: Path
) -> None:
    content = long_video.read_bytes()
    near = loadable_bytes(long_video, 0, 10_000)
    assert near is not None
    address = url(services, pupil.learner_id, video_id)
    routes = [web.get("/media/{video}", media.video_file)]
    async with (
        open_doors(with_lookahead(services, 10), routes) as server,
        browser_of(services, server, pupil) as browser,
    ):
        # Within the look-ahead: as ever, index and all.
        async with browser.get(address, headers={"Range": f"bytes=0-{near - 1}"}) as reply:
            assert (reply.status, await reply.read()) == (206, content[:near])
        # Beyond it: refused.
        async with browser.get(address, headers={"Range": f"bytes={near}-"}) as reply:
            assert reply.status == 416
            assert reply.headers["Content-Range"] == f"bytes */{len(content)}"
        async with browser.get(address, headers={"Range": "bytes=-500"}) as reply:
            assert reply.status == 416
        # Across it: what is free comes, the rest when it is earned.
        for headers, status in (({"Range": "bytes=100-"}, 206), ({}, 200)):
            first = 100 if headers else 0
            async with browser.get(address, headers=headers) as reply:
                assert (reply.status, reply.content_length) == (status, len(content) - first)
                assert await reply.content.readexactly(near - first) == content[first:near]
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reply.content.readexactly(1), 1.2)
                if headers:
                    await _earn(services, pupil, video_id, 5_000)
                    more = loadable_bytes(long_video, 5_000, 15_000)
                    assert more is not None
                    assert await reply.content.readexactly(more - near) == content[near:more]
                    await _earn(services, pupil, video_id, 0)
        await _earn(services, pupil, video_id, LONG_S * 1000 - 10_000)
        async with browser.get(address) as reply:
            assert await reply.read() == content


@one_database
async def test_after_credit_everything_can_be_loaded(
    services: Services, pupil: school.Pupil, video_id: int, long_video: Path
) -> None:
    async with services.db.read() as conn:
        course_id = await conn.scalar(select(video.c.course_id).where(video.c.id == video_id)) or 0
    lessons = school.Lessons(course_id, (video_id,))
    await school.add_entry(services, pupil.learner_id, lessons, video_id, 100, institution_id=1)
    address = url(services, pupil.learner_id, video_id)
    routes = [web.get("/media/{video}", media.video_file)]
    async with (
        open_doors(with_lookahead(services, 5), routes) as server,
        browser_of(services, server, pupil) as browser,
        browser.get(address, headers={"Range": "bytes=-500"}) as reply,
    ):
        assert (reply.status, await reply.read()) == (206, long_video.read_bytes()[-500:])


@one_database
async def test_nginx_is_told_which_file_and_never_one_that_is_not_earned(
    services: Services, pupil: school.Pupil, video_id: int, long_video: Path
) -> None:
    address = url(services, pupil.learner_id, video_id)
    routes = [web.get("/media/{video}", media.video_file)]
    changed = with_lookahead(services, 10, accel_prefix="/protected/")
    async with open_doors(changed, routes) as server, browser_of(services, server, pupil) as browser:
        async with browser.get(address) as reply:
            assert reply.headers["X-Accel-Redirect"] == f"/protected/{long_video.name}"
            assert await reply.read() == b""
        async with browser.get(address, headers={"Range": "bytes=-500"}) as reply:
            assert reply.status == 416 and "X-Accel-Redirect" not in reply.headers


async def _earn(services: Services, pupil: school.Pupil, video_id: int, frontier_ms: int) -> None:
    async with services.db.write() as conn:
        sha = await conn.scalar(select(video.c.media_sha).where(video.c.id == video_id))
        key = {"learner_id": pupil.learner_id, "video_id": video_id, "round": 1}
        await conn.execute(
            delete(watch_progress).where(*(watch_progress.c[name] == value for name, value in key.items()))
        )
        values = {"frontier_ms": frontier_ms, "position_ms": frontier_ms, "media_sha": sha, "updated_at": 1}
        await conn.execute(insert(watch_progress).values(**key, **values))
