"""Jobs: done once, taken over from dead workers, tried again, cancelled; found with and without Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select, update

from player_server.learning import jobs
from player_server.learning.jobs import Job, JobFailed, JobLost, JobRun
from player_server.learning.services import Services
from player_server.storage.job_tables import job
from tests.support import school
from tests.support.processes import until
from workers.kinds import Kind
from workers.runner import Runner


@asynccontextmanager
async def worker(services: Services, kinds: Mapping[str, Kind], sweep_s: float = 0.05) -> AsyncIterator[None]:
    running = asyncio.create_task(Runner(services, kinds, sweep_s=sweep_s).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def ask(services: Services, kind: str = "count", dedupe: str | None = None, at: int | None = None) -> str:
    async with services.db.write() as conn:
        return await jobs.submit(
            services, conn, kind=kind, institution_id=at, asked_by="system", arguments={"to": 3}, dedupe=dedupe
        )


async def see(services: Services, job_id: str) -> Job:
    found = await jobs.job_of(services, job_id, None)
    assert found is not None
    return found


async def over(services: Services, job_id: str) -> Job:
    async def ended() -> Job | None:
        found = await see(services, job_id)
        return found if found.over else None

    found = await until(ended)
    assert isinstance(found, Job)
    return found


async def change(services: Services, job_id: str, **values: object) -> None:
    async with services.db.write() as conn:
        await conn.execute(update(job).where(job.c.id == job_id).values(**values))


async def count(services: Services, run: JobRun) -> dict[str, object]:
    to = run.arguments["to"]
    for each in range(to + 1):
        await run.progress(each, to)
    return {"page": "/staff", "counted": to}


async def test_a_job_is_done_and_says_how_far_it_came(services: Services) -> None:
    job_id = await ask(services)
    assert (await see(services, job_id)).state == "waiting"
    async with worker(services, {"count": count}):
        found = await over(services, job_id)
    assert (found.state, found.done, found.total, found.error) == ("done", 3, 3, None)
    assert found.result == {"page": "/staff", "counted": 3}


async def test_a_call_through_redis_wakes_a_worker_that_would_sleep_for_long(services: Services) -> None:
    async with worker(services, {"count": count}, sweep_s=600):
        # The group is there once the worker listens; a call before that would be missed, as it may be.
        await until(lambda: services.redis.exists("xueshi:jobs"))
        job_id = await ask(services)
        await jobs.wake(services)
        assert (await over(services, job_id)).state == "done"


async def test_a_foreign_job_is_as_absent_as_an_absent_one(services: Services) -> None:
    own, other = [await school.add_institution(services, name) for name in ("甲", "乙")]
    job_id = await ask(services, at=own)
    assert await jobs.job_of(services, job_id, own) is not None
    assert await jobs.job_of(services, job_id, None) is not None
    assert await jobs.job_of(services, job_id, other) is None
    assert await jobs.job_of(services, "absent", own) is None


async def test_asking_twice_for_the_same_gives_one_job_until_it_is_over(services: Services) -> None:
    first = await ask(services, dedupe="file 1")
    assert await ask(services, dedupe="file 1") == first
    assert await ask(services, dedupe="file 2") != first
    async with worker(services, {"count": count}):
        await over(services, first)
    assert await ask(services, dedupe="file 1") != first


async def test_the_job_of_a_dead_worker_is_done_by_another_one(services: Services) -> None:
    job_id = await ask(services)
    dead = await jobs.claim(services, job_id)
    assert dead is not None
    assert await jobs.claim(services, job_id) is None
    assert await jobs.waiting_jobs(services, 10) == []
    await change(services, job_id, lease_until=0)
    async with worker(services, {"count": count}):
        assert (await over(services, job_id)).state == "done"
    # It was only slow: nothing it does any more has an effect.
    with pytest.raises(JobLost):
        await dead.progress(1, 3)
    assert not await jobs.finish(dead, {"page": "/wrong"})
    assert (await see(services, job_id)).result["page"] == "/staff"


async def test_a_job_that_kills_its_workers_is_given_up(services: Services) -> None:
    job_id = await ask(services)
    for _ in range(jobs.MOST_TRIES):
        assert await jobs.claim(services, job_id) is not None
        await change(services, job_id, lease_until=0)
    assert await jobs.claim(services, job_id) is None
    assert (await see(services, job_id)).error == "worker_died"


async def test_a_failed_try_is_repeated_with_its_error_kept_and_at_last_given_up(services: Services) -> None:
    tried = []

    async def fail(services: Services, run: JobRun) -> dict[str, object]:
        tried.append(run.number)
        raise ValueError("李娜 320102199003077896")

    job_id = await ask(services)
    async with worker(services, {"count": fail}):
        for number in range(1, jobs.MOST_TRIES):

            async def waits_again(number: int = number) -> bool:
                found = await see(services, job_id)
                return len(tried) == number and found.state == "waiting" and found.error == "unexpected_error"

            await until(waits_again)
            await change(services, job_id, run_at=0)
        found = await over(services, job_id)
    assert tried == [1, 2, 3, 4]
    assert (found.state, found.error) == ("failed", "unexpected_error")


async def test_what_cannot_succeed_is_not_repeated(services: Services) -> None:
    async def refuse(services: Services, run: JobRun) -> dict[str, object]:
        raise JobFailed("文件打不开")

    job_id = await ask(services)
    async with worker(services, {"count": refuse}):
        found = await over(services, job_id)
    assert (found.state, found.error) == ("failed", "文件打不开")


async def test_a_running_job_ends_soon_after_it_was_cancelled_and_a_waiting_one_at_once(services: Services) -> None:
    started = asyncio.Event()

    async def endless(services: Services, run: JobRun) -> dict[str, object]:
        started.set()
        while True:
            await run.progress(1, None)
            await asyncio.sleep(0.01)

    async def cancel(job_id: str) -> bool:
        async with services.db.write() as conn:
            return await jobs.cancel(services, conn, job_id)

    waiting = await ask(services)
    assert await cancel(waiting) and (await see(services, waiting)).state == "cancelled"
    running = await ask(services)
    async with worker(services, {"count": endless}):
        await started.wait()
        assert await cancel(running)
        assert (await over(services, running)).state == "cancelled"
    assert not await cancel(running)


async def test_a_worker_that_is_told_to_stop_hands_its_job_back(services: Services) -> None:
    started = asyncio.Event()

    async def endless(services: Services, run: JobRun) -> dict[str, object]:
        started.set()
        await asyncio.Event().wait()
        return {}

    job_id = await ask(services)
    async with worker(services, {"count": endless}):
        await started.wait()
    async with services.db.read() as conn:
        row = (await conn.execute(select(job.c.state, job.c.tries, job.c.owner))).one()
    assert tuple(row) == ("waiting", 0, None)
    async with worker(services, {"count": count}):
        assert (await over(services, job_id)).state == "done"
