"""Workers are killed while they deliver: no event is lost, none overtakes another, and the ledger is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, update

from player_server.learning.events import tell_of_entries
from player_server.learning.ledger_log import ledger_key
from player_server.learning.verify_ledger import Verdict, verify_ledger
from player_server.learning.webhooks import Fault, Hand, add_endpoint
from player_server.storage.ledger_log_tables import ledger_checkpoint
from player_server.storage.tables import ledger_entry, outbox
from player_server.storage.webhook_tables import webhook_delivery
from tests.support import school
from tests.support.processes import until
from tests.support.product import Product, product
from tests.support.receiver import receiving

KILLS = 1
LEARNERS = 3


async def credit(running: Product, learner_id: int, number: int) -> None:
    """One entry and its event, as an import writes them."""
    entry = {
        "learner_id": learner_id,
        "institution_id": running.institution_id,
        "kind": "offline",
        "subject": "public",
        "hours": number,
        "round": 1,
        "entry_type": "credit",
        "rule_version": "test",
        "occurred_at": 1,
        "evidence": "{}",
    }
    async with running.services.db.write() as conn:
        entry_id = (
            await conn.execute(insert(ledger_entry).values(**entry).returning(ledger_entry.c.id))
        ).scalar_one()
        await tell_of_entries(conn, running.services.programmes, [entry_id], 1)


async def test_workers_killed_in_the_middle_lose_no_event_and_harm_no_ledger(
    database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"webhooks": {"allow_private": True}, "ledger": {"checkpoint_every_s": 0.1}}
    async with receiving() as receiver, product(database_url, valkey_url, tmp_path, **settings) as running:
        services = running.services
        staff_id = await school.add_staff(services, running.institution_id)
        hand = Hand(staff_id, running.institution_id, "")
        made = await add_endpoint(services, hand, name="考试", url=receiver.url, topics=["hours.credited"])
        assert not isinstance(made, Fault)
        receiver.secret = made[1]
        learners = [
            (await school.add_learner(services, running.institution_id)).learner_id for _ in range(LEARNERS)
        ]
        number = 0
        for _ in range(KILLS):
            receiver.open.clear()
            asked = len(receiver.asked)
            for learner_id in learners * 2:
                number += 1
                await credit(running, learner_id, number)
            # It has sent, and has not heard the answer.
            await until(lambda: len(receiver.asked) > asked, timeout=60)  # noqa: B023  # Waited for here.
            assert running.worker is not None
            running.worker.kill()
            await running.worker.wait()
            receiver.open.set()
            verdict = await verify(running)
            assert verdict.good, verdict
            async with services.db.write() as conn:
                # A claim runs out after a minute, and so does the pause after a broken connection.
                await conn.execute(update(webhook_delivery).values(claimed_until=0, next_at=0))
            await running.start_worker()
        await until(lambda: {each["data"]["hours"] for each in receiver.got} >= hours(number), timeout=60)

        async def all_done() -> bool:
            async with services.db.read() as conn:
                waiting = select(func.count()).select_from(outbox).where(outbox.c.delivered_at.is_(None))
                signed = await conn.scalar(select(func.max(ledger_checkpoint.c.size)))
                return not await conn.scalar(waiting) and signed == number

        await until(all_done, timeout=60)
        # Sent twice where nobody knew, never out of order: the first arrivals of each learner are in their order.
        for learner_id in learners:
            mine = [each["data"]["entry"] for each in receiver.asked if each["data"]["learner"] == learner_id]
            assert list(dict.fromkeys(mine)) == sorted(set(mine)) and len(set(mine)) == 2 * KILLS
        verdict = await verify(running)
        assert verdict.good and verdict.audit.size == number and verdict.audit.checked, verdict


def hours(count: int) -> set[str]:
    return {f"{each / 100:.2f}" for each in range(1, count + 1)}


async def verify(running: Product) -> Verdict:
    """What `verify-ledger` says of the database as it is, with the checkpoints that there are."""
    folder = running.services.settings.checkpoints_folder
    points = [folder] if folder.exists() else []
    return await verify_ledger(running.services.db.url, points, ledger_key(running.services).verifier())
