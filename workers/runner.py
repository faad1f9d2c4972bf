"""The worker's side of jobs: claims them, runs their kind, keeps the lease, and writes down how they ended.

SQL is the truth. A call on the Redis stream (through taskiq's receiver) makes a worker look at once; a sweep finds
what no call told about: retries, jobs of dead workers, and everything while Redis is away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from player_server.learning import jobs
from player_server.learning.jobs import JobCancelled, JobFailed, JobLost, JobRun
from player_server.learning.services import Services
from player_server.observe import log
from player_server.storage.wake_up import GROUP, LONGEST, STREAM, TASK
from workers.kinds import KINDS, Kind

#: Jobs that one worker process does at once; the others wait in SQL. More would only slow each other down.
AT_ONCE = 2
#: How often a worker looks without being called.
SWEEP_S = 2.0
#: redis-py gives up a read after five seconds, so a blocking one must be shorter.
BLOCK_MS = 1_000
#: A call that no worker acknowledged is worth nothing after this long: the sweep has looked since.
STALE_CALL_MS = 60_000


class Runner:
    """Runs the jobs of one worker process until it is cancelled."""

    def __init__(self, services: Services, kinds: Mapping[str, Kind] = KINDS, *, sweep_s: float = SWEEP_S) -> None:
        self._services = services
        self._kinds = kinds
        self._sweep_s = sweep_s
        self._running: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; what is running then is handed back, so that another worker goes on at once."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                await self._start_what_waits()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), self._sweep_s)
                self._look.clear()
        finally:
            listening.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(listening, *self._running, return_exceptions=True)

    async def _start_what_waits(self) -> None:
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return
        try:
            for job_id in await jobs.waiting_jobs(self._services, room):
                run = await jobs.claim(self._services, job_id)
                if run is not None:
                    task = asyncio.create_task(self._work(run))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
        except Exception:
            # The database is away; the next sweep finds the same rows.
            log.exception("look_for_jobs_failed")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._look.set()

    async def _work(self, run: JobRun) -> None:
        """One try of one job, from the claim to its end."""
        log.info("job_started", job=run.id, kind=run.kind, number=run.number)
        try:
            outcome = await self._try(run)
        except asyncio.CancelledError:
            await jobs.hand_back(run)
            raise
        except Exception:
            # The end could not be written; the lease runs out and the job is done again.
            log.exception("job_end_unknown", job=run.id, kind=run.kind)
            return
        log.info("job_ended", job=run.id, kind=run.kind, outcome=outcome)

    async def _try(self, run: JobRun) -> str:
        kind = self._kinds.get(run.kind)
        if kind is None:
            # A newer version's job: a worker of that version knows it.
            await jobs.try_again(run, "unknown_kind")
            return "unknown_kind"
        try:
            result = await self._with_lease(kind, run)
        except JobCancelled:
            await jobs.finish_cancelled(run)
            return "cancelled"
        except JobLost:
            return "lost"
        except JobFailed as error:
            await jobs.give_up(run, str(error))
            return "failed"
        except Exception:
            # What went wrong may hold personal data, so it stands in the log only, under the job's id.
            log.exception("job_try_failed", job=run.id, kind=run.kind, number=run.number)
            await jobs.try_again(run, "unexpected_error")
            return "try_failed"
        return "done" if await jobs.finish(run, result) else "lost"

    async def _with_lease(self, kind: Kind, run: JobRun) -> dict[str, object]:
        """Run the kind, renewing its lease meanwhile; a lost or cancelled job is stopped wherever it is."""
        work = asyncio.ensure_future(kind(self._services, run))
        lease = asyncio.create_task(_keep_lease(run))
        try:
            await asyncio.wait({work, lease}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                # Never returns; it was JobCancelled or JobLost that ended it.
                lease.result()
            return work.result()
        finally:
            lease.cancel()
            if not work.done():
                work.cancel()
            await asyncio.gather(work, lease, return_exceptions=True)

    async def _listen(self) -> None:
        """Hear the calls. Redis may be away for as long as it likes: the sweep goes on without."""
        while True:
            try:
                await self._receive()
            except Exception as error:
                log.warning("job_calls_not_heard", error=type(error).__name__)
                await asyncio.sleep(SWEEP_S)

    async def _receive(self) -> None:
        broker = RedisStreamBroker(
            self._services.settings.data.redis_url or "",
            queue_name=STREAM,
            consumer_group_name=GROUP,
            xread_block=BLOCK_MS,
            maxlen=LONGEST,
            idle_timeout=STALE_CALL_MS,
            unacknowledged_lock_timeout=STALE_CALL_MS / 1000,
        )

        async def look_for_jobs() -> None:
            self._look.set()

        broker.register_task(look_for_jobs, task_name=TASK)
        broker.is_worker_process = True
        await broker.startup()
        try:
            with ThreadPoolExecutor(1) as executor:
                receiver = Receiver(
                    broker=broker, executor=executor, run_startup=False, max_async_tasks=4, max_prefetch=1
                )
                await receiver.listen(asyncio.Event())
        finally:
            await broker.shutdown()


async def _keep_lease(run: JobRun) -> None:
    while True:
        await asyncio.sleep(jobs.RENEW_S)
        try:
            await run.keep()
        except (JobCancelled, JobLost):
            raise
        except Exception:
            # The database is away for a moment; the lease lasts for several of these.
            log.exception("lease_not_renewed", job=run.id)
