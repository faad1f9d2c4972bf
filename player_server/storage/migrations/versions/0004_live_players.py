"""The index of live players without the clock, which every beat changes: it made each beat a new index entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_playback_live", table_name="playback")
    live = sa.text("ended_reason IS NULL")
    op.create_index("ix_playback_live", "playback", ["person_id"], sqlite_where=live, postgresql_where=live)
