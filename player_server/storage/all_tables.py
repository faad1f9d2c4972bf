"""Every module with tables, imported so that `metadata` is whole for migrations and for tests."""

from __future__ import annotations

from player_server.storage import tables
from player_server.storage.schema import metadata

__all__ = ["metadata", "tables"]
