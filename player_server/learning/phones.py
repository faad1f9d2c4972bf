"""The learner's phone: what a scanned code shows there, enrolling the phone, and enrolling another one.

A phone is a browser with a long random cookie. Opening a code never changes anything but the evidence; it ties the
page to that browser. Confirming itself is in challenges.py.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from enum import StrEnum

from redis.exceptions import RedisError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.identity import id_hash
from player_server.auth.passwords import TooBusy, verify_password
from player_server.auth.throttle import Attempt, count_attempt, forgive
from player_server.learning.challenge_tokens import form_for, read_code
from player_server.learning.challenges import (
    Browser,
    after_answer,
    answer_in,
    browser_refusal,
    note,
    record,
    refuse,
    rules_of,
)
from player_server.learning.services import Services
from player_server.observe import log, metrics
from player_server.policy.challenges import Answer, state_of
from player_server.policy.id_number import normalise_id_number
from player_server.policy.names import mask_name, same_name
from player_server.storage.challenges import (
    Challenge,
    add_phone,
    find_challenge,
    find_phone,
    find_roster_entry,
    find_titles,
    former_owners,
    has_phone,
    lock_challenge,
    revoke_phone,
)
from player_server.storage.turns import Window, take_turn
from telemetry.findings import FindingKind

#: So many forged codes of one check are written down in …
FORGED_WRITTEN = 20
#: … this time, in milliseconds. More of them say nothing new.
FORGED_WINDOW_MS = 3_600_000


class Screen(StrEnum):
    """What a phone can be asked for."""

    CONFIRM = "confirm"
    IDENTITY = "identity"  # bind this phone and answer: name and ID number
    REBIND = "rebind"  # bind this phone instead of another: name, ID number and password


@dataclass(frozen=True, slots=True)
class PhonePage:
    """A page for one phone; `form` is the hidden field that its buttons hand in. `seconds_left` to answer."""

    screen: Screen
    form: str
    masked_name: str
    course: str
    video: str
    seconds_left: int


@dataclass(frozen=True, slots=True)
class _Proof:
    """What was typed, compared with the roster."""

    matches: bool
    attempt: Attempt


async def open_code(services: Services, text: str, browser: Browser) -> PhonePage | Answer:
    """A code was opened in this browser. Only a fresh one gives a page, which then works until the deadline."""
    code = read_code(services.keys, text)
    if code is None:
        return await refuse_forged(services, text, browser)
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        asked = await find_challenge(conn, code.challenge_id)
        if asked is None:
            return Answer.UNKNOWN
        is_fresh = rules_of(services.settings.challenges).is_fresh(code.rotation, asked.issued_at, now)
        page = await _page_in(services, conn, asked, browser, now, is_fresh=is_fresh)
    if isinstance(page, Answer):
        async with services.db.write() as conn:
            await refuse(conn, asked, page, browser, now)
    return page


async def refuse_forged(services: Services, text: str, browser: Browser) -> Answer:
    """A code or a form that was not made here. If it names a challenge, the attempt is written down there."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        asked = await find_challenge(conn, text.partition(".")[0])
    if asked is None:
        log.info("challenge_code_unknown", address=browser.address)
        return Answer.UNKNOWN
    if not await _is_worth_writing(services, asked.id):
        return Answer.UNKNOWN
    async with services.db.write() as conn:
        return await refuse(conn, asked, Answer.UNKNOWN, browser, now)


async def _is_worth_writing(services: Services, challenge_id: str) -> bool:
    """Whoever knows the id of a check could otherwise fill the audit with it. Fails open: it is written."""
    window = Window(f"xueshi:forged:{{{challenge_id}}}", FORGED_WRITTEN, 1, 1, FORGED_WINDOW_MS, False)
    try:
        return (await take_turn(services.redis, window)).wait_ms == 0
    except (RedisError, OSError):
        metrics.redis_failures.labels("forged_codes").inc()
        return True


