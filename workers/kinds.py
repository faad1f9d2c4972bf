"""The kinds of jobs: name → what is done. Each is one call into a use case and returns the job's result.

A kind may run twice, also at the same moment (a worker that only seemed dead), so it must be idempotent.
A result may hold `page`, where whoever asked goes on, and `file`, the id of a stored file to download.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from player_server.learning.jobs import JobRun
from player_server.learning.services import Services

Kind = Callable[[Services, JobRun], Awaitable[dict[str, object]]]

KINDS: dict[str, Kind] = {}
