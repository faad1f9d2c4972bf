"""The tables of long work: jobs that workers claim, and files that are kept in SQL so that every node has them.

Times are UTC milliseconds of the store's clock.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from player_server.storage.schema import Ms, metadata, reference

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),  # random, so that it can stand in an address
    Column("kind", Text, nullable=False),  # one of workers/kinds.py
    reference("institution_id", "institution.id", null=True),  # null: of no institution (regulator, operator)
    Column("asked_by", Text, nullable=False),  # staff:1, system
    Column("arguments", Text, nullable=False),  # JSON
    Column("dedupe", Text),  # while a job with it is unfinished, asking again gives that one
    Column("state", Text, nullable=False),  # waiting | running | done | failed | cancelled
    Column("done", Integer, nullable=False, server_default=text("0")),
    Column("total", Integer),  # null while nobody knows how much there is to do
    Column("error", Text),  # of the last try, in words for people
    Column("result", Text, nullable=False, server_default=text("'{}'")),  # JSON
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),  # the worker's claim; a new one with each try
    Column("lease_until", Ms),  # a running job may be taken over from then on
    Column("run_at", Ms, nullable=False),  # not before
    Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Ms, nullable=False),
    Column("started_at", Ms),
    Column("finished_at", Ms),
    Index(
        "uq_job_dedupe",
        "dedupe",
        unique=True,
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index(
        "ix_job_unfinished",
        "run_at",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index("ix_job_institution", "institution_id", "created_at"),
)

stored_file = Table(
    "stored_file",
    metadata,
    Column("id", Text, primary_key=True),  # random
    reference("institution_id", "institution.id", null=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", Ms),  # bytes; null until it is whole
    Column("sha", Text),  # SHA-256 of the content; null until it is whole
    Column("created_at", Ms, nullable=False),
    Column("expires_at", Ms, nullable=False),
    Index("ix_stored_file_expires", "expires_at"),
)

stored_file_part = Table(
    "stored_file_part",
    metadata,
    Column("file_id", Text, ForeignKey("stored_file.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("data", LargeBinary, nullable=False),
)
