"""Roles of staff: a regulator has no institution, a teacher has classes, a first password must be changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # SQLite makes the table anew to drop a NOT NULL, and may not while log-ins refer to it: staff log in once more.
    op.execute("DELETE FROM login_session WHERE staff_id IS NOT NULL")
    with op.batch_alter_table("staff") as table:
        table.alter_column("institution_id", existing_type=Id, nullable=True)
        table.add_column(sa.Column("must_change", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute("UPDATE staff SET role = 'owner'")
    op.create_table(
        "staff_class",
        sa.Column("staff_id", Id, autoincrement=False, nullable=False),
        sa.Column("class_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_class_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "class_name", name=op.f("pk_staff_class")),
    )
