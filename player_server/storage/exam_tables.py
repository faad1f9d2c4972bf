"""The tables of the exam: its results, and the launches that lead a learner to the exam service."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint, text

from player_server.storage.schema import Ms, id_column, metadata, reference

# Rows are never changed, but for `voided_at`: a pass that was taken back stays on record.
exam_result = Table(
    "exam_result",
    metadata,
    id_column(),
    reference("institution_id", "institution.id"),
    reference("learner_id", "learner.id"),
    reference("enrolment_id", "enrolment.id"),
    Column("programme", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # passed | failed | voided
    Column("score", Integer),  # hundredths of a point
    Column("taken_at", Ms, nullable=False),  # as the exam service says
    Column("recorded_at", Ms, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),  # SHA-256 of what was asked, to tell a repetition from a mix-up
    reference("voids", "exam_result.id", null=True),
    Column("voided_at", Ms),
    UniqueConstraint("client_id", "idempotency_key"),
    Index("ix_exam_result_learner", "learner_id"),
    # A pass closes the exam: there is one that stands.
    Index(
        "uq_exam_result_passed",
        "enrolment_id",
        unique=True,
        sqlite_where=text("outcome = 'passed' AND voided_at IS NULL"),
        postgresql_where=text("outcome = 'passed' AND voided_at IS NULL"),
    ),
)

exam_launch = Table(
    "exam_launch",
    metadata,
    Column("nonce_hash", Text, primary_key=True),  # SHA-256 of the token's nonce
    reference("institution_id", "institution.id"),
    reference("learner_id", "learner.id"),
    reference("enrolment_id", "enrolment.id"),
    Column("created_at", Ms, nullable=False),
    Column("expires_at", Ms, nullable=False),
    Column("redeemed_at", Ms),
    Column("redeemed_by", Text),
    Index("ix_exam_launch_expires", "expires_at"),
)
