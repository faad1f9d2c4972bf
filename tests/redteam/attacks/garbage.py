"""A13: every field missing, of the wrong kind, or absurd, at every door of the player."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.redteam.arena import raw_http
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, Page, Refused

#: As they stand on the wire, because NaN and Infinity are no JSON and 1e308 would be written out otherwise.
VALUES = (
    "null",
    "NaN",
    "Infinity",
    "-Infinity",
    "-1",
    "1e308",
    "1e400",
    '"5"',
    "[]",
    "{}",
    "true",
    str(2**64),
    '"\\ud800"',
)
#: SEQ and POSITION are the next number and a place that would earn something.
BEAT = {"seq": "SEQ", "position": "POSITION", "playing": "true", "event": '"tick"', "rate": "1", "visible": "true"}
BEAT |= {"rewind": "null"}
NEEDED = ("seq", "position", "playing")
#: Values that are good ones, whatever they look like.
GOOD = {("playing", "true"), ("visible", "true"), ("rewind", "null")}
HELLO = {"video": "1", "session": "null", "takeover": "false"}
FRAMES: tuple[str, ...] = (
    "",
    "{",
    "[]",
    "null",
    "5",
    '"beat"',
    "{}",
    '{"type":"beat"}',
    '{"type":"hello"}',
    '{"type":"nothing"}',
)
FRAMES += ("[" * 5000, '{"type":"beat","type":"bye","type":"nothing"}', "\x00", '{"type":"welcome","frontier":600}')


def text_of(kind: str, fields: dict[str, str]) -> str:
    """A message with these raw values."""
    return "{" + ",".join([f'"type":"{kind}"', *(f'"{name}":{value}' for name, value in fields.items())]) + "}"


@case(
    "A13",
    "every field missing, null, NaN, ±Infinity, −1, 1e308, 2⁶⁴, text, [], 10 MB; an own duration",
    "telemetry.messages: msgspec decodes with types and bounds; a bad message changes nothing and is told",
    seconds=60,
    load=4,
    smoke=True,
)
async def garbage(game: Game) -> None:
    async def beats() -> None:
        """Each bad beat is followed by one that is surely bad, so that the end of its answers is known."""
        learner = await game.learner(3600)
        page = await learner.page()
        clock = game.arena.now
        await page.acked(0.0, event="play")
        began = clock()
        pairs = [(name, value) for name in BEAT for value in VALUES if (name, value) not in GOOD]
        bad = [*FRAMES, *(text_of("beat", BEAT | {name: value}) for name, value in pairs)]
        bad += [text_of("beat", {key: value for key, value in BEAT.items() if key != name}) for name in NEEDED]
        bad += [text_of("beat", BEAT | {"duration": "1", "seq": "0"})]
        for number, text in enumerate(bad):
            frontier, place = page.frontier, len(page.inbox)
            await page.raw(text.replace("SEQ", str(page.seq + 1)).replace("POSITION", str(page.frontier + 0.5)))
            await page.raw('{"type":"beat","marks":"the end of this one"}')
            first = await page.until("error", after=place)
            second = first and await page.until("error", after=page.inbox.index(first, place) + 1, timeout=5)
            game.check(f"{text[-60:]!r} earned nothing", page.frontier == frontier)
            game.check(f"{text[-60:]!r} is told to be bad", second)
            await asyncio.sleep(game.seconds(0.2, 0.05))
            if number % 5 == 0:
                now = clock() - began
                good = await page.acked(now)
                if not (good and page.frontier >= now - 0.5):
                    game.check(f"the good beat after {text[-60:]!r} counts ({page.frontier:.2f}/{now:.2f})", False)
                    break
        watched = clock() - began
        await page.acked(watched, playing=False, event="pause")
        game.check("its connection stays", not page.closed)
        game.note(f"{len(bad)} bad messages over {watched:.1f} s on one socket")
        await game.credit(learner, page.passed, least=watched - 1, who="good beats between bad ones")

    async def hellos() -> None:
        learner = await game.learner(3600)
        good = HELLO | {"video": str(learner.lessons.video_ids[0])}
        bad = [text_of("hello", good | {name: value}) for name in ("session", "takeover") for value in VALUES]
        bad += [text_of("hello", HELLO | {"video": value}) for value in VALUES]
        bad.append('{"type":"hello"}')
        for text in bad:
            page = await learner.socket()
            await page.raw(text)
            answer = await page.until("error", "welcome", timeout=10)
            game.check(f"{text[:70]} is answered", answer is not None or page.closed)
            game.check(f"{text[:70]} is no fault of the server", page.close_code != 1011)
            await page.close()
        await game.credit(learner, 0.0, who="bad hellos")

    async def big() -> None:
        learner = await game.learner(3600)
        page = await learner.page()
        await page.raw(
            json.dumps({"type": "beat", "seq": 1, "position": 5, "playing": True, "x": "y" * 10_000_000})
        )
        code = await page.until_closed()
        game.check(f"10 MB is closed with 1009 (got {code})", code in (1009, 1006))
        again = await learner.page(session=page.session)
        watched = await again.watch(2.0, every=0.5)
        await game.credit(learner, again.passed, least=watched - 0.5, who="after 10 MB")

    async def tickets() -> None:
        learner = await game.learner(3600)
        url = f"{game.arena.nodes[0]}/api/v1/watch-tickets"
        bodies = [f'{{"video":{value}}}' for value in VALUES] + ["", "{", "[]", "null", '{"video":1,"duration":1}']
        for body in [*bodies, '{"video":"' + "9" * 1_000_000 + '"}']:
            status, answer = await raw_http(game.arena, "POST", url, data=body.encode(), headers=learner.headers())
            game.check(f"ticket for {body[:40]}: {status}", status < 500)
            if status == 200:
                await _use(game, learner, json.loads(answer)["ticket"], json.loads(body)["video"])
        for path in (
            "/player/NaN",
            f"/player/{2**64}",
            "/quiz/-1",
            f"/quiz/{10**30}",
            "/player/%00",
            "/courses/[]",
        ):
            status, _ = await raw_http(game.arena, "GET", game.arena.nodes[0] + path, headers=learner.headers())
            game.check(f"{path}: {status}", status < 500)
        await game.credit(learner, 0.0, who="bad tickets")

    async with game.twin():
        await asyncio.gather(beats(), hellos(), big(), tickets())


async def _use(game: Game, learner: Learner, ticket: str, video: Any) -> None:
    """A ticket was given for nonsense: its hello must be refused, with a reason."""
    try:
        page: Page = await learner.redeem(ticket, video)
    except Refused:
        return
    answer = await page.hello()
    game.check(f"hello for video {video}: {answer}", answer is not None and answer["type"] == "error")
    game.check(f"hello for video {video}: no fault of the server", page.close_code != 1011)
    await page.close()
