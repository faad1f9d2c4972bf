"""Roll-ups for the staff's pages, the triggers that feed them, and indexes for what the dashboard counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from player_server.storage.standing_triggers import follow_all, install

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "standing",
        sa.Column("learner_id", Id, autoincrement=False, nullable=False),
        sa.Column("institution_id", Id, nullable=False),
        sa.Column("class_name", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("courses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("required", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("earned", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("offline_missing", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("begins", sa.BigInteger(), nullable=True),
        sa.Column("studied_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("learner_id", name=op.f("pk_standing")),
    )
    op.create_index("ix_standing_class", "standing", ["institution_id", "class_name", "learner_id"])
    op.create_index("ix_standing_name", "standing", ["institution_id", "name", "learner_id"])
    op.create_table(
        "course_standing",
        sa.Column("learner_id", Id, autoincrement=False, nullable=False),
        sa.Column("course_id", Id, autoincrement=False, nullable=False),
        sa.Column("institution_id", Id, nullable=False),
        sa.Column("class_name", sa.Text(), nullable=True),
        sa.Column("required", sa.BigInteger(), nullable=False),
        sa.Column("earned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("learner_id", "course_id", name=op.f("pk_course_standing")),
    )
    op.create_index("ix_course_standing_institution", "course_standing", ["institution_id", "course_id"])
    op.create_table(
        "daily_hours",
        sa.Column("institution_id", Id, autoincrement=False, nullable=False),
        sa.Column("class_name", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("institution_id", "class_name", "day", name=op.f("pk_daily_hours")),
    )
    op.create_table(
        "standing_change",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("learner_id", Id, nullable=False),
        sa.Column("hours", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_change")),
    )
    op.create_index("ix_standing_change_learner", "standing_change", ["learner_id"])
    missed = sa.text("outcome = 'missed'")
    op.create_index("ix_challenge_missed", "challenge", ["issued_at"], sqlite_where=missed, postgresql_where=missed)
    op.create_index("ix_finding_last", "finding", ["last_at"])
    op.create_index("ix_audit_institution", "audit", ["institution_id", "id"])
    install(op.get_bind())
    follow_all(op.get_bind())
