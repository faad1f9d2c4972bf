"""What the operator sees: structured logs without personal data, and every metric in one list."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram, multiprocess

log: Any = structlog.get_logger("xueshi")

#: The environment variable that names a folder in which the processes of one machine keep their metrics together.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
#: A session's name is what its page proves itself with, so only its beginning is logged: enough to find its rows.
SESSION_CHARACTERS = 8

_ID_NUMBER = re.compile(r"(?<![0-9A-Za-z])(\d{6})\d{8}(\d{3}[0-9Xx])(?![0-9A-Za-z])")
# PostgreSQL's second line names the values of the row that it refused.
_ROW_VALUES = re.compile(r"\n?DETAIL: .*")


class metrics:
    """Every metric that a process counts, with its meaning. What is looked up when asked for: ops/metrics.py."""

    beats = Counter("xueshi_beats_total", "Beats received, by outcome: counted, or stale (a replay)", ["outcome"])
    acks = Counter("xueshi_acks_total", "Acks sent after a durable commit")
    ack_delay = Histogram(
        "xueshi_ack_delay_seconds",
        "From the arrival of a batch's oldest beat to its acks; one observation a batch",
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    )
    batch_rows = Histogram("xueshi_batch_rows", "Rows in one commit", buckets=(1, 4, 16, 64, 256, 1024, 4096))
    commit_failures = Counter("xueshi_commit_failures_total", "Commits that failed and were repeated")
    players = Gauge("xueshi_players", "Live players", multiprocess_mode="livesum")
    waiting_rows = Gauge(
        "xueshi_waiting_rows", "Players whose newest row waits for a commit", multiprocess_mode="livesum"
    )
    rewinds = Counter("xueshi_rewinds_total", "Rewinds sent, by reason", ["reason"])
    challenges = Counter("xueshi_challenges_total", "Challenges, by kind and outcome", ["kind", "outcome"])
    closes = Counter("xueshi_closes_total", "Sockets closed by the server, by code", ["code"])
    credits = Counter("xueshi_credits_total", "Credits written to the ledger")
    attempts = Counter("xueshi_attempts_total", "Quiz attempts, by result", ["passed"])
    sign_ins = Counter("xueshi_sign_ins_total", "Log-ins, by result", ["result"])
    redis_failures = Counter("xueshi_redis_failures_total", "Redis calls that failed, by purpose", ["purpose"])
    ledger_forked = Counter(
        "xueshi_ledger_forked_total",
        "Checkpoints that were not signed because the log does not go on from the last one: look at once",
    )
    deliveries = Counter(
        "xueshi_webhook_deliveries_total",
        "Attempts to tell other services, by outcome: delivered, failed, given_up",
        ["outcome"],
    )
    media_refusals = Counter("xueshi_media_refusals_total", "Refused parts of videos, beyond the look-ahead")


def forget_dead_processes() -> None:
    """Take processes that are gone out of the sums of live ones; their counters stay. For a process that starts."""
    folder = os.environ.get(METRICS_FOLDER)
    if not folder:
        return
    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and int(pid) != os.getpid() and not Path(f"/proc/{pid}").exists():
            with suppress(FileNotFoundError):
                multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]  # The library's.


def session_label(session_id: str | None) -> str | None:
    """How a session is named in a log line."""
    return None if session_id is None else session_id[:SESSION_CHARACTERS]


class _Patient(io.TextIOBase):
    """Standard error. On a full disk, or when its reader has gone, a line is lost and nothing else: a server that
    dies because it cannot say what is wrong would be worse."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def set_up_logging() -> None:
    """JSON lines to standard error, those of libraries too; values are escaped, so no line can be forged."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_personal_data,
    ]
    stream: Any = _Patient()
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                without_personal_data,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def without_personal_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A last net under the rule that nobody logs such things: ID numbers are masked wherever they stand, and what
    a database says about the values of a row is cut off. Names cannot be recognised; those no line may carry."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _ROW_VALUES.sub("", _ID_NUMBER.sub(r"\1********\2", value))
    return event
