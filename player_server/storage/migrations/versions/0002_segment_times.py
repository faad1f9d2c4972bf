"""Segments by the time they ended: for the day's hours of a person and the newest of a learner."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_watch_segment_ended", "watch_segment", ["ended_at"], unique=False)
