"""The wake-up call for workers: one message on a Redis stream, in the form that taskiq's workers read.

What belongs here is only the name of the stream and how a message gets onto it. A call carries nothing: which
jobs wait stands in SQL, so a lost, late or doubled call does no harm.
"""

from __future__ import annotations

import secrets

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from player_server.observe import log, metrics

STREAM = "xueshi:jobs"
GROUP = "xueshi-workers"
TASK = "look_for_jobs"
#: A call says only "look": old ones are worth nothing, and a stream that nobody reads must not grow.
LONGEST = 1000


async def call_workers(redis: Redis) -> None:
    """Tell one of the workers to look for jobs. Fails open: without Redis they find them within seconds anyway."""
    # As taskiq's own client would write it; the servers need nothing else of that library.
    message: dict[str, object] = {
        "task_id": secrets.token_hex(8),
        "task_name": TASK,
        "labels": {},
        "labels_types": None,
        "args": [],
        "kwargs": {},
    }
    try:
        await redis.xadd(STREAM, {"data": msgspec.json.encode(message)}, maxlen=LONGEST, approximate=True)
    except (RedisError, OSError) as error:
        metrics.redis_failures.labels("wake_workers").inc()
        log.warning("wake_workers_failed", error=type(error).__name__)
