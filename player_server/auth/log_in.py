"""Logging in as a learner: what a correct secret opens, and that a wrong one tells nothing.

Unknown people, wrong secrets and people who have no password yet take the same steps: one look-up, one argon2id,
one audit row.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.identity import id_hash
from player_server.auth.initial_secrets import initial_hash
from player_server.auth.login_sessions import Account, Client, LearnerLogin, end_login, open_login, renew_login
from player_server.auth.passwords import verify_password
from player_server.auth.throttle import Attempt, forgive
from player_server.learning.services import Services
from player_server.observe import metrics
from player_server.policy.id_number import normalise_id_number
from player_server.storage.audit import record
from player_server.storage.hidden import is_there
from player_server.storage.hints import Hint
from player_server.storage.tables import institution, learner, person

Way = Literal["must_change", "choose_account", "signed_in"]

#: How much of the keyed hash of an unknown ID number an audit row holds, to recognise the same one again.
_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new log-in: its cookie, and where it leads."""

    token: str
    way: Way


@dataclass(frozen=True, slots=True)
class Refused:
    """No log-in. `no_account` is only said to somebody who knew the secret."""

    reason: Literal["wrong", "no_account"]


def account_key(services: Services, id_number: str) -> str:
    """What attempts at this ID number are counted under (see throttle.count_attempt)."""
    return id_hash(services.keys, normalise_id_number(id_number))


async def log_in(
    services: Services, id_number: str, secret: str, client: Client, attempt: Attempt
) -> LoggedIn | Refused:
    """Log in with ID number and password or initial secret. The door has counted and awaited `attempt`.

    A log-in that the browser already had is ended, with its player. Raises passwords.TooBusy.
    """
    number_hash = account_key(services, id_number)
    async with services.db.read() as conn:
        found = (await conn.execute(_secrets_of(number_hash))).one_or_none()
    by_initial = _is_initial_secret(services, secret, found)
    by_password = await verify_password(secret, found.password_hash if found else None)
    async with services.db.write() as conn:
        # The secrets may have changed while they were verified; now the row is locked until the log-in stands.
        current = (await conn.execute(_secrets_of(number_hash).with_for_update(key_share=True))).one_or_none()
        accounts = await accounts_of(conn, current.id if current else 0)
        result: LoggedIn | Refused
        former = None
        if current is None or current != found or not (by_password or by_initial):
            result = Refused("wrong")
        elif not accounts:
            result = Refused("no_account")
        else:
            former = await end_login(conn, client.token)
            result = await _open(services, conn, current.id, accounts, not by_password, client)
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"person:{current.id}" if current else "anonymous",
            action="log_in",
            target=f"id:{number_hash[:_HASH_DIGITS]}",
            result=result.reason if isinstance(result, Refused) else result.way,
            institution_id=accounts[0].institution_id if len(accounts) == 1 else None,
            address=client.address,
        )
    metrics.sign_ins.labels(result.reason if isinstance(result, Refused) else result.way).inc()
    if former is not None:
        await services.hints.publish(Hint(former, "signed_out"))
    if isinstance(result, LoggedIn):
        await forgive(services, attempt)
    return result


async def choose_account(
    services: Services, login: LearnerLogin, learner_id: int, client: Client
) -> LoggedIn | None:
    """Go on as this one of the person's accounts, with a new cookie; None if it is not the person's or disabled."""
    async with services.db.write() as conn:
        account = next(
            (account for account in await accounts_of(conn, login.person_id) if account.learner_id == learner_id),
            None,
        )
        token = None
        if account is not None and not login.must_change:
            token = await renew_login(conn, login.person_id, login.login_hash, learner_id=learner_id)
        await record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"person:{login.person_id}",
            action="choose_account",
            target=f"learner:{account.learner_id}" if account else None,
            result="ok" if token else "refused",
            institution_id=account.institution_id if account else None,
            address=client.address,
        )
    return LoggedIn(token, "signed_in") if token else None


async def accounts_of(conn: AsyncConnection, person_id: int) -> list[Account]:
    """The accounts a person can use, by institution name."""
    rows = await conn.execute(
        select(learner.c.id, institution.c.id, institution.c.name)
        .join(institution, institution.c.id == learner.c.institution_id)
        .where(learner.c.person_id == person_id, learner.c.disabled_at.is_(None), is_there(learner.c.id))
        .order_by(institution.c.name)
    )
    return [Account(*row) for row in rows]


async def list_accounts(services: Services, login: LearnerLogin) -> list[Account]:
    """What the person of this log-in may choose from."""
    async with services.db.read() as conn:
        return await accounts_of(conn, login.person_id)


async def _open(
    services: Services,
    conn: AsyncConnection,
    person_id: int,
    accounts: list[Account],
    must_change: bool,
    client: Client,
) -> LoggedIn:
    only = accounts[0].learner_id if len(accounts) == 1 else None
    token = await open_login(
        services, conn, person_id=person_id, learner_id=only, must_change=must_change, client=client
    )
    if must_change:
        return LoggedIn(token, "must_change")
    return LoggedIn(token, "choose_account" if only is None else "signed_in")


def _secrets_of(number_hash: str) -> Select[Any]:
    return select(person.c.id, person.c.password_hash, person.c.initial_hash).where(person.c.id_hash == number_hash)


def _is_initial_secret(services: Services, secret: str, found: Row[Any] | None) -> bool:
    kept = found.initial_hash if found is not None else None
    return hmac.compare_digest(initial_hash(services.keys, secret).encode(), (kept or "").encode())
