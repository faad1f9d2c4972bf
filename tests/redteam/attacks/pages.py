"""A09, A10, A14, A15, A18: many pages, stolen locks, forged starts, many connects, and pages that may not play."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy import update

from player_server.storage.clock import wall_ms
from player_server.storage.tables import course, enrolment
from telemetry.messages import Close
from tests.redteam.attacks.pace import GREED_S, greedy
from tests.redteam.case import case
from tests.redteam.game import Game
from tests.redteam.people import Learner, Page

#: "At once", on a machine that plays everything else beside it. A prompt waits for nobody's timeout (20 s, 30 s).
AT_ONCE_S = 10.0
GRACE_S = 15.0


@case(
    "A09",
    "10 videos (1, 10, 100) on as many sockets of one learner, honest 1× each, for 300 s",
    "learning.watch.Watching.open: one playback row a person, locked at every hello; others get `busy`",
    seconds=310,
    load=6,
    slope=True,
)
async def many_videos(game: Game) -> None:
    length = game.seconds(300, 10)

    async def sockets(count: int) -> tuple[Learner, float]:
        learner = await game.learner(*(3600,) * count)
        clock = game.arena.now
        began = clock()
        first = await learner.page(0)

        async def play(video: int) -> None:
            while clock() - began < length:
                page = first if video == 0 else await learner.socket(video)
                if video:
                    asked = clock()
                    answer = await page.hello()
                    busy = answer is not None and answer["type"] == "busy"
                    if not (busy and clock() - asked < AT_ONCE_S):
                        game.check(f"×{count}: busy at once (after {clock() - asked:.1f} s: {answer})", False)
                start = clock()
                while not page.closed and clock() - began < length:
                    await page.beat(clock() - start, event="play")
                    await asyncio.sleep(5.0)
                game.check(f"×{count}: the one that plays stays", video or not page.closed)
                code = page.close_code
                if page.closed and code != Close.BUSY:
                    game.check(f"×{count}: closed as busy, not {code}", False)

        await asyncio.gather(*(play(video) for video in range(count)))
        most = clock() - began
        return learner, most

    async with game.twin():
        await game.slope(sockets)


@case(
    "A10",
    "two sessions take the player from each other every 0.5 s for 120 s; each flushes 60 s of queued beats",
    "storage.playback_sql: UPDATE … WHERE epoch = …; a hello makes epoch + 1, so an older page can never write",
    seconds=135,
    load=4,
    slope=True,
    smoke=True,
)
async def lock_fight(game: Game) -> None:
    length = game.seconds(120, 6)

    async def fight(count: int) -> tuple[Learner, float]:
        learner = await game.learner(7200)
        clock = game.arena.now
        page = await learner.page()
        first, every = page, length / count
        for _ in range(count):
            await greedy(page, every, min(5.0, every / 2))
            asked = clock()
            new = await learner.page()
            welcome = clock() - asked
            if welcome > AT_ONCE_S:
                game.check(f"×{count}: nobody starves (waited {welcome:.1f} s)", False)
            before = new.frontier
            for ahead in range(1, 61):
                if not await page.beat(page.frontier + ahead):
                    break
            code = await page.until_closed()
            if code != Close.DISPLACED:
                game.check(f"×{count}: the displaced page is closed with 4001, not {code}", False)
            if not await new.acked(before, playing=False) or new.frontier != before:
                game.check(f"×{count}: the flush earns nothing ({before} → {new.frontier})", False)
            page = new
        most = first.passed
        watched = await page.watch(3.0)
        game.check(f"×{count}: whoever stays can watch", watched >= 2.9)
        return learner, most + watched + 0.5

    async with game.twin():
        await game.slope(fight, (1, 10, round(length / 0.5)))


@case(
    "A14",
    "forged watch map, forged resume position (95 %), a foreign session id",
    "learning.watch._take: the frontier comes from the stored progress; a proof must be the row's own session",
    seconds=15,
    smoke=True,
)
async def forged_start(game: Game) -> None:
    async with game.twin():
        victim, thief = await game.learners_of(2, 600)
        playing = await victim.page()
        watching = asyncio.create_task(playing.watch(6.0, every=1.0))
        page = await thief.socket()
        opened = game.arena.now()
        forged = {"watched": [[0, 600]], "segments": [[0, 600]], "frontier": 570, "position": 570, "duration": 1}
        await page.send(type="hello", video=page.video_id, session=playing.session, takeover=False, **forged)
        welcome = await page.until("welcome", "error", "busy")
        assert welcome is not None
        game.check("it starts at the stored frontier", (welcome.get("frontier"), welcome.get("position")) == (0, 0))
        game.check("a foreign session proves nothing", welcome.get("recovered") is False)
        game.check("the duration is the catalogue's", welcome.get("duration") == 600)
        await page.beat(570, event="play", duration=1, watched=True, frontier=570)
        rewind = await page.until("rewind")
        game.check("95 % is rewound", rewind is not None and rewind["to"] < 5)
        most = game.arena.now() - opened
        await game.credit(thief, most, who="thief")
        watched = await watching
        game.check("the owner of the session plays on", not playing.closed)
        await game.honest_credit(victim, watched, who="victim")


@case(
    "A15",
    "1000 connects with one greedy beat each in 200 s; 600 tiny videos; six videos in rotation just under G",
    "learning.watch._open_row: one gap, of one clock, for the page that the row names; no allowance for a connect",
    seconds=215,
    load=10,
    slope=True,
)
async def many_connects(game: Game) -> None:
    length = game.seconds(200, 10)

    async def connects(count: int, prove: bool) -> tuple[Learner, float]:
        learner = await game.learner(7200)
        clock = game.arena.now
        began = heard = clock()
        session, seq = None, 0
        for number in range(count):
            page = await learner.page(session=session if prove else None)
            page.seq, session = seq, page.session
            # All that has passed since the last beat and a second more: a hello's own time counts nothing, and more
            # greed would only be rewound.
            passed, heard = clock() - heard, clock()
            await page.acked(page.frontier + (passed if number else 0.0) + 1.0, event="play")
            seq = page.seq
            await page.drop()
            await asyncio.sleep(max(0.0, began + length * (number + 1) / count - clock()))
        page = await learner.page(session=session if prove else None)
        page.seq = seq
        await page.acked(page.frontier + clock() - heard + 1.0)
        return learner, clock() - began

    async def tiny(count: int) -> None:
        learner = await game.learner(*(1.0,) * count)
        clock = game.arena.now
        began, session = clock(), None
        for video in range(count):
            page = await learner.page(video, session=session)
            session = page.session
            await page.beat(0.0, event="play")
            await page.acked(1.0, event="ended", playing=False)
            await page.bye()
            await asyncio.sleep(max(0.0, began + length * (video + 1) / count - clock()))
        await game.credit(learner, clock() - began, who=f"{count} tiny videos")

    async def rotation() -> None:
        learner = await game.learner(*(3600,) * 6)
        clock = game.arena.now
        began = clock()
        sessions: dict[int, str | None] = {}
        frontiers: dict[int, float] = {}
        turn = 0
        while clock() - began < length:
            video = turn % 6
            page = await learner.page(video, session=sessions.get(video))
            sessions[video] = page.session
            await page.acked(page.frontier + 14.0, event="play")
            await asyncio.sleep(2.3)
            await page.acked(page.frontier + 2.3 + GREED_S)
            frontiers[video] = page.frontier
            await page.drop()
            turn += 1
        await game.credit(learner, clock() - began, who="six videos in rotation")

    async with game.twin():
        many = round(game.seconds(1000, 50))
        await asyncio.gather(
            # The fewest connects already come in time to be counted in full, so more of them could only add.
            # A claim of the slowest that is rewound, because a hello took long, costs it one gap.
            game.slope(lambda count: connects(count, True), (20, 100, many), what="same page", slack=GRACE_S),
            game.slope(lambda count: connects(count, False), (1, 100, many), what="new page"),
            tiny(round(game.seconds(600, 30))),
            rotation(),
        )


@case(
    "A18",
    "beats before hello, after bye, after log-out; a course not enrolled, closed, or with offline hours missing",
    "gateway.socket._enter: no beat before a welcome; learning.enrolments.may_watch decides at every hello",
    seconds=25,
    smoke=True,
)
async def not_allowed(game: Game) -> None:
    async def before_hello() -> None:
        learner = await game.learner(600)
        page = await learner.socket()
        for position in range(1, 20):
            await page.beat(position)
        error = await page.until("error")
        game.check("before hello: no_hello", error is not None and error["code"] == "no_hello")
        await game.credit(learner, 0.0, who="before hello")

    async def after_bye() -> None:
        learner = await game.learner(600)
        page = await learner.page()
        watched = await page.watch(2.0, every=0.5)
        await page.send(type="bye")
        with suppress(Exception):
            for position in range(3, 20):
                await page.beat(float(position))
                await asyncio.sleep(0.1)
        game.check("after bye: the socket ends", await page.until_closed(10.0) is not None)
        await game.credit(learner, watched + 0.5, least=watched - 0.5, who="after bye")

    async def after_log_out() -> None:
        learner = await game.learner(600)
        page = await learner.page()
        watched = await page.watch(2.0, every=0.5)
        async with learner.browser() as browser:
            await browser.post("/logout", {"csrf": learner.csrf})
        out = game.arena.now()
        while not page.closed and game.arena.now() - out < 10:
            await page.beat(page.frontier + 1.0)
            await asyncio.sleep(0.2)
        took = game.arena.now() - out
        game.check(f"after log-out: 4003 within 5 s (after {took:.1f} s)", took < 5)
        game.check("after log-out: 4003", page.close_code == Close.NOT_ALLOWED)
        await game.credit(learner, watched + 0.5, who="after log-out")

    async def refused(code: str, learner: Learner) -> None:
        page: Page = await learner.socket()
        answer = await page.hello()
        game.check(f"{code}: told so", answer is not None and answer.get("code") == code)
        for position in range(1, 5):
            await page.beat(float(position))
        game.check(f"{code}: closed with 4004", await page.until_closed() == Close.NO_COURSE)
        await game.credit(learner, 0.0, who=code)

    async def closed_course() -> None:
        learner = await game.learner(600)
        async with game.arena.services.db.write() as conn:
            this = course.c.id == learner.lessons.course_id
            await conn.execute(update(course).where(this).values(closed_at=wall_ms()))
        await refused("course_closed", learner)

    async def offline_missing() -> None:
        learner = await game.learner(600)
        async with game.arena.services.db.write() as conn:
            own = enrolment.c.learner_id == learner.learner_id
            await conn.execute(update(enrolment).where(own).values(offline_missing=True))
        await refused("offline_missing", learner)

    async def not_enrolled() -> None:
        await refused("not_enrolled", await game.learner(600, enrolled=False))

    async with game.twin():
        plays = before_hello(), after_bye(), after_log_out(), closed_course(), offline_missing(), not_enrolled()
        await asyncio.gather(*plays)
