"""The tables of what is sent to other systems: who wants it, and how far each message has got.

The messages themselves are the rows of `outbox`. The learning record store (xAPI) of the settings is an endpoint
like any other, of its own kind.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint, text

from player_server.storage.schema import Id, Ms, id_column, metadata, reference

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),  # webhook | xapi
    reference("institution_id", "institution.id", null=True),  # null: the events of all institutions
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret_seed", Text),  # what the signing secret is derived from, with the root key; null for xapi
    Column("topics", Text, nullable=False),  # separated by one space
    Column("created_by", Text, nullable=False),
    Column("created_at", Ms, nullable=False),
    Column("disabled_at", Ms),
    Column("disabled_reason", Text),  # staff | gone | settings
    Column("told_segment", BigInteger),  # of xapi: the newest watch segment that was looked at
    Index("ix_webhook_endpoint_institution", "institution_id"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    id_column(),
    reference("endpoint_id", "webhook_endpoint.id"),
    reference("outbox_id", "outbox.id"),
    Column("position", BigInteger, nullable=False),  # the message's; the order in which one learner's go out
    Column("learner_id", Id, nullable=False),
    Column("state", Text, nullable=False),  # waiting | delivered | given_up | dropped
    Column("attempts", Integer, nullable=False),
    Column("first_at", Ms),  # the first attempt
    Column("next_at", Ms, nullable=False),  # not tried before this
    Column("claimed_by", Text),
    Column("claimed_until", Ms),  # a worker that died gives it free by this
    Column("last_at", Ms),
    Column("last_status", Integer),
    Column("last_error", Text),
    UniqueConstraint("endpoint_id", "outbox_id"),
    Index(
        "ix_webhook_delivery_waiting",
        "endpoint_id",
        "learner_id",
        "position",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_webhook_delivery_due",
        "endpoint_id",
        "next_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_webhook_delivery_outbox", "outbox_id"),
    Index("ix_webhook_delivery_endpoint", "endpoint_id", "position"),
)
