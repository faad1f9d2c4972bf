"""Results of the exam, launches to it, and clients with secrets, scopes and a former key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("service_client") as client:
        client.alter_column("public_key", existing_type=sa.Text(), nullable=True)
        client.add_column(sa.Column("secret_hash", sa.Text()))
        everything = sa.text("'eligibility hours results launches events'")
        client.add_column(sa.Column("scopes", sa.Text(), server_default=everything, nullable=False))
        client.add_column(sa.Column("former_public_key", sa.Text()))
        client.add_column(sa.Column("former_secret_hash", sa.Text()))
        client.add_column(sa.Column("former_until", sa.BigInteger()))
    op.create_table(
        "exam_result",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("institution_id", Id, nullable=False),
        sa.Column("learner_id", Id, nullable=False),
        sa.Column("enrolment_id", Id, nullable=False),
        sa.Column("programme", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer()),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("voids", Id),
        sa.Column("voided_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name=op.f("fk_exam_result_institution_id")),
        sa.ForeignKeyConstraint(["learner_id"], ["learner.id"], name=op.f("fk_exam_result_learner_id")),
        sa.ForeignKeyConstraint(["enrolment_id"], ["enrolment.id"], name=op.f("fk_exam_result_enrolment_id")),
        sa.ForeignKeyConstraint(["voids"], ["exam_result.id"], name=op.f("fk_exam_result_voids")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exam_result")),
        sa.UniqueConstraint("client_id", "idempotency_key", name=op.f("uq_exam_result_client_id_idempotency_key")),
    )
    op.create_index("ix_exam_result_learner", "exam_result", ["learner_id"])
    stands = sa.text("outcome = 'passed' AND voided_at IS NULL")
    op.create_index(
        "uq_exam_result_passed",
        "exam_result",
        ["enrolment_id"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )
    op.create_table(
        "exam_launch",
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("institution_id", Id, nullable=False),
        sa.Column("learner_id", Id, nullable=False),
        sa.Column("enrolment_id", Id, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("redeemed_at", sa.BigInteger()),
        sa.Column("redeemed_by", sa.Text()),
        sa.ForeignKeyConstraint(["institution_id"], ["institution.id"], name=op.f("fk_exam_launch_institution_id")),
        sa.ForeignKeyConstraint(["learner_id"], ["learner.id"], name=op.f("fk_exam_launch_learner_id")),
        sa.ForeignKeyConstraint(["enrolment_id"], ["enrolment.id"], name=op.f("fk_exam_launch_enrolment_id")),
        sa.PrimaryKeyConstraint("nonce_hash", name=op.f("pk_exam_launch")),
    )
    op.create_index("ix_exam_launch_expires", "exam_launch", ["expires_at"])