async def show_again(services: Services, challenge_id: str, browser: Browser) -> PhonePage | Answer:
    """The page of a browser that opened the code already: after a mistake, or after its phone was bound."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
        asked = await find_challenge(conn, challenge_id)
        if asked is None:
            return Answer.UNKNOWN
        return await _page_in(services, conn, asked, browser, now, is_fresh=True)


async def _page_in(
    services: Services, conn: AsyncConnection, asked: Challenge, browser: Browser, now: int, *, is_fresh: bool
) -> PhonePage | Answer:
    match state_of(asked.outcome, asked.deadline, now):
        case "answered":
            return Answer.ALREADY_CONFIRMED
        case "missed" | "expired":
            return Answer.LATE
        case "open" if not is_fresh:
            return Answer.STALE
    refusal = browser_refusal(services, asked, browser)
    if refusal is not None:
        return refusal
    phone = await find_phone(conn, browser.credential)
    if phone is not None and phone.person_id != asked.person_id:
        return Answer.WRONG_PHONE
    if phone is not None:
        screen = Screen.CONFIRM
    elif asked.kind == "identity" and not await has_phone(conn, asked.person_id):
        screen = Screen.IDENTITY
    else:
        screen = Screen.REBIND
    entry = await find_roster_entry(conn, asked.person_id)
    course, video = await find_titles(conn, asked.video_id)
    return PhonePage(
        screen=screen,
        form=form_for(services.keys, asked.id, browser.credential),
        masked_name=mask_name(entry.name),
        course=course,
        video=video,
        seconds_left=(asked.deadline - now) // 1000,
    )


async def bind(services: Services, challenge_id: str, browser: Browser, name: str, id_number: str) -> Answer:
    """Answer the identity check: name and ID number match the roster, so this browser becomes the phone."""
    proof = await _prove(services, challenge_id, browser, name, id_number)
    if isinstance(proof, Answer):
        return proof
    try:
        answer = await _bind(services, challenge_id, browser, proof)
    except IntegrityError:
        # This cookie was enrolled for somebody else in the same instant; now that can be seen.
        answer = await _bind(services, challenge_id, browser, proof)
    if answer == Answer.CONFIRMED:
        await forgive(services, proof.attempt)
    return answer


async def _bind(services: Services, challenge_id: str, browser: Browser, proof: _Proof) -> Answer:
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        locked = await lock_challenge(conn, challenge_id)
        if locked is None:
            return Answer.UNKNOWN
        asked, _hold = locked
        refusal = browser_refusal(services, asked, browser)
        if refusal is not None:
            return await refuse(conn, asked, refusal, browser, now)
        state = state_of(asked.outcome, asked.deadline, now)
        if state != "open":
            over = Answer.ALREADY_CONFIRMED if state == "answered" else Answer.LATE
            return await refuse(conn, asked, over, browser, now)
        phone = await find_phone(conn, browser.credential)
        if phone is not None and phone.person_id != asked.person_id:
            return await _reused_in(conn, asked, phone.person_id, browser, now)
        if phone is None:
            if asked.kind != "identity" or await has_phone(conn, asked.person_id):
                return await refuse(conn, asked, Answer.NOT_ENROLLED, browser, now)
            if not proof.matches:
                return await refuse(conn, asked, Answer.MISMATCH, browser, now)
            await _record_former_owners(conn, asked, browser, now)
            phone = await add_phone(conn, asked.person_id, browser.credential, browser.device, now)
        answer = await answer_in(conn, asked, phone.id, browser, now)
    await after_answer(services, asked, answer)
    return answer


async def rebind(
    services: Services, challenge_id: str, browser: Browser, name: str, id_number: str, password: str
) -> Answer:
    """Enrol this browser instead of the former phone: BOUND, and the confirm button is still to be pressed.

    Possible as long as this challenge holds the player back, also after its window: the next code then finds the
    phone enrolled.
    """
    proof = await _prove(services, challenge_id, browser, name, id_number, password)
    if isinstance(proof, Answer):
        return proof
    try:
        answer = await _rebind(services, challenge_id, browser, proof)
    except IntegrityError:
        answer = await _rebind(services, challenge_id, browser, proof)
    if answer == Answer.BOUND:
        await forgive(services, proof.attempt)
    return answer


async def _rebind(services: Services, challenge_id: str, browser: Browser, proof: _Proof) -> Answer:
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        locked = await lock_challenge(conn, challenge_id)
        if locked is None:
            return Answer.UNKNOWN
        asked, hold = locked
        refusal = browser_refusal(services, asked, browser)
        if refusal is not None:
            return await refuse(conn, asked, refusal, browser, now)
        if hold.challenge_id != asked.id:
            over = Answer.ALREADY_CONFIRMED if asked.outcome == "answered" else Answer.LATE
            return await refuse(conn, asked, over, browser, now)
        phone = await find_phone(conn, browser.credential)
        if phone is not None and phone.person_id != asked.person_id:
            return await _reused_in(conn, asked, phone.person_id, browser, now)
        if phone is None:
            if not proof.matches:
                return await refuse(conn, asked, Answer.MISMATCH, browser, now)
            if await revoke_phone(conn, asked.person_id, now):
                await record(conn, FindingKind.PHONE_REBOUND, asked, now)
            await _record_former_owners(conn, asked, browser, now)
            await add_phone(conn, asked.person_id, browser.credential, browser.device, now)
            await note(conn, asked, Answer.BOUND, browser, now, action="phone_rebind")
    return Answer.BOUND


async def _prove(
    services: Services,
    challenge_id: str,
    browser: Browser,
    name: str,
    id_number: str,
    password: str | None = None,
) -> _Proof | Answer:
    """Compare with the roster what was typed. Guessing is slowed down, per person and per address."""
    async with services.db.read() as conn:
        asked = await find_challenge(conn, challenge_id)
        if asked is None:
            return Answer.UNKNOWN
        entry = await find_roster_entry(conn, asked.person_id)
    attempt = await count_attempt(services, "phone", f"person:{asked.person_id}", browser.address)
    if attempt.full:
        return Answer.TOO_MANY
    await asyncio.sleep(attempt.wait_s)
    typed_hash = id_hash(services.keys, normalise_id_number(id_number))
    matches = same_name(name, entry.name) and hmac.compare_digest(typed_hash, entry.id_hash)
    if password is not None:
        try:
            # Verified in any case, so that the time does not tell which of the three was wrong.
            matches = await verify_password(password, entry.password_hash) and matches
        except TooBusy:
            return Answer.TOO_MANY
    return _Proof(matches, attempt)


async def _reused_in(
    conn: AsyncConnection, asked: Challenge, owner_person_id: int, browser: Browser, now: int
) -> Answer:
    await record(conn, FindingKind.PHONE_REUSED, asked, now)
    await record(conn, FindingKind.PHONE_REUSED, asked, now, other_person_id=owner_person_id)
    return await refuse(conn, asked, Answer.PHONE_REUSED, browser, now)


async def _record_former_owners(conn: AsyncConnection, asked: Challenge, browser: Browser, now: int) -> None:
    """A phone that was somebody else's before may be handed on, but not unseen."""
    owners = await former_owners(conn, browser.credential, asked.person_id)
    if owners:
        await record(conn, FindingKind.PHONE_REUSED, asked, now)
    for owner_person_id in owners:
        await record(conn, FindingKind.PHONE_REUSED, asked, now, other_person_id=owner_person_id)
