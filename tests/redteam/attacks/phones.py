"""B03–B05: answering a check with something that is not the enrolled phone of the learner, in time, once."""

from __future__ import annotations

import asyncio
from collections import Counter

from sqlalchemy import select

from player_server.storage.tables import phone as phone_table
from tests.redteam.arena import raw_http
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner
from tests.redteam.phone import (
    NAME,
    Phone,
    audited,
    challenged,
    enrol_phone,
    form_of,
    put_on_roster,
    result_of,
    scan,
    stored_checks,
    turned,
)

SOON_S = 3.0
ROTATE_S = 20.0
WINDOW_S = 120.0


@case(
    "B03",
    "confirm from the desktop; with an empty, foreign, expired, pre-fetched or guessed token; by a preview GET",
    "policy.challenges.refusal_of_browser; challenge_tokens: signed codes, one phone's forms; GET confirms none",
    seconds=90,
    load=3,
)
async def not_the_phone(game: Game) -> None:
    async with game.twin():
        learner, other = await game.learners_of(2, 600, check_due_in=SOON_S)
        page, others_page = await learner.page(), await other.page()
        phone, others_phone = await enrol_phone(learner), await enrol_phone(other)
        notice, others = await asyncio.gather(challenged(page), challenged(others_page))
        frozen = await learner.earned()
        code = await scan(learner, notice)

        async def refused(what: str, answer: str, *expected: str) -> None:
            checks = await stored_checks(learner)
            row = await learner.row()
            still = checks[0].outcome is None and row.held_challenge_id == notice["id"]
            game.check(f"{what}: refused ({answer or 'no result'}), still open", answer in expected and still)

        async with phone, others_phone, learner.browser() as desktop, Phone(learner) as stranger:
            await desktop.get(f"/c/{code}")
            await refused("code opened in the desktop session", result_of(desktop.page), "computer")
            status, _ = await raw_http(
                game.arena,
                "POST",
                f"{game.arena.nodes[0]}/challenges/{notice['id']}/tap",
                headers=learner.headers(),
                json={},
            )
            await refused("the phone's button, pressed on the desktop", str(status), "403")
            await refused("empty form", await phone.forge("/c/confirm", form=""), "unknown")
            await refused("no form", await phone.forge("/c/confirm"), "unknown")
            status, _ = await raw_http(game.arena, "GET", f"{game.arena.nodes[0]}/c/")
            await refused("empty code", str(status), "404")
            await refused("foreign code", await phone.open(await scan(other, others)), "wrong_phone")
            guess = f"{notice['id']}.0.{'0' * 24}"
            await refused("guessed code", await phone.open(guess), "unknown")
            await refused("guessed form", await phone.forge("/c/confirm", form=guess), "unknown")
            # A page that another phone fetched while the code was fresh: its form is bound to that phone.
            await stranger.open(code)
            form = form_of(stranger.page)["form"]
            await refused("pre-fetched form", await phone.forge("/c/confirm", form=form), "unknown")
            await refused("pre-fetched form, its own browser", await stranger.forge("/c/confirm", form=form), "")
            for method in ("GET", "HEAD", "GET"):
                await raw_http(game.arena, method, f"{game.arena.nodes[0]}/c/{code}")
            await phone.open(await scan(learner, notice))
            await refused("link preview, and the page on the enrolled phone itself", phone.result, "")
            late = asyncio.create_task(asyncio.sleep(2 * ROTATE_S + 1))
            while not late.done():
                await page.beat(600.0)
                await asyncio.sleep(1)
            await refused("expired code", await phone.open(code), "stale")
            results = Counter(await audited(learner, notice["id"]))
            wanted = {"computer": 2, "unknown": 3, "not_enrolled": 1, "stale": 1}
            game.check(f"recorded: {dict(results)}", all(results[name] >= n for name, n in wanted.items()))
            strange = (await other.findings()).get("wrong_phone", 0)
            game.check("the foreign phone is a finding", strange >= 1)
            game.check("nothing was earned meanwhile", await learner.earned() == frozen)
            await phone.open(await scan(learner, notice))
            game.check("the right phone still confirms", await phone.confirm() == "confirmed")
        game.check("and only then the player goes on", await page.until("resume"))
        await game.credit(learner, frozen)


@case(
    "B04",
    "QR relay: other learner's phone; same token twice; after the rotation's grace; 1 s late; 50 confirms at once",
    "policy.challenges: codes are fresh for one turn, the deadline is the store's clock; claim_answer lets one in",
    seconds=140,
    load=4,
)
async def relay(game: Game) -> None:
    async with game.twin():
        await asyncio.gather(_relayed(game), _late(game), _fifty(game))


