"""Challenges after their issue: what the player page is told, the confirmation, the missed window, the successor.

A challenge is issued by the committer, together with the beat that made it due. A hold is set there and in `renew`,
and cleared in one place only: `claim_answer`. What a phone page shows and how a phone is enrolled is in phones.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.config import ChallengeSettings
from player_server.learning.challenge_tokens import code_for
from player_server.learning.findings import record_finding
from player_server.learning.services import Services
from player_server.learning.settle import settle_person
from player_server.observe import metrics
from player_server.policy.challenges import (
    Answer,
    ChallengeRules,
    is_phone,
    kind_for,
    refusal_of_browser,
    state_of,
)
from player_server.storage import audit
from player_server.storage.challenges import (
    Challenge,
    add_successor,
    claim_answer,
    claim_missed,
    find_challenge,
    find_overdue,
    find_phone,
    has_phone,
    lock_challenge,
)
from player_server.storage.hints import Hint
from telemetry.findings import FindingKind
from telemetry.messages import ChallengeNotice

#: Missed challenges that one sweep writes down; the next sweep takes the rest.
SWEEP_LIMIT = 200

#: Refusals that are evidence about the challenge's person. The others are everyday mistakes and only audited.
_EVIDENCE = {Answer.COMPUTER, Answer.WRONG_LEARNER, Answer.WRONG_PHONE}


@dataclass(frozen=True, slots=True)
class Browser:
    """What a door knows of the browser that wants to answer.

    `credential` is the value of its phone cookie, worth nothing until it is enrolled; `login_person_id` the person
    whose log-in it holds, if any.
    """

    credential: str
    login_person_id: int | None
    device: str
    address: str

    @property
    def on_phone(self) -> bool:
        return is_phone(self.device)


class Renewal(StrEnum):
    """What came of asking for a new code."""

    RENEWED = "renewed"
    STILL_OPEN = "still_open"
    NOT_HELD = "not_held"  # nothing holds the player back any more
    UNKNOWN = "unknown"


def rules_of(settings: ChallengeSettings) -> ChallengeRules:
    """The operator's settings as the pure rules want them."""
    return ChallengeRules(
        answer_ms=round(settings.answer_s * 1000),
        identity_answer_ms=round(settings.identity_answer_s * 1000),
        rotate_ms=round(settings.rotate_s * 1000),
        same_device=settings.same_device,
    )


async def notice(
    services: Services, conn: AsyncConnection, challenge_id: str, *, on_phone: bool = False
) -> ChallengeNotice | None:
    """What the player page is told of the challenge that holds it; None if it is unknown or was answered."""
    asked = await find_challenge(conn, challenge_id)
    if asked is None or asked.outcome == "answered":
        return None
    settings = services.settings.challenges
    now = (await services.clock.read(conn)).ms
    is_open = state_of(asked.outcome, asked.deadline, now) == "open"
    path = f"/challenges/{asked.id}"
    return ChallengeNotice(
        id=asked.id,
        kind=asked.kind,
        qr=f"{path}/qr.svg",
        deadline=(asked.deadline - now) / 1000 if is_open else 0,
        rotate=settings.rotate_s,
        renew=f"{path}/renew",
        missed=not is_open,
        link=link_of(services, _code(services, asked, now)) if is_open and settings.show_link else None,
        tap=f"{path}/tap" if is_open and on_phone and settings.same_device == "tap" else None,
    )


async def current_code(services: Services, person_id: int, challenge_id: str) -> str | None:
    """The code of this moment; None unless the challenge is this person's and open."""
    async with services.db.read() as conn:
        asked = await find_challenge(conn, challenge_id)
        now = (await services.clock.read(conn)).ms
    if asked is None or asked.person_id != person_id or state_of(asked.outcome, asked.deadline, now) != "open":
        return None
    return _code(services, asked, now)


async def confirm(services: Services, challenge_id: str, browser: Browser) -> Answer:
    """The learner pressed [确认] in this browser. However many press at once, exactly one gets CONFIRMED."""
    async with services.db.write() as conn:
        # The clock is read before the lock: whoever came in time is in time, however long the lock takes.
        now = (await services.clock.read(conn)).ms
        locked = await lock_challenge(conn, challenge_id)
        if locked is None:
            return Answer.UNKNOWN
        asked, _hold = locked
        answer = await _confirm_in(services, conn, asked, browser, now)
    await after_answer(services, asked, answer)
    return answer


async def _confirm_in(
    services: Services, conn: AsyncConnection, asked: Challenge, browser: Browser, now: int
) -> Answer:
    refusal = browser_refusal(services, asked, browser)
    phone = await find_phone(conn, browser.credential)
    if refusal is not None:
        return await refuse(conn, asked, refusal, browser, now)
    if phone is None:
        return await refuse(conn, asked, Answer.NOT_ENROLLED, browser, now)
    if phone.person_id != asked.person_id:
        return await refuse(conn, asked, Answer.WRONG_PHONE, browser, now)
    return await answer_in(conn, asked, phone.id, browser, now)


async def tap(services: Services, person_id: int, challenge_id: str, browser: Browser) -> Answer:
    """The button on a phone that plays the video itself. NOT_ENROLLED: open `current_code` there to bind it."""
    async with services.db.read() as conn:
        asked = await find_challenge(conn, challenge_id)
    if asked is None or asked.person_id != person_id:
        return Answer.UNKNOWN
    return await confirm(services, challenge_id, browser)


