"""Files kept in SQL, in parts: what was uploaded and what was made for a download is there on every node.

A file is not there until it is whole. Each part is a short transaction of its own, so that a large file never
keeps a writer waiting; whatever a crash leaves behind goes when it expires.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from player_server.storage.clock import wall_ms
from player_server.storage.database import Database
from player_server.storage.job_tables import stored_file, stored_file_part

#: A part is written within a few milliseconds, and a thousand of them are a large file.
PART_BYTES = 256 * 1024
ID_BYTES = 16


class FileTooLarge(Exception):
    """More bytes came than the caller allows; nothing of them is kept."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is whole. `size` in bytes, `sha` the SHA-256 of its content, times in UTC ms."""

    id: str
    institution_id: int | None
    name: str
    content_type: str
    size: int
    sha: str
    created_at: int
    expires_at: int


async def write_file(
    db: Database,
    chunks: AsyncIterable[bytes],
    *,
    name: str,
    content_type: str,
    institution_id: int | None,
    expires_at: int,
    limit_bytes: int | None = None,
) -> str:
    """Keep what `chunks` bring, of whatever sizes, until `expires_at` (UTC ms); returns the file's id.

    Raises FileTooLarge beyond `limit_bytes`; after that, and after any error of `chunks`, nothing is kept.
    """
    file_id = secrets.token_urlsafe(ID_BYTES)
    async with db.write() as conn:
        await conn.execute(
            insert(stored_file).values(
                id=file_id,
                institution_id=institution_id,
                name=name,
                content_type=content_type,
                created_at=wall_ms(),
                expires_at=expires_at,
            )
        )
    digest, size, number = hashlib.sha256(), 0, 0
    waiting = bytearray()
    try:
        async for chunk in chunks:
            size += len(chunk)
            if limit_bytes is not None and size > limit_bytes:
                raise FileTooLarge
            digest.update(chunk)
            waiting += chunk
            while len(waiting) >= PART_BYTES:
                await _write_part(db, file_id, number, bytes(waiting[:PART_BYTES]))
                del waiting[:PART_BYTES]
                number += 1
        if waiting:
            await _write_part(db, file_id, number, bytes(waiting))
        async with db.write() as conn:
            await conn.execute(
                update(stored_file)
                .where(stored_file.c.id == file_id)
                .values(size=size, sha=digest.hexdigest(), expires_at=expires_at)
            )
    except BaseException:
        await delete_file(db, file_id)
        raise
    return file_id


async def read_file_parts(db: Database, file_id: str) -> AsyncIterator[bytes]:
    """The content, a part at a time, each in a transaction of its own. Nothing for a file that is not there.

    Raises LookupError when the file is removed while it is read, so that nobody takes a part for the whole.
    """
    async with db.read() as conn:
        size = await conn.scalar(select(stored_file.c.size).where(stored_file.c.id == file_id))
    if size is None:
        return
    sent = number = 0
    while sent < size:
        async with db.read() as conn:
            data = await conn.scalar(
                select(stored_file_part.c.data).where(
                    stored_file_part.c.file_id == file_id, stored_file_part.c.number == number
                )
            )
        if data is None:
            raise LookupError(f"stored file {file_id} was removed while it was read")
        yield data
        sent += len(data)
        number += 1


async def file_info(db: Database, file_id: str, institution_id: int | None) -> StoredFile | None:
    """A whole file of this institution (None: of any); None alike for foreign and for absent ones."""
    query = select(stored_file).where(stored_file.c.id == file_id, stored_file.c.size.is_not(None))
    if institution_id is not None:
        query = query.where(stored_file.c.institution_id == institution_id)
    async with db.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else StoredFile(**row._mapping)


async def delete_file(db: Database, file_id: str) -> None:
    """Remove a file, part by part; nothing happens if there is none."""
    async with db.write() as conn:
        # First the size: from now on nobody begins to read it.
        await conn.execute(update(stored_file).where(stored_file.c.id == file_id).values(size=None, expires_at=0))
    while True:
        async with db.write() as conn:
            newest = (
                select(stored_file_part.c.number)
                .where(stored_file_part.c.file_id == file_id)
                .order_by(stored_file_part.c.number.desc())
                .limit(_PARTS_AT_ONCE)
            )
            gone = await conn.execute(
                delete(stored_file_part).where(
                    stored_file_part.c.file_id == file_id, stored_file_part.c.number.in_(newest)
                )
            )
            if gone.rowcount < _PARTS_AT_ONCE:
                await conn.execute(delete(stored_file).where(stored_file.c.id == file_id))
                return


async def delete_expired_files(db: Database, now_ms: int) -> int:
    """Remove what nobody may fetch any more; returns how many files."""
    async with db.read() as conn:
        query = select(stored_file.c.id).where(stored_file.c.expires_at <= now_ms).limit(100)
        expired = (await conn.scalars(query)).all()
    for file_id in expired:
        await delete_file(db, file_id)
    return len(expired)


#: Parts removed in one transaction: 4 MiB, some tens of milliseconds.
_PARTS_AT_ONCE = 16


async def _write_part(db: Database, file_id: str, number: int, data: bytes) -> None:
    async with db.write() as conn:
        await conn.execute(insert(stored_file_part).values(file_id=file_id, number=number, data=data))
