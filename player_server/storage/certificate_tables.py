"""The tables of certificates, registry batches and reminders. Times are UTC milliseconds, hours hundredths."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from player_server.storage.schema import Id, Ms, id_column, metadata, reference

# Whether one is valid is no column: it is worked out from the ledger whenever somebody asks.
certificate = Table(
    "certificate",
    metadata,
    id_column(),
    Column("number", Text, nullable=False, unique=True),  # 16 symbols, see policy.certificates
    reference("institution_id", "institution.id"),
    reference("learner_id", "learner.id"),
    reference("enrolment_id", "enrolment.id"),
    Column("programme", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("covers", Text, nullable=False),  # which periods of which rules, see policy.certificates
    Column("edition", Integer, nullable=False),  # from 1; a further one replaces one whose hours were reversed
    Column("content", Text, nullable=False),  # JSON of policy.certificates.Content
    Column("issued_at", Ms, nullable=False),
    UniqueConstraint("enrolment_id", "covers", "edition"),
    Index("ix_certificate_learner", "learner_id"),
    Index("ix_certificate_institution", "institution_id", "issued_at"),
)

# The finished, as they are handed to the registry. One row a batch; the next one begins where it ended.
registry_batch = Table(
    "registry_batch",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    Column("number", Integer, nullable=False),  # within the institution, from 1
    Column("asked_by", Text, nullable=False),  # staff:2
    Column("opened_at", Ms, nullable=False),  # whoever had finished by then belongs to it
    Column("closed_at", Ms),  # null while a worker still collects
    UniqueConstraint("institution_id", "number"),
)

registry_batch_entry = Table(
    "registry_batch_entry",
    metadata,
    id_column(),
    reference("batch_id", "registry_batch.id"),
    reference("learner_id", "learner.id"),
    reference("enrolment_id", "enrolment.id"),
    Column("programme", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("covers", Text, nullable=False),
    Column("content", Text, nullable=False),  # JSON of policy.certificates.Content
    # Whoever was handed over once is not handed over again for the same periods.
    UniqueConstraint("enrolment_id", "covers"),
    Index("ix_registry_batch_entry_batch", "batch_id"),
)

# Which reminders were sent: one `deadline.near` for each enrolment, deadline and threshold.
deadline_notice = Table(
    "deadline_notice",
    metadata,
    Column("enrolment_id", Id, ForeignKey("enrolment.id"), primary_key=True, autoincrement=False),
    Column("deadline", Text, primary_key=True),  # the day in China; an extended deadline is reminded of anew
    Column("threshold_days", Integer, primary_key=True, autoincrement=False),
    Column("sent_at", Ms, nullable=False),
)
