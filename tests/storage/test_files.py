"""Files in SQL: whole or not there, in parts, of one institution, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from player_server.learning.services import Services
from player_server.storage.clock import wall_ms
from player_server.storage.files import (
    PART_BYTES,
    FileTooLarge,
    delete_expired_files,
    file_info,
    read_file_parts,
    write_file,
)
from player_server.storage.job_tables import stored_file, stored_file_part
from tests.support import school
from tests.support.fixtures import services

__all__ = ["services"]


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def keep(services: Services, content: bytes, *, at: int | None = None, limit: int | None = None) -> str:
    return await write_file(
        services.db,
        pieces(content, 70_000),
        name="学员.xlsx",
        content_type="text/plain",
        institution_id=at,
        expires_at=wall_ms() + 1000,
        limit_bytes=limit,
    )


async def left(services: Services) -> tuple[int, int]:
    async with services.db.read() as conn:
        counts = [
            await conn.scalar(select(func.count()).select_from(each)) for each in (stored_file, stored_file_part)
        ]
    return counts[0] or 0, counts[1] or 0


async def test_what_was_written_is_read_again_in_parts(services: Services) -> None:
    content = bytes(range(256)) * 2500
    file_id = await keep(services, content)
    parts = [part async for part in read_file_parts(services.db, file_id)]
    assert b"".join(parts) == content and max(map(len, parts)) == PART_BYTES
    info = await file_info(services.db, file_id, None)
    assert info is not None and info.size == len(content) and info.sha == hashlib.sha256(content).hexdigest()
    empty = await keep(services, b"")
    assert [part async for part in read_file_parts(services.db, empty)] == []


async def test_too_much_is_refused_and_nothing_of_it_stays(services: Services) -> None:
    with pytest.raises(FileTooLarge):
        await keep(services, bytes(PART_BYTES * 2), limit=PART_BYTES * 2 - 1)
    assert await left(services) == (0, 0)


async def test_a_file_that_broke_off_is_not_there(services: Services) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_BYTES)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await write_file(services.db, broken(), name="", content_type="", institution_id=None, expires_at=1)
    assert await left(services) == (0, 0)


async def test_a_foreign_file_is_as_absent_as_an_absent_one(services: Services) -> None:
    own, other = [await school.add_institution(services, name) for name in ("甲", "乙")]
    file_id = await keep(services, b"x", at=own)
    assert await file_info(services.db, file_id, own) is not None
    assert await file_info(services.db, file_id, other) is None
    assert await file_info(services.db, "absent", own) is None


async def test_expired_files_go_and_others_stay(services: Services) -> None:
    await keep(services, bytes(PART_BYTES * 3))
    kept = await keep(services, b"x")
    async with services.db.write() as conn:
        await conn.execute(stored_file.update().where(stored_file.c.id != kept).values(expires_at=5))
    assert await delete_expired_files(services.db, 10) == 1
    assert await left(services) == (1, 1)
