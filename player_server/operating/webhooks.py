"""`webhook add|list|disable`: receivers of the events of all institutions, which no page manages."""

from __future__ import annotations

from player_server.app import open_services
from player_server.learning.events import TOPICS
from player_server.learning.webhooks import Fault, Hand, add_endpoint, endpoints_of, set_disabled
from player_server.operating.where import CommandError, Where

OPERATOR = Hand(None, None, None)
FAULTS = {
    Fault.NAME: "--name must have 1 to 60 characters",
    Fault.MALFORMED: "this is no address",
    Fault.NOT_HTTPS: "the address must begin with https://",
    Fault.NOT_PUBLIC: "the address must be on the public internet",
    Fault.WITH_PASSWORD: "the address must not hold a user name or a password",
    Fault.TOPICS: f"--topics names none of {', '.join(TOPICS)}",
    Fault.TOO_MANY: "there are 20 receivers already; disable those that are not used any more",
}


async def webhook_add(where: Where, url: str, *, name: str, topics: str | None) -> int:
    """Add a receiver and print its secret, once."""
    chosen = list(TOPICS) if topics is None else [each.strip() for each in topics.split(",")]
    unknown = [each for each in chosen if each not in TOPICS]
    if unknown:
        raise CommandError(f"no such event: {', '.join(unknown)}; there are {', '.join(TOPICS)}")
    async with open_services(where.settings_without_redis()) as services:
        made = await add_endpoint(services, OPERATOR, name=name, url=url, topics=chosen)
    if isinstance(made, Fault):
        raise CommandError(FAULTS[made])
    endpoint_id, secret = made
    print(f"Receiver {endpoint_id} is told of the events of all institutions from now on.")
    print(f"Its signing secret, which is not shown again: {secret}")
    return 0


async def webhook_list(where: Where) -> int:
    """Each receiver on a line."""
    async with open_services(where.settings_without_redis()) as services:
        found = await endpoints_of(services, None)
    for each in found:
        state = (
            "disabled" if each.disabled_at is not None else "failing" if each.last_error and each.waiting else "ok"
        )
        print(f"{each.id}\t{state}\twaiting {each.waiting}\tgiven up {each.given_up}\t{each.name}\t{each.url}")
    if not found:
        print("None. Institutions have their own on the page /staff/webhooks.")
    return 0


async def webhook_disable(where: Where, endpoint_id: int) -> int:
    """Tell a receiver nothing more."""
    async with open_services(where.settings_without_redis()) as services:
        if not await set_disabled(services, OPERATOR, endpoint_id, disabled=True):
            raise CommandError(f"there is no receiver {endpoint_id}; see `./run webhook list`")
    print(f"Receiver {endpoint_id} is told nothing more.")
    return 0
