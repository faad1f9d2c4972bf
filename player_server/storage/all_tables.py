"""Every module with tables, imported so that `metadata` is whole for migrations and for tests."""

from __future__ import annotations

from player_server.storage import person_tables, tables
from player_server.storage.schema import metadata

__all__ = ["metadata", "person_tables", "tables"]