async def renew(services: Services, person_id: int, challenge_id: str) -> Renewal:
    """The window passed and the learner is back: write it down and issue a successor. Asking twice makes one."""
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        locked = await lock_challenge(conn, challenge_id)
        if locked is None or locked[0].person_id != person_id:
            return Renewal.UNKNOWN
        asked, hold = locked
        if hold.challenge_id is None:
            renewal = Renewal.NOT_HELD
        elif hold.challenge_id != challenge_id:
            renewal = Renewal.RENEWED
        elif state_of(asked.outcome, asked.deadline, now) == "open":
            return Renewal.STILL_OPEN
        else:
            await _miss_in(conn, asked, now)
            rules = rules_of(services.settings.challenges)
            kind = kind_for(await has_phone(conn, person_id))
            deadline = now + rules.window_ms(kind)
            await add_successor(conn, asked, new_challenge_id(), hold.sequence + 1, kind, now, deadline)
            metrics.challenges.labels(kind, "issued").inc()
            renewal = Renewal.RENEWED
    # Told in every case: the page that asked may have missed what happened.
    await services.hints.publish(Hint(person_id, "challenge"))
    return renewal


async def expire_due(services: Services, limit: int = SWEEP_LIMIT) -> int:
    """Write down windows that passed with nobody there; the holds stay. Returns how many."""
    async with services.db.read() as conn:
        overdue = await find_overdue(conn, (await services.clock.read(conn)).ms, limit)
    missed = 0
    for challenge_id in overdue:
        async with services.db.write() as conn:
            now = (await services.clock.read(conn)).ms
            locked = await lock_challenge(conn, challenge_id)
            if locked is None or not await _miss_in(conn, locked[0], now):
                continue
        missed += 1
        await services.hints.publish(Hint(locked[0].person_id, "challenge"))
    return missed


def link_of(services: Services, code: str) -> str:
    """The address that a phone opens."""
    return f"{services.settings.public_url}/c/{code}"


def new_challenge_id() -> str:
    """An id nobody can guess, short enough for an easily scanned picture."""
    return secrets.token_urlsafe(12)


# What follows is shared with phones.py.


def browser_refusal(services: Services, asked: Challenge, browser: Browser) -> Answer | None:
    """Why this browser may not answer this challenge, whatever phone it holds."""
    return refusal_of_browser(
        browser.login_person_id,
        asked.person_id,
        on_phone=browser.on_phone,
        same_device=services.settings.challenges.same_device,
    )


async def answer_in(conn: AsyncConnection, asked: Challenge, phone_id: int, browser: Browser, now: int) -> Answer:
    """Answer with this phone, unless somebody did or the window passed. `asked` was read under the lock."""
    same_device = browser.login_person_id is not None
    if await claim_answer(conn, asked, now, phone_id=phone_id, same_device=same_device):
        answer = Answer.CONFIRMED
    else:
        answer = Answer.ALREADY_CONFIRMED if asked.outcome == "answered" else Answer.LATE
    await note(conn, asked, answer, browser, now)
    return answer


async def after_answer(services: Services, asked: Challenge, answer: Answer) -> None:
    """To be called after the commit: the player goes on, and what waited for the hold is credited."""
    if answer == Answer.CONFIRMED:
        metrics.challenges.labels(asked.kind, "answered").inc()
        await services.hints.publish(Hint(asked.person_id, "challenge"))
        await settle_person(services, asked.person_id)


async def refuse(conn: AsyncConnection, asked: Challenge, answer: Answer, browser: Browser, now: int) -> Answer:
    """Write a refusal down, and return it."""
    if answer in _EVIDENCE:
        await record(conn, FindingKind.WRONG_PHONE, asked, now)
    await note(conn, asked, answer, browser, now)
    return answer


async def record(
    conn: AsyncConnection, kind: FindingKind, asked: Challenge, now: int, *, other_person_id: int | None = None
) -> None:
    """A finding about the challenge's person, or about the other person whose phone was used."""
    person_id = asked.person_id if other_person_id is None else other_person_id
    await record_finding(
        conn,
        kind,
        source=f"challenge:{asked.id}:{person_id}",
        person_id=person_id,
        at=now,
        learner_id=asked.learner_id if other_person_id is None else None,
        video_id=asked.video_id if other_person_id is None else None,
    )


async def note(
    conn: AsyncConnection,
    asked: Challenge,
    result: str,
    browser: Browser,
    now: int,
    *,
    action: str = "challenge_answer",
) -> None:
    """A row of the audit trail."""
    await audit.record(
        conn,
        at=now,
        actor=f"person:{asked.person_id}",
        action=action,
        result=str(result),
        institution_id=asked.institution_id,
        target=f"challenge:{asked.id}",
        address=browser.address,
    )


async def _miss_in(conn: AsyncConnection, asked: Challenge, now: int) -> bool:
    if not await claim_missed(conn, asked, now):
        return False
    await record(conn, FindingKind.CHALLENGE_MISSED, asked, now)
    metrics.challenges.labels(asked.kind, "missed").inc()
    return True


def _code(services: Services, asked: Challenge, now: int) -> str:
    rotation = rules_of(services.settings.challenges).rotation(asked.issued_at, now)
    return code_for(services.keys, asked.id, rotation)