async def _relayed(game: Game) -> None:
    learner, other = await game.learners_of(2, 600, check_due_in=SOON_S)
    phone, others_phone = await enrol_phone(learner), await enrol_phone(other)
    page = await learner.page()
    notice = await challenged(page)
    frozen = await learner.earned()
    code = await scan(learner, notice)
    async with phone, others_phone:
        game.check("other learner's phone: refused", await others_phone.open(code) == "wrong_phone")
        game.check("a code from two turns ago: refused", await phone.open(turned(learner, code, -2)) != "confirmed")
        game.check("a code from two turns ahead: refused", await phone.open(turned(learner, code, 2)) == "stale")
        await asyncio.sleep(2 * ROTATE_S + 1)
        game.check("after the grace: refused", await phone.open(code) == "stale")
        game.check("still open", (await stored_checks(learner))[0].outcome is None)
        await phone.open(await scan(learner, notice))
        form = form_of(phone.page)["form"]
        game.check("the right phone: confirmed", await phone.confirm() == "confirmed")
        again = await phone.forge("/c/confirm", form=form)
        game.check("the same token twice: idempotent", again == "already_confirmed")
    confirmed = Counter(await audited(learner, notice["id"]))["confirmed"]
    game.check("exactly one confirmation is recorded", confirmed == 1)
    await game.credit(learner, frozen, who="relay")


async def _late(game: Game) -> None:
    learner = await game.learner(600, check_due_in=SOON_S)
    phone = await enrol_phone(learner)
    page = await learner.page()
    notice = await challenged(page)
    frozen = await learner.earned()
    async with phone:
        await asyncio.sleep(notice["deadline"] - 5)
        await phone.open(await scan(learner, notice))
        await asyncio.sleep(await _seconds_left(learner) + 1.0)
        game.check("1 s late: refused", await phone.confirm() == "late")
    row = await learner.row()
    game.check("1 s late: the hold stays", row.held_challenge_id == notice["id"])
    await page.watch(5, every=1.0)
    await game.credit(learner, frozen, who="1 s late")


async def _seconds_left(learner: Learner) -> float:
    """Until the deadline, by the store's clock."""
    services = learner.arena.services
    async with services.db.read() as conn:
        now = await services.clock.read(conn)
    return ((await stored_checks(learner))[-1].deadline - now.ms) / 1000


async def _fifty(game: Game) -> None:
    learner = await game.learner(600, check_due_in=SOON_S)
    phone = await enrol_phone(learner)
    page = await learner.page()
    notice = await challenged(page)
    frozen = await learner.earned()
    async with phone:
        await phone.open(await scan(learner, notice))
        form = form_of(phone.page)

        async def press(node: int) -> str:
            url = f"{game.arena.nodes[node % len(game.arena.nodes)]}/c/confirm"
            headers = {"Origin": url.removesuffix("/c/confirm")}
            async with phone.http.post(url, data=form, headers=headers) as answer:
                return result_of(await answer.text())

        answers = Counter(await asyncio.gather(*(press(number) for number in range(50))))
    game.check(f"50 at once: {dict(answers)}", answers == {"confirmed": 1, "already_confirmed": 49})
    confirmed = Counter(await audited(learner, notice["id"]))["confirmed"]
    game.check("50 at once: recorded once", confirmed == 1)
    await page.until("resume")
    game.check("50 at once: one resume", len(page.all("resume")) == 1)
    await game.credit(learner, frozen, who="50 at once")


@case(
    "B05",
    "one phone for two learners",
    "a phone's credential is enrolled for one person (unique in SQL); the second binding is refused and a finding",
    seconds=40,
    load=2,
    smoke=True,
)
async def one_phone_for_two(game: Game) -> None:
    async with game.twin():
        first, second = await game.learners_of(2, 600, check_due_in=SOON_S)
        numbers = [await put_on_roster(each) for each in (first, second)]
        pages = [await each.page() for each in (first, second)]
        notices = await asyncio.gather(*(challenged(each) for each in pages))
        frozen = await second.earned()
        async with Phone(first) as phone:
            # Both codes are opened before the phone belongs to anybody, so each gets its form.
            await phone.open(await scan(second, notices[1]))
            seconds_form = form_of(phone.page)
            await phone.open(await scan(first, notices[0]))
            game.check("the first learner binds it", await phone.bind(numbers[0]) == "confirmed")
            await phone.post("/c/bind", {**seconds_form, "name": NAME, "id_number": numbers[1]})
            game.check(f"the second binding is refused ({phone.result})", phone.result == "phone_reused")
            opened = await phone.open(await scan(second, notices[1]))
            game.check(f"and the second learner's code as well ({opened})", opened == "wrong_phone")
        row = await second.row()
        game.check("the second learner is still held", row.held_challenge_id == notices[1]["id"])
        game.check(
            "bound to one person", await _owners(game, first.person_id, second.person_id) == [first.person_id]
        )
        for who, each in (("first", first), ("second", second)):
            found = await each.findings()
            game.check(f"recorded about the {who} learner (found {found})", found.get("phone_reused", 0) >= 1)
        await game.credit(second, frozen)


async def _owners(game: Game, *persons: int) -> list[int]:
    query = select(phone_table.c.person_id).where(phone_table.c.person_id.in_(persons))
    async with game.arena.services.db.read() as conn:
        return list((await conn.scalars(query.where(phone_table.c.revoked_at.is_(None)))).all())
