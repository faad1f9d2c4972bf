"""Not written yet: certificates."""

from __future__ import annotations

revision = "0007"
down_revision = "0006b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
