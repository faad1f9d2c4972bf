"""Every module with tables, imported so that `metadata` is whole for migrations and for tests."""

from __future__ import annotations

from player_server.storage import (
    certificate_tables,
    exam_tables,
    import_tables,
    job_tables,
    ledger_log_tables,
    person_tables,
    staff_tables,
    standing_tables,
    standing_triggers,
    tables,
    webhook_tables,
)
from player_server.storage.schema import metadata

__all__ = [
    "certificate_tables",
    "exam_tables",
    "import_tables",
    "job_tables",
    "ledger_log_tables",
    "metadata",
    "person_tables",
    "staff_tables",
    "standing_tables",
    "standing_triggers",
    "tables",
    "webhook_tables",
]
