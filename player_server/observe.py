"""What the operator sees: structured logs without personal data, and every metric in one list."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

log: Any = structlog.get_logger("xueshi")


class metrics:
    """Every metric of the server, each with its meaning."""

    beats = Counter("xueshi_beats_total", "Beats received, by outcome", ["outcome"])
    acks = Counter("xueshi_acks_total", "Acks sent after a durable commit")
    ack_delay = Histogram(
        "xueshi_ack_delay_seconds",
        "From a beat's arrival to its ack",
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    )
    batch_rows = Histogram("xueshi_batch_rows", "Rows in one commit", buckets=(1, 4, 16, 64, 256, 1024, 4096))
    commit_failures = Counter("xueshi_commit_failures_total", "Commits that failed and were repeated")
    players = Gauge("xueshi_players", "Live players on this process")
    rewinds = Counter("xueshi_rewinds_total", "Rewinds sent, by reason", ["reason"])
    challenges = Counter("xueshi_challenges_total", "Challenges, by kind and outcome", ["kind", "outcome"])
    closes = Counter("xueshi_closes_total", "Sockets closed by the server, by code", ["code"])
    credits = Counter("xueshi_credits_total", "Credits written to the ledger")
    attempts = Counter("xueshi_attempts_total", "Quiz attempts, by result", ["passed"])
    sign_ins = Counter("xueshi_sign_ins_total", "Log-ins, by result", ["result"])
    redis_failures = Counter("xueshi_redis_failures_total", "Redis calls that failed, by purpose", ["purpose"])


def set_up_logging() -> None:
    """JSON lines to standard error; values are escaped, so a log line cannot be forged."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
