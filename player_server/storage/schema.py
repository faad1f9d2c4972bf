"""What all tables are made of: the one metadata, its naming of constraints, and the columns that recur."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only gives automatic ids to INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer, "sqlite")
Ms = BigInteger


def id_column() -> Column[int]:
    """An automatic `id`."""
    return Column("id", Id, primary_key=True, autoincrement=True)


def reference(name: str, target: str, *, null: bool = False) -> Column[int]:
    """A foreign key to an automatic id; `target` is `table.id`."""
    return Column(name, Id, ForeignKey(target), nullable=null)
