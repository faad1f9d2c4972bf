"""Deliveries: each event to each endpoint, one learner's in order, by as many workers as there are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import func, select, update

from player_server.learning.deliveries import claim_some, deliver, endpoints_with_work, forget, place
from player_server.learning.events import emit, events_after
from player_server.learning.services import Services
from player_server.learning.webhooks import (
    Fault,
    Hand,
    State,
    add_endpoint,
    deliveries_page,
    endpoints_of,
    resend,
    set_disabled,
)
from player_server.policy.webhooks import GIVE_UP_MS
from player_server.storage.outgoing import Outgoing
from player_server.storage.tables import audit, outbox
from player_server.storage.webhook_tables import webhook_delivery
from tests.support import school
from tests.support.processes import until
from tests.support.receiver import Receiver, receiving
from tests.support.services import close_services, make_services
from workers.deliver import deliver_for_ever

DAY_MS = 86_400_000


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path, webhooks={"allow_private": True})
    yield made
    await close_services(made)


class Desk:
    """An institution with one endpoint, and its receiver."""

    def __init__(self, services: Services, hand: Hand, receiver: Receiver) -> None:
        self.services, self.hand, self.receiver = services, hand, receiver
        self.endpoint_id = 0

    async def tell(self, learner_id: int, number: int, *, at: int | None = None) -> None:
        institution_id = at or self.hand.institution_id or 0
        async with self.services.db.write() as conn:
            await emit(
                conn,
                "hours.credited",
                institution_id=institution_id,
                learner_id=learner_id,
                data={"number": number},
                now_ms=1_700_000_000_000,
            )

    async def send(self) -> None:
        """What a worker does, until nothing is due."""
        while await place(self.services):
            pass
        outgoing = Outgoing(allow_private=True)
        while await endpoints_with_work(self.services):
            token, claimed = await claim_some(self.services, self.endpoint_id)
            if not claimed:
                break
            await asyncio.gather(*(deliver(self.services, outgoing, token, each) for each in claimed))
        await outgoing.close()

    async def hours_pass(self) -> None:
        """Everything that waits for a later try is due now."""
        async with self.services.db.write() as conn:
            await conn.execute(update(webhook_delivery).values(next_at=0))

    async def states(self) -> list[tuple[State, int, str | None]]:
        page = await deliveries_page(self.services, self.endpoint_id, state=None, number=1)
        return [(each.state, each.attempts, each.last_error) for each in reversed(page.deliveries)]

    async def open_events(self) -> int:
        async with self.services.db.read() as conn:
            query = select(func.count()).select_from(outbox).where(outbox.c.delivered_at.is_(None))
            return int(await conn.scalar(query) or 0)

    def numbers(self) -> list[int]:
        return [message["data"]["number"] for message in self.receiver.got]


@pytest_asyncio.fixture
async def desk(services: Services) -> AsyncIterator[Desk]:
    at = await school.add_institution(services, "示例")
    hand = Hand(await school.add_staff(services, at), at, "127.0.0.1")
    async with receiving() as receiver:
        desk = Desk(services, hand, receiver)
        made = await add_endpoint(services, hand, name="考试", url=receiver.url, topics=["hours.credited"])
        assert not isinstance(made, Fault)
        desk.endpoint_id, receiver.secret = made
        yield desk


async def test_an_event_arrives_signed_and_without_a_name(desk: Desk) -> None:
    other = await school.add_institution(desk.services, "另一家")
    await desk.tell(7, 1)
    await desk.tell(8, 2, at=other)
    await desk.send()
    (message,) = desk.receiver.got
    assert message["type"] == "hours.credited" and message["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert message["data"] == {
        "institution": desk.hand.institution_id,
        "learner": 7,
        "number": 1,
        "occurred_at": 1_700_000_000_000,
    }
    assert desk.receiver.ids == [message["id"]] == ["evt_1"]
    assert await desk.states() == [(State.DELIVERED, 1, None)] and await desk.open_events() == 0
    # The feed has the same bytes, in the same order, each institution its own.
    feed = await events_after(desk.services, desk.hand.institution_id, after=0, limit=10)
    assert [json.loads(body) for _, body in feed.events] == [message] and not feed.forgotten
    assert len((await events_after(desk.services, None, after=0, limit=10)).events) == 2
    assert (await events_after(desk.services, None, after=1, limit=10)).events[0][0] == 2


async def test_a_failure_holds_back_the_same_learner_only_and_order_is_kept(desk: Desk) -> None:
    desk.receiver.answer = lambda message: 500 if message["data"]["number"] == 1 else 200
    for learner_id, number in ((1, 1), (1, 2), (2, 3), (1, 4), (2, 5)):
        await desk.tell(learner_id, number)
    await desk.send()
    assert desk.numbers() == [3, 5]
    await desk.send()
    assert len([each for each in desk.receiver.asked if each["data"]["number"] == 1]) == 1, "not before its pause"
    desk.receiver.answer = lambda message: 204
    await desk.hours_pass()
    await desk.send()
    assert desk.numbers() == [3, 5, 1, 2, 4] and await desk.open_events() == 0
    assert [each for each in await desk.states() if each[1] == 2] == [(State.DELIVERED, 2, None)]


async def test_after_three_days_it_is_given_up_visibly_and_can_be_sent_again(desk: Desk) -> None:
    desk.receiver.answer = lambda message: 503 if message["data"]["number"] == 1 else 200
    await desk.tell(1, 1)
    await desk.tell(1, 2)
    await desk.send()
    (endpoint,) = await endpoints_of(desk.services, desk.hand.institution_id)
    assert (endpoint.waiting, endpoint.given_up, endpoint.last_error) == (2, 0, "HTTP 503")
    async with desk.services.db.write() as conn:
        began = webhook_delivery.c.first_at - GIVE_UP_MS - 1
        await conn.execute(update(webhook_delivery).values(next_at=0, first_at=began))
    await desk.send()
    assert await desk.states() == [(State.GIVEN_UP, 2, "HTTP 503"), (State.DELIVERED, 1, None)]
    assert desk.numbers() == [2] and await desk.open_events() == 0
    page = await deliveries_page(desk.services, desk.endpoint_id, state=State.GIVEN_UP, number=1)
    (given_up,) = page.deliveries
    desk.receiver.answer = lambda message: 200
    stranger = Hand(desk.hand.staff_id, (desk.hand.institution_id or 0) + 1, "")
    assert not await resend(desk.services, stranger, desk.endpoint_id, given_up.id)
    assert await resend(desk.services, desk.hand, desk.endpoint_id, given_up.id)
    assert await desk.open_events() == 1
    await desk.send()
    assert desk.numbers() == [2, 1]
    assert desk.receiver.asked[0] == desk.receiver.asked[-1], "the same event, under the same id"
    async with desk.services.db.read() as conn:
        actions = (await conn.scalars(select(audit.c.action).order_by(audit.c.id))).all()
    assert actions == ["webhook.add", "webhook.resend"]


async def test_two_workers_deliver_everything_once_and_in_order(
    desk: Desk, database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    other = await make_services(database_url, valkey_url, tmp_path, webhooks={"allow_private": True})
    workers = [asyncio.create_task(deliver_for_ever(each)) for each in (desk.services, other)]
    for number in range(40):
        await desk.tell(number % 8, number)
    await asyncio.gather(place(desk.services), place(other))
    await until(lambda: len(desk.receiver.got) >= 40)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    await close_services(other)
    assert sorted(desk.numbers()) == list(range(40)), "once each"
    for learner_id in range(8):
        mine = [number for number in desk.numbers() if number % 8 == learner_id]
        assert mine == sorted(mine)


async def test_a_claim_of_a_dead_worker_runs_out_and_its_late_result_changes_nothing(desk: Desk) -> None:
    await desk.tell(1, 1)
    await place(desk.services)
    token, (dead,) = await claim_some(desk.services, desk.endpoint_id)
    await desk.send()
    assert desk.receiver.asked == []
    async with desk.services.db.write() as conn:
        await conn.execute(update(webhook_delivery).values(claimed_until=0))
    desk.receiver.answer = lambda message: 500
    await desk.send()
    assert await desk.states() == [(State.WAITING, 1, "HTTP 500")]
    outgoing = Outgoing(allow_private=True)
    desk.receiver.answer = lambda message: 200
    await deliver(desk.services, outgoing, token, dead)
    await outgoing.close()
    assert await desk.states() == [(State.WAITING, 1, "HTTP 500")]


async def test_disabled_by_hand_or_by_410_nothing_more_is_sent(desk: Desk) -> None:
    desk.receiver.answer = lambda message: 410
    await desk.tell(1, 1)
    await desk.tell(1, 2)
    await desk.send()
    assert len(desk.receiver.asked) == 1
    (endpoint,) = await endpoints_of(desk.services, desk.hand.institution_id)
    assert endpoint.disabled_reason == "gone"
    assert await desk.states() == [(State.DROPPED, 1, "HTTP 410"), (State.DROPPED, 0, "HTTP 410")]
    assert await desk.open_events() == 0
    await desk.tell(1, 3)
    await desk.send()
    desk.receiver.answer = lambda message: 200
    assert await set_disabled(desk.services, desk.hand, desk.endpoint_id, disabled=False)
    await desk.tell(1, 4)
    await desk.send()
    assert desk.numbers() == [4]
    stranger = Hand(desk.hand.staff_id, (desk.hand.institution_id or 0) + 1, "")
    assert not await set_disabled(desk.services, stranger, desk.endpoint_id, disabled=True)
    assert await set_disabled(desk.services, desk.hand, desk.endpoint_id, disabled=True)
    await desk.tell(1, 5)
    await desk.send()
    assert desk.numbers() == [4]


async def test_old_events_are_forgotten_and_readers_are_told(desk: Desk) -> None:
    desk.receiver.answer = lambda message: 200 if message["data"]["number"] != 2 else 500
    for number in range(5):
        await desk.tell(number, number)
    await desk.send()
    async with desk.services.db.write() as conn:
        await conn.execute(update(outbox).where(outbox.c.delivered_at.is_not(None)).values(delivered_at=0))
    # The one that still waits keeps what comes after it.
    assert await forget(desk.services) == 2
    feed = await events_after(desk.services, None, after=0, limit=10)
    assert [position for position, _ in feed.events] == [3, 4, 5] and feed.forgotten
    assert not (await events_after(desk.services, None, after=2, limit=10)).forgotten
    async with desk.services.db.write() as conn:
        await conn.execute(update(outbox).values(delivered_at=0))
    assert await forget(desk.services) == 2
    await desk.tell(9, 9)
    await desk.send()
    assert [position for position, _ in (await events_after(desk.services, None, after=5, limit=9)).events] == [6]


async def test_what_is_no_endpoint_is_refused_with_its_fault(services: Services) -> None:
    at = await school.add_institution(services, "示例")
    hand = Hand(await school.add_staff(services, at), at, "")
    good: dict[str, Any] = {"name": "考试", "url": "https://example.org/hook", "topics": ["exam.result"]}
    for change, fault in (
        ({"name": " "}, Fault.NAME),
        ({"url": "ftp://example.org"}, Fault.NOT_HTTPS),
        ({"url": "https://a:b@example.org"}, Fault.WITH_PASSWORD),
        ({"url": "example"}, Fault.NOT_HTTPS),
        ({"topics": ["nothing"]}, Fault.TOPICS),
    ):
        assert await add_endpoint(services, hand, **(good | change)) is fault
    first, second = [await add_endpoint(services, hand, **good) for _ in range(2)]
    assert not isinstance(first, Fault) and not isinstance(second, Fault) and first[1] != second[1]
    assert len(await endpoints_of(services, at)) == 2


async def test_the_operators_receivers_get_the_events_of_all_institutions_and_are_nobody_elses(
    desk: Desk,
) -> None:
    operator = Hand(None, None, None)
    async with receiving() as everything:
        made = await add_endpoint(
            desk.services, operator, name="主管部门", url=everything.url, topics=["hours.credited"]
        )
        assert not isinstance(made, Fault)
        everything.secret = made[1]
        other = await school.add_institution(desk.services, "另一家")
        await desk.tell(1, 1)
        await desk.tell(2, 2, at=other)
        await desk.send()
        desk.endpoint_id = made[0]
        await desk.send()
        assert [each["data"]["number"] for each in everything.got] == [1, 2] and desk.numbers() == [1]
    assert [each.id for each in await endpoints_of(desk.services, None)] == [made[0]]
    assert made[0] not in [each.id for each in await endpoints_of(desk.services, desk.hand.institution_id)]
    assert not await set_disabled(desk.services, desk.hand, made[0], disabled=True)
    assert await set_disabled(desk.services, operator, made[0], disabled=True)
