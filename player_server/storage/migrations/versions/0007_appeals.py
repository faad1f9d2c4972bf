"""What staff do by hand about one learner, appeals, moves; and by which version an attempt was graded again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "staff_action",
        sa.Column("id", ID, nullable=False),
        sa.Column("institution_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("learner_id", ID),
        sa.Column("video_id", ID),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_staff_action_{column}"))
            for column, target in (
                ("institution_id", "institution.id"),
                ("staff_id", "staff.id"),
                ("learner_id", "learner.id"),
                ("video_id", "video.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_action")),
    )
    op.create_index("ix_staff_action_learner", "staff_action", ["learner_id", "at"])
    op.create_index("ix_staff_action_video", "staff_action", ["video_id", "at"])
    op.create_table(
        "appeal",
        sa.Column("id", ID, nullable=False),
        sa.Column("institution_id", ID, nullable=False),
        sa.Column("learner_id", ID, nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("video_id", ID),
        sa.Column("round", sa.Integer()),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("answered_by", ID),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("entry_id", ID),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_appeal_{column}"))
            for column, target in (
                ("institution_id", "institution.id"),
                ("learner_id", "learner.id"),
                ("video_id", "video.id"),
                ("answered_by", "staff.id"),
                ("entry_id", "ledger_entry.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeal")),
        sa.UniqueConstraint("learner_id", "subject", name=op.f("uq_appeal_learner_id_subject")),
    )
    op.create_index("ix_appeal_institution", "appeal", ["institution_id", "state", "made_at"])
    op.create_table(
        "move",
        sa.Column("id", ID, nullable=False),
        sa.Column("learner_id", ID, nullable=False),
        sa.Column("from_institution_id", ID, nullable=False),
        sa.Column("to_institution_id", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("offered_by", ID, nullable=False),
        sa.Column("offered_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answered_by", ID),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("new_learner_id", ID),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_move_{column}"))
            for column, target in (
                ("learner_id", "learner.id"),
                ("from_institution_id", "institution.id"),
                ("to_institution_id", "institution.id"),
                ("offered_by", "staff.id"),
                ("answered_by", "staff.id"),
                ("new_learner_id", "learner.id"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_move")),
    )
    op.create_index("ix_move_to", "move", ["to_institution_id", "state"])
    op.create_index("ix_move_learner", "move", ["learner_id"])
    op.add_column("attempt", sa.Column("graded_sha", sa.Text()))
    op.create_index("ix_attempt_video", "attempt", ["video_id"])
