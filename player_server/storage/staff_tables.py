"""The tables of staff beyond `staff` itself: which classes a teacher has."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from player_server.storage.schema import Id, metadata

#: Only for teachers; who has another role has all classes and no row here.
staff_class = Table(
    "staff_class",
    metadata,
    Column("staff_id", Id, ForeignKey("staff.id"), primary_key=True, autoincrement=False),
    Column("class_name", Text, primary_key=True),
)
