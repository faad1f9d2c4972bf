"""No change: what operations keep needs no table. Its number is the next one's foundation, so it stays."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
