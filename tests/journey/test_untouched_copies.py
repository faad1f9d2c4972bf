"""Copies that nobody has touched, taken in full run and after `kill -9`: never a false alarm.

XUESHI_COPIES says how often something is killed; once in every run of the tests, more often by hand.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from player_server.learning.ledger_log import ledger_key
from player_server.learning.verify_ledger import Verdict, verify_ledger
from player_server.storage.ledger_log_tables import ledger_checkpoint
from player_server.storage.tables import ledger_entry
from tests.support import school
from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.product import Product, product

COPIES = int(os.environ.get("XUESHI_COPIES", "1"))


class Writer:
    """Somebody who adds entries without a pause, as several imports do; waits while the database is away."""

    def __init__(self, running: Product, learner_id: int) -> None:
        self.task = asyncio.create_task(self._write(running, learner_id))

    async def _write(self, running: Product, learner_id: int) -> None:
        values = {
            "learner_id": learner_id,
            "institution_id": running.institution_id,
            "kind": "offline",
            "subject": "public",
            "hours": 100,
            "round": 1,
            "entry_type": "credit",
            "rule_version": "test",
            "occurred_at": 1,
            "evidence": "{}",
        }
        while True:
            with suppress(SQLAlchemyError, OSError):
                async with running.services.db.write() as conn:
                    await conn.execute(insert(ledger_entry), [values] * 3)
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def test_untouched_copies_raise_no_alarm_whatever_was_killed(
    database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    own = PostgresServer() if database_url.startswith("postgres") else None
    url = database_url if own is None else own.url(own.create_database())
    rng = random.Random(5)
    said: list[int] = []
    try:
        async with product(url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.05}) as running:
            pupil = await school.add_learner(running.services, running.institution_id)
            for number in range(COPIES):
                before = await signed(running)
                writer = Writer(running, pupil.learner_id)
                try:
                    await until(lambda: is_past(running, before), timeout=60)  # noqa: B023  # Waited for here.
                    for _ in range(rng.randrange(1, 4)):
                        said.append(expect_good(await copy_and_verify(running, own, tmp_path / "live"), number))
                    assert running.worker is not None
                    running.worker.kill()
                    await running.worker.wait()
                    if own is not None:
                        # With everything it was just writing, the writer's rows as well.
                        await asyncio.to_thread(own.kill)
                        await asyncio.to_thread(own.start)
                finally:
                    await writer.stop()
                said.append(expect_good(await copy_and_verify(running, own, tmp_path / "killed", raw=True), number))
                await running.start_worker()
            assert all(said), said
            print(f"{len(said)} copies, of {said[0]} to {said[-1]} entries, {COPIES} of them after a kill")
    finally:
        if own is not None:
            own.close()


async def signed(running: Product) -> int:
    async with running.services.db.read() as conn:
        return await conn.scalar(select(func.max(ledger_checkpoint.c.size))) or 0


async def is_past(running: Product, size: int) -> bool:
    return await signed(running) > size


def expect_good(verdict: Verdict, number: int) -> int:
    """How many entries the copy has."""
    assert verdict.good and verdict.audit.checked, (number, verdict)
    return verdict.audit.size


async def copy_and_verify(
    running: Product, own: PostgresServer | None, path: Path, *, raw: bool = False
) -> Verdict:
    """The checkpoints that there are, a copy of the database, and what is said of it.

    In this order, as docs/ledger.md says: a copy that is older than a checkpoint lacks what was signed. `raw`: as
    the files lie there, which is allowed while nobody writes.
    """
    services = running.services
    points = path.with_suffix(".checkpoints")
    shutil.rmtree(points, ignore_errors=True)
    # Without the files that are just being written.
    await asyncio.to_thread(
        shutil.copytree,
        services.settings.checkpoints_folder,
        points,
        ignore=shutil.ignore_patterns(".*"),
    )
    database = str(services.db.engine.url.database)
    if own is not None:
        path.write_text(await asyncio.to_thread(own.dump, database), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)
        if raw:
            for end in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(database + end, f"{path}{end}")
        else:
            await asyncio.to_thread(vacuum, database, path)
    return await verify_ledger(str(path), [points], ledger_key(services).verifier())


def vacuum(database: str, path: Path) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as conn:
        conn.execute("VACUUM INTO ?", (str(path),))
