"""The kinds of jobs: name → what is done. Each is one call into a use case and returns the job's result.

A kind may run twice, also at the same moment (a worker that only seemed dead), so it must be idempotent.
A result may hold `page`, where whoever asked goes on, and `file`, the id of a stored file to download.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from player_server.learning.answer_keys import REGRADE, regrade
from player_server.learning.export_rows import SOURCES
from player_server.learning.exports import KIND, run_export
from player_server.learning.imports import APPLY, CHECK, apply_import, check_import
from player_server.learning.jobs import JobRun
from player_server.learning.registry import REGISTRY, run_registry
from player_server.learning.services import Services

Kind = Callable[[Services, JobRun], Awaitable[dict[str, object]]]

KINDS: dict[str, Kind] = {
    **{KIND + each: run_export for each in SOURCES},
    KIND + REGISTRY: run_registry,
    REGRADE: regrade,
    CHECK: check_import,
    APPLY: apply_import,
}
