"""The certificate's dates at an enrolment: the programme's rules count their years and cycles from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enrolment", sa.Column("issue_date", sa.Date(), nullable=True))
    op.add_column("enrolment", sa.Column("expiry_date", sa.Date(), nullable=True))
